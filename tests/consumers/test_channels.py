from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr
from standardwebhooks import Webhook

from schemas.alerts import Severity
from streams.consumers.channels.channel import Parcel
from streams.consumers.channels.outbox import FileOutbox
from streams.consumers.channels.webhook import SignedWebhook
from streams.consumers.notifier import idempotency_key
from streams.errors import Misconfigured, Rejected, Unavailable
from streams.stores.database import open_database
from streams.stores.messages import MessageStore
from tests.consumers.builders import alert
from tests.consumers.test_notifier import Desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
pytestmark = pytest.mark.usefixtures("quick")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries in quick succession come at once."""
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_FIRST", 0.0)
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_AT_ONCE_MAX", 0.0)


class Receiver:
    """A receiver that verifies every message with the library, and answers as it is told to."""

    def __init__(self, answer: Callable[[], int] = lambda: 204) -> None:
        self.answer = answer
        self.accepted: Counter[str] = Counter()
        self.asked = 0
        self.url = ""
        self.traces: list[str | None] = []

    async def handle(self, request: web.Request) -> web.Response:
        """Verify, answer, and count what was accepted by its webhook-id."""
        body = await request.read()
        Webhook(SECRET).verify(body, dict(request.headers))
        self.asked += 1
        self.traces.append(request.headers.get("traceparent"))
        status = self.answer()
        if status < 300:
            self.accepted[request.headers["webhook-id"]] += 1
        return web.Response(status=status)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on loopback."""
    receiver = Receiver()
    application = web.Application()
    application.router.add_post("/hook", receiver.handle)
    async with TestServer(application) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver


@pytest.fixture
async def webhook(receiver: Receiver) -> AsyncIterator[SignedWebhook]:
    """A webhook to the receiver."""
    channel = SignedWebhook(receiver.url, SecretStr(SECRET))
    await channel.start()
    yield channel
    await channel.stop()


async def test_a_webhook_is_signed(webhook: SignedWebhook, receiver: Receiver) -> None:
    """The receiver's library accepts the signature, and sees the idempotency key as webhook-id."""
    await webhook.send(Parcel(key="staff-1", body='{"type":"x"}'))

    assert {"staff-1": 1} == receiver.accepted


async def test_a_webhook_says_to_which_trace_it_belongs(webhook: SignedWebhook, receiver: Receiver) -> None:
    """The header of W3C Trace Context, where the message has a trace."""
    await webhook.send(Parcel(key="staff-1", body="{}", traceparent=TRACE))
    await webhook.send(Parcel(key="staff-2", body="{}"))
    assert [TRACE, None] == receiver.traces


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (500, Unavailable),
        (503, Unavailable),
        (429, Unavailable),
        (408, Unavailable),
        (400, Rejected),
        (404, Rejected),
        (410, Rejected),
        (302, Rejected),
    ],
)
async def test_answers_are_told_apart(
    webhook: SignedWebhook, receiver: Receiver, status: int, fault: type[Exception]
) -> None:
    """What may pass is worth another try; what is refused for good is not."""
    receiver.answer = lambda: status

    with pytest.raises(fault, match=str(status)):
        await webhook.send(Parcel(key="staff-1", body="{}"))


async def test_nobody_there_is_unavailable() -> None:
    """A connection that is refused is worth another try, and the error does not show the URL."""
    channel = SignedWebhook("http://127.0.0.1:1/secret-path", SecretStr(SECRET))
    await channel.start()
    try:
        with pytest.raises(Unavailable) as fault:
            await channel.send(Parcel(key="staff-1", body="{}"))
    finally:
        await channel.stop()

    assert "secret-path" not in str(fault.value)


async def test_a_receiver_that_fails_often_gets_each_message_once(
    webhook: SignedWebhook, receiver: Receiver, tmp_path: Path
) -> None:
    """With 20 % of the answers a 500, each of 300 messages is accepted exactly once, under its own key."""
    dice = random.Random(7)  # noqa: S311 - a test's dice
    receiver.answer = lambda: 500 if dice.random() < 0.2 else 204
    alerts = [alert(borrower=f"b-{number % 40}", detector=f"kind_{number}") for number in range(300)]
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        desk = Desk(MessageStore(database), webhook, notify_from=Severity.WATCH)
        desk.take(*alerts)
        await desk.deliver(hours=1)

    assert {idempotency_key(told, "staff"): 1 for told in alerts} == receiver.accepted
    assert receiver.asked > 300


def test_a_secret_that_is_none_is_refused_at_the_start() -> None:
    """The sentence names the setting and not the secret."""
    with pytest.raises(Misconfigured, match="EWS_WEBHOOK_SECRET") as fault:
        SignedWebhook("http://127.0.0.1:1/", SecretStr("whsec_x"))

    assert "whsec_x" not in str(fault.value)


async def test_the_outbox_overwrites_a_repeat(tmp_path: Path) -> None:
    """One file for a key, whole, with the latest content, and nothing unfinished beside it."""
    outbox = FileOutbox(tmp_path / "out")
    await outbox.start()

    await asyncio.gather(*(outbox.send(Parcel(key=f"staff-{number}", body="{}")) for number in range(3)))
    await outbox.send(Parcel(key="staff-1", body='{"again":1}'))

    assert ["staff-0.json", "staff-1.json", "staff-2.json"] == sorted(p.name for p in (tmp_path / "out").iterdir())
    assert '{"again":1}\n' == (tmp_path / "out/staff-1.json").read_text()


async def test_an_outbox_that_cannot_be_is_refused_at_the_start(tmp_path: Path) -> None:
    """A file in the place of the directory is named, with the setting."""
    (tmp_path / "out").touch()

    with pytest.raises(Misconfigured, match="EWS_OUTBOX_DIR"):
        await FileOutbox(tmp_path / "out").start()


async def test_an_outbox_that_goes_away_is_unavailable(tmp_path: Path) -> None:
    """A directory that is gone for now is worth another try."""
    outbox = FileOutbox(tmp_path / "out")
    await outbox.start()
    (tmp_path / "out").rmdir()

    with pytest.raises(Unavailable):
        await outbox.send(Parcel(key="staff-1", body="{}"))
