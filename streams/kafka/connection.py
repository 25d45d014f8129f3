"""The settings of Kafka as its clients take them, and the names of topics on the cluster."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any

from streams.errors import Misconfigured

if TYPE_CHECKING:
    from streams.settings import Settings


def connection(settings: Settings) -> dict[str, Any]:
    """What every client of aiokafka is constructed with to reach the cluster. Raises Misconfigured."""
    options: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "security_protocol": settings.security_protocol,
    }
    if settings.security_protocol.endswith("SSL"):
        options["ssl_context"] = _ssl_context(settings)
    if settings.security_protocol.startswith("SASL"):
        assert settings.sasl_password is not None, "checked by the settings"
        options |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return options


def topic_name(settings: Settings, bare: str) -> str:
    """The name on the cluster of a topic of `schemas.topics`."""
    return settings.topic_prefix + bare


def bare_name(settings: Settings, name: str) -> str:
    """The name in `schemas.topics` of a topic on the cluster; the inverse of `topic_name`."""
    assert name.startswith(settings.topic_prefix), f"{name} is not a topic of ours"
    return name.removeprefix(settings.topic_prefix)


def _ssl_context(settings: Settings) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=settings.ssl_ca_file)
    except (OSError, ssl.SSLError) as bad:
        raise Misconfigured(f"EWS_SSL_CA_FILE={settings.ssl_ca_file} holds no usable certificates: {bad}") from bad
    if settings.ssl_cert_file and settings.ssl_key_file:
        password = settings.ssl_key_password.get_secret_value() if settings.ssl_key_password else ""
        try:
            # A function, so that OpenSSL never asks on the terminal.
            context.load_cert_chain(settings.ssl_cert_file, settings.ssl_key_file, password=lambda: password)
        except (OSError, ssl.SSLError) as bad:
            raise Misconfigured(
                f"EWS_SSL_CERT_FILE={settings.ssl_cert_file} and EWS_SSL_KEY_FILE={settings.ssl_key_file} "
                f"cannot be used together, or EWS_SSL_KEY_PASSWORD is wrong: {bad}"
            ) from bad
    return context
