"""Why the cluster cannot be used, in one line: not there, a certificate, a password, a right. And what to do about it.

aiokafka says the same of a broker that is away and of one that will not have us, so we knock once more ourselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from typing import TYPE_CHECKING

from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from streams.errors import EarlyWarningError, Misconfigured, Unavailable
from streams.kafka.connection import connection

if TYPE_CHECKING:
    from streams.settings import Settings

KNOCK_SECONDS = 3.0
NOT_ALLOWED = (
    TopicAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    ClusterAuthorizationFailedError,
)
"""What Kafka answers to one that it knows and does not let."""


async def why_not(settings: Settings, failed: BaseException) -> EarlyWarningError:
    """What stands between us and the cluster, as the error to raise: Misconfigured where waiting does not help."""
    if isinstance(failed, NOT_ALLOWED):
        return refusal(failed)
    servers = settings.bootstrap_servers
    for server in servers.split(","):
        host, _, port = server.rpartition(":")
        host = host.strip("[]")
        if not await _listens(host, int(port)):
            continue
        answer = await _knock(settings, server, host, int(port))
        return answer or Unavailable(
            f"Kafka at {servers} does not talk to us ({type(failed).__name__}): "
            f"look at EWS_SECURITY_PROTOCOL (now {settings.security_protocol}), EWS_SASL_... and EWS_SSL_..."
        )
    return Unavailable(
        f"Kafka at {servers} cannot be reached: start it (`ews broker` has one) or set EWS_BOOTSTRAP_SERVERS"
    )


def refusal(failed: BaseException) -> Misconfigured:
    """What to say when the cluster knows us and will not let us do it."""
    return Misconfigured(
        f"Kafka refuses this to our user ({type(failed).__name__}): `ews topics acls` prints what each process needs"
    )


async def _listens(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(1):
            _, writer = await asyncio.open_connection(host, port)
            await _close(writer)
    except (OSError, TimeoutError):
        return False
    return True


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):  # The other side may have been quicker.
        await writer.wait_closed()


async def _knock(settings: Settings, server: str, host: str, port: int) -> Misconfigured | None:
    """What the broker says to a connection of ours; None if that tells nothing."""
    options = {name: value for name, value in connection(settings).items() if name != "bootstrap_servers"}
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            made = await create_conn(host, port, **options)
        await made.close()
    except ssl.SSLCertVerificationError as bad:
        return Misconfigured(
            f"the certificate of {server} is not accepted: {bad.verify_message}; look at EWS_SSL_CA_FILE "
            "and at the name that brokers are called by"
        )
    except ssl.SSLError as bad:
        return Misconfigured(f"no TLS with {server} ({bad.reason}): look at EWS_SECURITY_PROTOCOL and EWS_SSL_...")
    except (AuthenticationFailedError, SaslAuthenticationFailed, IllegalSaslStateError):
        return Misconfigured(
            f"{server} does not accept the user {settings.sasl_username} with this password: "
            "look at EWS_SASL_USERNAME, EWS_SASL_PASSWORD and EWS_SASL_MECHANISM"
        )
    except UnsupportedSaslMechanismError:
        return Misconfigured(f"{server} has no EWS_SASL_MECHANISM={settings.sasl_mechanism}")
    except (KafkaError, OSError, TimeoutError):
        return await _refused_certificate(server, host, int(port), options.get("ssl_context"))
    return None


async def _refused_certificate(
    server: str, host: str, port: int, context: ssl.SSLContext | None
) -> Misconfigured | None:
    """A broker refuses our certificate, or that we have none, only after the handshake: in place of its first word."""
    if context is None:
        return None
    try:
        async with asyncio.timeout(KNOCK_SECONDS):
            reader, writer = await asyncio.open_connection(host, port, ssl=context)
            try:
                await reader.read(1)
            finally:
                await _close(writer)
    except ssl.SSLError as bad:
        return Misconfigured(
            f"{server} does not accept our certificate ({bad.reason}): look at EWS_SSL_CERT_FILE and EWS_SSL_KEY_FILE"
        )
    except (OSError, TimeoutError):
        return None
    return None
