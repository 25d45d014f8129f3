"""The other side of every channel, on loopback: it answers as it is told to and keeps what it took."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from aiohttp import web
from aiohttp.test_utils import TestServer
from aiosmtpd.smtp import SMTP
from pydantic import SecretStr

from streams.casework.contact import Channel as Way
from streams.consumers.channels.channel import Parcel
from streams.consumers.channels.chat import chats
from streams.consumers.channels.mail import Mail
from streams.consumers.channels.outbox import FileOutbox
from streams.consumers.channels.provider import Provider
from streams.consumers.channels.webhook import SignedWebhook

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from aiosmtpd.smtp import Envelope, Session

    from streams.consumers.channels.channel import Channel

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
TO = "someone@example.com"
PARCEL = Parcel(key="k-1", body='{"text": "Something is due."}', title="A title", to=TO, language="en")
TAKES, AWAY, NEVER = "takes", "away", "never"


class Stand(NamedTuple):
    """A channel, what stands behind it, and whether that can say no for good."""

    channel: Channel
    other: Other
    can_refuse: bool = True


class Other:
    """What a channel speaks to."""

    def __init__(self) -> None:
        self.mood = TAKES
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.text: str | None = None
        self.taken: list[tuple[dict[str, str], bytes]] = []

    async def http(self, request: web.Request) -> web.Response:
        """An answer to a POST."""
        body = await request.read()
        status = self.status or {TAKES: 202, AWAY: 503, NEVER: 422}[self.mood]
        if status < 300:
            self.taken.append(({name.lower(): value for name, value in request.headers.items()}, body))
        return web.Response(status=status, headers=self.headers, text=self.text)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802, ARG002 - aiosmtpd calls it
        """An answer to a mail."""
        if self.status or self.mood != TAKES:
            return f"{self.status or {AWAY: 451, NEVER: 550}[self.mood]} no"
        self.taken.append(({}, bytes(envelope.content or b"")))
        return "250 taken"


@asynccontextmanager
async def http_stand(name: str) -> AsyncIterator[Stand]:
    """A channel that speaks HTTP."""
    other, application = Other(), web.Application()
    application.router.add_post("/secret-path", other.http)
    async with TestServer(application) as server:
        url = str(server.make_url("/secret-path"))
        channels: dict[str, Any] = {
            "webhook": lambda: SignedWebhook(url, SecretStr(SECRET)),
            "chat": lambda: chats(SecretStr(url.replace("http://", "json://")))[0],
            **{way: lambda way=way: Provider(way, url, SecretStr("a-token")) for way in (Way.SMS, Way.PUSH, Way.CALL)},
        }
        channel: Channel = channels[name]()
        await channel.start()
        yield Stand(channel, other, can_refuse=name != "chat")
        await channel.stop()


@asynccontextmanager
async def mail_stand() -> AsyncIterator[Stand]:
    """E-mail."""
    other = Other()
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(other), "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield Stand(Mail(f"smtp://127.0.0.1:{port}", "notices@lender.example"), other)


@asynccontextmanager
async def outbox_stand(folder: Path) -> AsyncIterator[Stand]:
    """Files."""
    channel = FileOutbox(folder / "out")
    await channel.start()

    class Files(Other):
        @property
        def mood(self) -> str:
            return TAKES

        @mood.setter
        def mood(self, mood: str) -> None:
            if mood != TAKES:
                (folder / "out").rename(folder / "gone")

    yield Stand(channel, Files(), can_refuse=False)
