"""E-mail to borrowers by SMTP.

At least once, and no better: a server that has taken a message and is cut off before it says so gets it again. The
repeat has the same Message-ID, derived from the key, by which servers and mail programs may drop it; few do.
"""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote, urlsplit

import aiosmtplib

from streams import clock
from streams.casework.contact import Channel
from streams.consumers.channels.channel import BORROWER
from streams.errors import Misconfigured, Rejected, Unavailable

if TYPE_CHECKING:
    from streams.consumers.channels.channel import Parcel

SECONDS_MAX = 30.0
PORTS = {"smtp": 587, "smtps": 465}
FOR_GOOD = 500
"""SMTP's answers from here on are final (RFC 5321 section 4.2.1)."""


class Server(NamedTuple):
    """Where mail is handed in."""

    host: str
    port: int
    encrypted: bool
    username: str | None
    password: str | None

    def __repr__(self) -> str:
        return f"Server({self.host}:{self.port})"


class Mail:
    """One mail server for every borrower."""

    name = Channel.EMAIL.value
    audience = BORROWER

    def __init__(self, url: str, sender: str) -> None:
        self._server = _server(url)
        self._sender = _sender(sender)
        self._domain = self._sender.rpartition("@")[2]

    async def start(self) -> None:
        """Nothing is held open: a connection is made for each message."""

    async def send(self, parcel: Parcel) -> None:
        """Hand the message in. Raises Unavailable or Rejected."""
        if not _is_one_address(parcel.to):
            raise Rejected("the address is none that mail can go to")
        try:
            message = self._message(parcel)
        except (ValueError, LookupError, AttributeError):  # What no header can hold: its parser fails in any of these.
            raise Rejected("the address is none that mail can go to") from None
        try:
            await self._hand_in(message)
        except aiosmtplib.SMTPRecipientsRefused as refused:
            codes = [one.code for one in refused.recipients]
            raise _fault("the recipient is refused", max(codes, default=FOR_GOOD)) from None
        except aiosmtplib.SMTPDataError as refused:
            raise _fault("the message is refused", refused.code) from None
        except aiosmtplib.SMTPResponseException as refused:  # The greeting, our sign-in, our sender: not the recipient.
            raise Unavailable(f"the mail server answers {refused.code}: look at EWS_SMTP_URL, EWS_SMTP_FROM") from None
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as away:
            raise Unavailable(f"the mail server does not answer ({type(away).__name__})") from None
        except ValueError:  # What no header can hold, such as a domain that does not exist in ASCII.
            raise Rejected("the address is none that mail can go to") from None

    async def stop(self) -> None:
        """Nothing is held open."""

    async def _hand_in(self, message: EmailMessage) -> None:
        server = self._server
        await aiosmtplib.send(
            message,
            hostname=server.host,
            port=server.port,
            username=server.username,
            password=server.password,
            use_tls=server.encrypted,
            start_tls=True if server.username and not server.encrypted else None,
            timeout=SECONDS_MAX,
        )

    def _message(self, parcel: Parcel) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = self._sender
        message["To"] = parcel.to
        message["Subject"] = parcel.title
        message["Message-ID"] = f"<{parcel.key}@{self._domain}>"
        message["Date"] = format_datetime(clock.now())
        message["Auto-Submitted"] = "auto-generated"
        if parcel.language:
            message["Content-Language"] = parcel.language
        message.set_content(parcel.body)
        return message


def _fault(what: str, code: int) -> Rejected | Unavailable:
    text = f"{what}: the mail server answers {code}"
    return Rejected(text) if code >= FOR_GOOD else Unavailable(text)


def _server(url: str) -> Server:
    wrong = Misconfigured("EWS_SMTP_URL must be smtp://user:password@host:587 or smtps://user:password@host:465")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in PORTS or not parts.hostname or parts.path not in {"", "/"}:
        raise wrong
    return Server(
        parts.hostname,
        port or PORTS[parts.scheme],
        parts.scheme == "smtps",
        unquote(parts.username) if parts.username else None,
        unquote(parts.password) if parts.password else None,
    )


def _sender(address: str) -> str:
    if not _is_one_address(address):
        raise Misconfigured("EWS_SMTP_FROM must be an address such as notices@lender.example")
    return address


def _is_one_address(address: str) -> bool:
    """Nothing that could be several, or put another line into the head of a message."""
    return address.isascii() and address.count("@") == 1 and not any(c.isspace() or c in "<>,;:()" for c in address)
