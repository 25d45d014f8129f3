"""What an installation sets: every setting once, read from `EWS_...` variables, checked before anything starts.

A setting is a field: its docstring is what `ews config show` prints, its unit stands in its name. To add one, add a
field. Thresholds of detectors are no settings: they are policy (`EWS_POLICY_FILE`, topic `policies`).

What is secret, or an address that may carry a password, can come out of a file too: `EWS_SASL_PASSWORD_FILE=PATH` in
place of `EWS_SASL_PASSWORD`, as secrets are mounted into containers.
"""

from __future__ import annotations

import difflib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AwareDatetime,
    Field,
    SecretStr,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from schemas.alerts import Severity
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails

PREFIX = "EWS_"
MASK = "********"
PORT_MAX = 65_535
_QUERY_PASSWORD = re.compile(r"((?:ssl)?password=)[^&]*", re.IGNORECASE)

KafkaName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]*$", max_length=150)]
WebUrl = Annotated[str, StringConstraints(pattern=r"^https?://\S+$")]


class Settings(BaseSettings):
    """The settings of one process, unchanging. Use `load`, which turns every mistake into one line."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        hide_input_in_errors=True,
    )

    bootstrap_servers: Annotated[str, StringConstraints(pattern=r"^[^\s,]+:\d+(,[^\s,]+:\d+)*$")] = "127.0.0.1:9092"
    """Kafka's brokers, as host:port, several separated by commas."""
    topic_prefix: KafkaName = ""
    """Put before the name of every topic, so that several systems can share a cluster."""
    app: Annotated[KafkaName, StringConstraints(min_length=1)] = "ews"
    """The name that consumer groups and transactional ids begin with. All workers of one system share it."""
    partitions: Annotated[int, Field(ge=1, le=10_000)] = 8
    """Number of partitions of every topic keyed by borrower. The unit of scaling; cannot be changed later."""
    replication: Annotated[int, Field(ge=1, le=9)] = 1
    """Number of copies that Kafka keeps of each partition. Three in production."""
    min_isr: Annotated[int, Field(ge=1, le=9)] = 1
    """Number of copies that must be in sync for a write to succeed. Two in production."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """How Kafka is spoken to."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "PLAIN"
    """How we sign in with a SASL protocol."""
    sasl_username: str | None = None
    """The user that we sign in as with a SASL protocol."""
    sasl_password: SecretStr | None = None
    """Its password."""
    ssl_ca_file: Path | None = None
    """PEM file of the authorities that the brokers' certificates are checked against; without it the system's."""
    ssl_cert_file: Path | None = None
    """PEM file of our own certificate, where brokers ask for one."""
    ssl_key_file: Path | None = None
    """PEM file of its private key."""
    ssl_key_password: SecretStr | None = None
    """The private key's password."""
    token_keys: SecretStr | None = None
    """Keys that borrower tokens are made with by `ews import` and `ews tokens` (VERSION:HEX), the newest first."""
    instance_id: Annotated[KafkaName, StringConstraints(min_length=1)] | None = None
    """This worker's fixed name in its group: unique, and kept over a restart, which then waits for no time-out."""

    checkpoint_dir: Path | None = None
    """Directory in which a worker keeps its committed states, to start from; without it from the changelog alone."""
    checkpoint_seconds: Annotated[float, Field(ge=1, le=3_600)] = 300.0
    """Seconds between two checkpoints of a lane."""

    policy_file: Path | None = None
    """TOML file of the detectors' settings; without it the defaults. `ews policies show` writes one."""
    clock: Literal["wall", "event"] = "wall"
    """What time is: the wall clock, or (demo, plain files) that of the events."""
    clock_until: AwareDatetime | None = None
    """Where time ends with the clock `event`, RFC 3339 with an offset; without it at the last event."""
    tick_seconds: Annotated[int, Field(ge=1, le=3_600)] = 60
    """Seconds between two ticks of the wall clock."""
    live_from: AwareDatetime | None = None
    """Earlier events only warm the measures: their alerts have the mode `history`, open no case and send nothing."""
    dead_letter_limit: Literal["on", "off"] = "on"
    """Whether too many dead letters stop a worker (exit code 3). Off lets those pass that are known to be bad."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """From which level on a process logs. With debug the worker has a line for every alert."""
    metrics_host: str = "127.0.0.1"
    """Address that /metrics, /healthz and /readyz listen on."""
    metrics_port: Annotated[int, Field(ge=0, le=65_535)] = 0
    """Port that they listen on; 0 takes a free one and logs it."""

    database_url: Annotated[str, Field(repr=False)] = "sqlite:///ews-data/cases.db"
    """SQLAlchemy URL of the database of cases and notifications."""
    notify_from: Severity = Severity.WATCH
    """Severity from which on staff are sent an alert: info, watch, high or critical."""
    outbox_dir: Path | None = None
    """Directory that the notifier writes staff messages into, a file each; without it none."""
    webhook_url: Annotated[WebUrl | None, Field(repr=False)] = None
    """URL that the notifier posts staff messages to, signed by Standard Webhooks; without it none."""
    webhook_secret: SecretStr | None = None
    """The secret that they are signed with, as shared with the receiver (whsec_...)."""

    staff_urls: SecretStr | None = None
    """Chat and e-mail that staff messages go to, as Apprise URLs separated by spaces; without it none."""
    hard_steps: Annotated[str, StringConstraints(pattern=r"^([a-z_]+(,[a-z_]+)*)?$")] = ""
    """Hard steps of the ladder that are switched on, separated by commas; each still needs a supervisor's approval."""

    contacts_url: Annotated[str, Field(repr=False)] = "sqlite:///ews-data/contacts.db"
    """SQLAlchemy URL of the contact store: names and addresses of borrowers, apart from everything else."""
    contacts_key: SecretStr | None = None
    """Keys that addresses are encrypted with (`ews contacts key`), the newest first, separated by commas."""
    contact_packs: Annotated[str, StringConstraints(pattern=r"^[a-z_]+(,[a-z_]+)*$")] = "default"
    """Packs of contact rules that hold for every borrower, separated by commas; of several the strictest rule wins."""
    contact_packs_dir: Path | None = None
    """Directory of the house's own packs (NAME.toml), beside the ones that are built in."""
    borrower_channels: Annotated[
        str, StringConstraints(pattern=r"^((sms|push|email|call)(,(sms|push|email|call))*)?$")
    ] = ""
    """Channels on which borrowers themselves are written to or called: sms, push, email, call. Empty: nobody is."""
    templates_dir: Path | None = None
    """Directory of the house's own texts to borrowers, which stand in place of the built-in ones."""
    lender_name: Annotated[str, StringConstraints(max_length=80)] = "your lender"
    """How the lender is called in texts to borrowers."""
    sms_url: Annotated[WebUrl | None, Field(repr=False)] = None
    """Where the provider of text messages takes them (HTTP, JSON)."""
    push_url: Annotated[WebUrl | None, Field(repr=False)] = None
    """Where the provider of push messages takes them (HTTP, JSON)."""
    call_url: Annotated[WebUrl | None, Field(repr=False)] = None
    """Where the dialler takes jobs for automatic calls (HTTP, JSON)."""
    provider_token: SecretStr | None = None
    """The bearer token that these three are called with."""
    smtp_url: Annotated[str | None, Field(repr=False)] = None
    """The mail server for borrowers' e-mail: smtp://user:password@host:587 or smtps://...:465."""
    smtp_from: str | None = None
    """The sender's address of borrowers' e-mail."""

    api_host: str = "127.0.0.1"
    """Address that the HTTP API and the console listen on."""
    api_port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """Port that they listen on; 0 takes a free one."""
    api_requests_a_minute: Annotated[int, Field(ge=1, le=1_000_000)] = 600
    """Requests that one account may make in a minute."""
    api_threads: Annotated[int, Field(ge=1, le=200)] = 16
    """Requests that are worked on at once; each may hold a connection to the database."""
    api_proxies: Annotated[str, StringConstraints(pattern=r"^[0-9A-Fa-f.:/,]*$")] = ""
    """Addresses or networks of proxies whose X-Forwarded-For is believed, separated by commas; without it none."""

    @field_validator("bootstrap_servers")
    @classmethod
    def _has_ports(cls, servers: str) -> str:
        for server in servers.split(","):
            if not 1 <= int(server.rpartition(":")[2]) <= PORT_MAX:
                raise ValueError(f"{server} has no port from 1 to {PORT_MAX}")
        return servers

    @field_validator("ssl_ca_file", "ssl_cert_file", "ssl_key_file", "policy_file")
    @classmethod
    def _is_readable(cls, path: Path | None) -> Path | None:
        if path is not None and not (path.is_file() and os.access(path, os.R_OK)):
            raise ValueError(f"there is no readable file {path}")
        return path

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.min_isr > self.replication:
            raise ValueError("EWS_MIN_ISR is more than EWS_REPLICATION: nothing could be written")
        if self.security_protocol.startswith("SASL") and not (self.sasl_username and self.sasl_password):
            raise ValueError("EWS_SECURITY_PROTOCOL=SASL_... needs EWS_SASL_USERNAME and EWS_SASL_PASSWORD")
        if bool(self.ssl_cert_file) != bool(self.ssl_key_file):
            raise ValueError("EWS_SSL_CERT_FILE and EWS_SSL_KEY_FILE go together: set both or none")
        if self.webhook_url and not self.webhook_secret:
            raise ValueError("EWS_WEBHOOK_URL needs EWS_WEBHOOK_SECRET: messages are always signed")
        if self.clock_until and self.clock != "event":
            raise ValueError("EWS_CLOCK_UNTIL needs EWS_CLOCK=event: the wall clock has no end")
        return self


SECRET = tuple(
    name
    for name, field in Settings.model_fields.items()
    if SecretStr in getattr(field.annotation, "__args__", ()) or (name.endswith("_url") and not field.repr)
)
"""The settings that are or may hold secrets: masked where they are shown, and taken from files too."""


def load(**overrides: Any) -> Settings:
    """The settings of the environment, with those of the command line on top (None stands for not given).

    Raises Misconfigured, naming every setting that is wrong or unknown.
    """
    _refuse_unknown(os.environ)
    given = _from_files(os.environ) | {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as invalid:
        raise Misconfigured("; ".join(map(_mistake, invalid.errors(include_url=False)))) from invalid
    except SettingsError as unreadable:
        raise Misconfigured(f"{unreadable}: {unreadable.__cause__}".replace("\n", " ")) from unreadable


def shown(settings: Settings) -> dict[str, str]:
    """Every setting by its variable, as text that may be shown to anybody: secrets and URLs' credentials are masked."""
    return {variable(name): _shown(name, getattr(settings, name)) for name in Settings.model_fields}


def variable(field: str) -> str:
    """The environment variable of a setting."""
    return PREFIX + field.upper()


def from_file(field: str) -> str:
    """The variable that names a file with a setting's value, for those that may hold a secret."""
    return f"{variable(field)}_FILE"


def _from_files(environment: Mapping[str, str]) -> dict[str, str]:
    """The values that stand in files. One that is empty, or given twice, is a mistake; its content is never told."""
    found = {}
    by_name = {name.upper(): value for name, value in environment.items()}
    for field in SECRET:
        path = by_name.get(from_file(field))
        if not path:
            continue
        if by_name.get(variable(field)):
            raise Misconfigured(f"{variable(field)} and {from_file(field)} say the same thing twice: set one")
        try:
            found[field] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as bad:
            raise Misconfigured(f"{from_file(field)}: {path} is no readable text file") from bad
        if not found[field]:
            raise Misconfigured(f"{from_file(field)}: {path} is empty")
    return found


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    known = [variable(name) for name in Settings.model_fields] + [from_file(name) for name in SECRET]
    unknown = sorted(name for name in environment if name.upper().startswith(PREFIX) and name.upper() not in known)
    if unknown:
        raise Misconfigured("; ".join(f"there is no setting {name}{_nearest(name, known)}" for name in unknown))


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(
        name.upper().removeprefix(PREFIX), [one.removeprefix(PREFIX) for one in known], n=1
    )
    return f", did you mean {PREFIX}{near[0]}?" if near else ", see `ews config show`"


def _mistake(error: ErrorDetails) -> str:
    sentence = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return sentence
    first, *rest = map(str, error["loc"])
    if error["type"] == "string_pattern_mismatch":
        sentence = f"not in the form that is asked for: {Settings.model_fields[first].description}"
    return f"{'.'.join([variable(first), *rest])}: {sentence}"


def _shown(name: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, SecretStr):
        return MASK
    if name.endswith("_url") and str(value).startswith("http"):  # The paths of chat and webhook URLs are secrets too.
        parts = urlsplit(str(value))
        return f"{parts.scheme}://{parts.hostname}/{MASK}"
    if name in {"database_url", "contacts_url", "smtp_url"}:
        return _without_password(str(value))
    return str(value)


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    shown = url if parts.password is None else url.replace(f":{parts.password}@", f":{MASK}@", 1)
    return _QUERY_PASSWORD.sub(rf"\1{MASK}", shown)
