from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.errors import EarlyWarningError, Misconfigured
from streams.kafka.topics import check_topics
from streams.settings import load
from tests.security.conftest import PARTITIONS

if TYPE_CHECKING:
    from tests.security.secured import SecuredBroker

OPERATOR = "ews-operator"


async def looked(environment: dict[str, str]) -> list[str]:
    """What `ews topics check` finds with these settings."""
    names = {name.removeprefix("EWS_").lower(): value for name, value in environment.items()}
    return await check_topics(load(partitions=PARTITIONS, **names))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
@pytest.mark.parametrize("listener", ["SASL", "SASLTLS"])
async def test_each_mechanism_signs_in(secured: SecuredBroker, listener: str, mechanism: str) -> None:
    """With the right password every mechanism is let in, with TLS and without, and sees what its role may see."""
    assert [] == await looked(secured.environment(OPERATOR, listener, mechanism))


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_a_wrong_password_is_one_clear_line(secured: SecuredBroker, mechanism: str) -> None:
    """Who signs in with a wrong password is told so, with the settings to look at and without the password."""
    wrong = secured.environment(OPERATOR, "SASLTLS", mechanism) | {"EWS_SASL_PASSWORD": "not-it-canary"}
    with pytest.raises(Misconfigured, match=r"does not accept the user ews-operator with this password") as refused:
        await looked(wrong)
    assert "not-it-canary" not in str(refused.value)


def tls(secured: SecuredBroker, listener: str, **more: object) -> dict[str, str]:
    """The settings of a client of TLS alone."""
    found = {
        "EWS_BOOTSTRAP_SERVERS": secured.address(listener),
        "EWS_SECURITY_PROTOCOL": "SSL",
        "EWS_SSL_CA_FILE": str(secured.ours.file),
    }
    return found | {f"EWS_SSL_{name.upper()}": str(value) for name, value in more.items()}


async def test_an_authority_that_is_not_ours_is_refused(secured: SecuredBroker) -> None:
    """A broker whose certificate another authority signed is not spoken to, with SASL or without."""
    with pytest.raises(Misconfigured, match="is not accepted: self-signed certificate in certificate chain"):
        await looked(tls(secured, "TLS", ca_file=secured.strangers.file))
    with pytest.raises(Misconfigured, match="is not accepted"):
        await looked(
            secured.environment(OPERATOR, "SASLTLS") | {"EWS_SSL_CA_FILE": str(secured.strangers.file)},
        )


async def test_an_expired_certificate_is_refused(secured: SecuredBroker) -> None:
    """A broker whose certificate has ended is not spoken to, and the line says that it has."""
    with pytest.raises(Misconfigured, match="certificate has expired"):
        await looked(tls(secured, "EXPIRED"))


async def test_a_name_that_is_not_in_the_certificate_is_refused(secured: SecuredBroker) -> None:
    """The certificate must be for the host that we call."""
    settings = tls(secured, "TLS")
    settings["EWS_BOOTSTRAP_SERVERS"] = settings["EWS_BOOTSTRAP_SERVERS"].replace("127.0.0.1", "localhost")
    with pytest.raises(Misconfigured, match=r"(?i)hostname mismatch"):
        await looked(settings)


async def test_mutual_tls_lets_in_whom_the_authority_knows(secured: SecuredBroker) -> None:
    """With a certificate of ours we are let in; without one, and with a stranger's, the line names the setting."""
    certificate, key = secured.client
    shown = await looked(tls(secured, "MUTUAL", cert_file=certificate, key_file=key))
    assert "let this user see it (`ews topics acls`)" in shown[0], "the partner of this certificate has no rights"
    with pytest.raises(Misconfigured, match=r"does not accept our certificate.*EWS_SSL_CERT_FILE"):
        await looked(tls(secured, "MUTUAL"))
    certificate, key = secured.stranger
    with pytest.raises(Misconfigured, match=r"does not accept our certificate.*EWS_SSL_CERT_FILE"):
        await looked(tls(secured, "MUTUAL", cert_file=certificate, key_file=key))


@pytest.mark.parametrize("protocol", ["PLAINTEXT", "SASL_PLAINTEXT", "SSL"])
async def test_the_wrong_protocol_is_one_clear_line(secured: SecuredBroker, protocol: str) -> None:
    """Who speaks another protocol than the listener is told which setting to look at."""
    with pytest.raises(EarlyWarningError, match="look at EWS_SECURITY_PROTOCOL"):
        await looked(secured.environment(OPERATOR, "SASLTLS") | {"EWS_SECURITY_PROTOCOL": protocol})
