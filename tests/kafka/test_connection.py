from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

import pytest

from streams.errors import Misconfigured
from streams.kafka.connection import bare_name, connection, topic_name
from streams.settings import load

if TYPE_CHECKING:
    from pathlib import Path


def test_plaintext_needs_nothing_more() -> None:
    """Without security the clients are told where and how, and nothing else."""
    assert {"bootstrap_servers": "127.0.0.1:9092", "security_protocol": "PLAINTEXT"} == connection(load())


def test_sasl_over_tls_carries_the_user_and_checks_certificates() -> None:
    """With SASL over TLS the clients get mechanism, user, password, and a context that verifies the host."""
    settings = load(
        security_protocol="SASL_SSL", sasl_mechanism="SCRAM-SHA-512", sasl_username="ews", sasl_password="hunter2"
    )
    options = connection(settings)
    context = options.pop("ssl_context")
    assert (True, ssl.CERT_REQUIRED) == (context.check_hostname, context.verify_mode)
    assert {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "ews",
        "sasl_plain_password": "hunter2",
    } == options


@pytest.mark.parametrize("files", [["ssl_ca_file"], ["ssl_cert_file", "ssl_key_file"]])
def test_a_file_without_certificates_is_named(tmp_path: Path, files: list[str]) -> None:
    """A PEM file that holds no certificate is a mistake that names its variable and the file."""
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    settings = load(security_protocol="SSL", **dict.fromkeys(files, empty))
    with pytest.raises(Misconfigured, match=rf"EWS_{files[0].upper()}=.*empty\.pem"):
        connection(settings)


def test_names_on_the_cluster_carry_the_prefix() -> None:
    """The prefix is put before a topic's name on the way out and taken off on the way in."""
    settings = load(topic_prefix="bank-")
    assert "bank-alerts" == topic_name(settings, "alerts")
    assert "alerts" == bare_name(settings, "bank-alerts")
