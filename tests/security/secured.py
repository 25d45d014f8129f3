"""A broker that knows its users: SASL and TLS listeners, an authoriser, and certificates made for the occasion."""

from __future__ import annotations

import datetime as dt
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from streams.local.broker import LocalBroker

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DAY = dt.timedelta(days=1)
LISTENERS = {
    "SASLTLS": "SASL_SSL",
    "SASL": "SASL_PLAINTEXT",
    "TLS": "SSL",
    "MUTUAL": "SSL",
    "EXPIRED": "SSL",
}


@dataclass
class Authority:
    """A maker of certificates, in PEM files of a directory."""

    directory: Path
    name: str

    def __post_init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign(self.name, self.key.public_key(), x509.BasicConstraints(ca=True, path_length=0))
        self.file = self._write(f"{self.name}.pem", self.certificate.public_bytes(serialization.Encoding.PEM))

    def issue(self, name: str, *, days: int = 30, host: str = "127.0.0.1") -> tuple[Path, Path]:
        """A certificate for a host (127.0.0.1) and its key; one that ended if `days` is below 0."""
        key = ec.generate_private_key(ec.SECP256R1())
        basic = x509.BasicConstraints(ca=False, path_length=None)
        certificate = self._sign(name, key.public_key(), basic, days=days, host=host)
        pem = serialization.Encoding.PEM
        raw = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return (
            self._write(f"{name}.pem", certificate.public_bytes(pem)),
            self._write(f"{name}.key", raw),
        )

    def keystore(self, name: str, *, days: int = 30) -> Path:
        """The same in one file, as Kafka wants it: the key, then the chain."""
        certificate, key = self.issue(name, days=days)
        return self._write(f"{name}.chain", key.read_bytes() + certificate.read_bytes() + self.file.read_bytes())

    def _sign(
        self,
        name: str,
        public: ec.EllipticCurvePublicKey,
        basic: x509.BasicConstraints,
        *,
        days: int = 30,
        host: str = "127.0.0.1",
    ) -> x509.Certificate:
        now = dt.datetime(2000, 1, 1, tzinfo=dt.UTC)  # Valid for long, or over for long: no clock needed.
        ends = now + 36_500 * DAY if days > 0 else now + DAY
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, self.name)]))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now)
            .not_valid_after(ends)
            .add_extension(basic, critical=True)
            .add_extension(x509.SubjectAlternativeName([_named(host)]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if basic.ca:
            usage = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(usage, critical=True)
        return builder.sign(self.key, hashes.SHA256())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.directory / name
        path.write_bytes(content)
        return path


def _named(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


class SecuredBroker:
    """The broker with its users: each has a password for PLAIN, some for SCRAM too, which takes longer to make."""

    def __init__(self, directory: Path, users: Iterable[str], scram: Iterable[str]) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.passwords = {user: f"{user}-pass-{number:04}-canary" for number, user in enumerate(users)}
        self.ours = Authority(directory, "ours")
        self.strangers = Authority(directory, "strangers")
        self.client = self.ours.issue("partner")
        self.stranger = self.strangers.issue("intruder")
        self.broker = LocalBroker(
            directory / "broker",
            listeners=LISTENERS,
            properties=self._properties(),
            format_arguments=tuple(self._scram(scram)),
        )

    def address(self, listener: str) -> str:
        """Where a listener is."""
        return f"127.0.0.1:{self.broker.ports[listener]}"

    def environment(self, user: str, listener: str = "SASLTLS", mechanism: str = "PLAIN") -> dict[str, str]:
        """The settings of a process that signs in as a user."""
        found = {
            "EWS_BOOTSTRAP_SERVERS": self.address(listener),
            "EWS_SECURITY_PROTOCOL": LISTENERS[listener],
            "EWS_SASL_MECHANISM": mechanism,
            "EWS_SASL_USERNAME": user,
            "EWS_SASL_PASSWORD": self.passwords[user],
        }
        if LISTENERS[listener].endswith("SSL"):
            found["EWS_SSL_CA_FILE"] = str(self.ours.file)
        return found

    def _properties(self) -> dict[str, str]:
        good, ended = self.ours.keystore("server"), self.ours.keystore("ended", days=-1)
        users = " ".join(f'user_{user}="{password}"' for user, password in self.passwords.items())
        login = "org.apache.kafka.common.security"
        # The plain listener of the loopback is the broker's own and the administrator's.
        found = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": "User:ANONYMOUS",
            "allow.everyone.if.no.acl.found": "false",
            "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(good),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(self.ours.file),
            "ssl.endpoint.identification.algorithm": "",
            "listener.name.mutual.ssl.client.auth": "required",
            "listener.name.expired.ssl.keystore.location": str(ended),
        }
        for listener in ("sasltls", "sasl"):
            found |= {
                f"listener.name.{listener}.plain.sasl.jaas.config": f"{login}.plain.PlainLoginModule required {users};",
                f"listener.name.{listener}.scram-sha-256.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
                f"listener.name.{listener}.scram-sha-512.sasl.jaas.config": f"{login}.scram.ScramLoginModule required;",
            }
        return found

    def _scram(self, users: Iterable[str]) -> Iterable[str]:
        for user in users:
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512"):
                yield from ("--add-scram", f"{mechanism}=[name={user},password={self.passwords[user]}]")
