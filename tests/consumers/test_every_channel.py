from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from email import message_from_bytes, policy
from typing import TYPE_CHECKING

import orjson
import pytest
from pydantic import SecretStr

from streams import clock
from streams.bootstrap.channels import all_channels
from streams.casework.contact import Channel as Way
from streams.consumers.channels.channel import AskedToWait, Parcel
from streams.consumers.channels.chat import chats
from streams.consumers.channels.mail import Mail
from streams.consumers.channels.provider import Provider
from streams.errors import Misconfigured, Rejected, Unavailable
from streams.settings import load
from tests.consumers.stands import AWAY, NEVER, PARCEL, TO, Stand, http_stand, mail_stand, outbox_stand

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

# Apprise imports it under 3.11, and has its own in its place where it is gone.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")

EVERY = ("outbox", "webhook", "chat", "sms", "push", "call", "email")


@pytest.fixture(params=EVERY)
async def stand(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Stand]:
    """Every channel in turn."""
    made = {"outbox": lambda: outbox_stand(tmp_path), "email": mail_stand}
    async with made.get(request.param, lambda: http_stand(request.param))() as stand:
        yield stand


@pytest.fixture
async def sms() -> AsyncIterator[Stand]:
    """A provider of text messages."""
    async with http_stand("sms") as stand:
        yield stand


async def test_a_channel_delivers(stand: Stand) -> None:
    """What is sent is taken, and the channel says whom it reaches."""
    await stand.channel.send(PARCEL)

    assert stand.channel.audience in {"staff", "borrower"}
    assert 32 >= len(stand.channel.name)


async def test_a_channel_that_is_away_is_tried_again(stand: Stand) -> None:
    """It is Unavailable, and the sentence names no recipient and no URL."""
    stand.other.mood = AWAY

    with pytest.raises(Unavailable) as fault:
        await stand.channel.send(PARCEL)

    assert TO not in str(fault.value)
    assert "secret-path" not in str(fault.value)


async def test_a_refusal_for_good_is_not_tried_again(stand: Stand) -> None:
    """Where the other side can say so, it is Rejected, and the sentence names no recipient."""
    if not stand.can_refuse:
        return
    stand.other.mood = NEVER

    with pytest.raises(Rejected) as fault:
        await stand.channel.send(PARCEL)

    assert TO not in str(fault.value)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(code, Unavailable) for code in (408, 425, 429, 500, 502, 503, 301, 401, 403, 404, 405)]
    + [(code, Rejected) for code in (400, 406, 410, 422)],
)
async def test_a_provider_s_answers_are_told_apart(sms: Stand, status: int, fault: type[Exception]) -> None:
    """What is our own fault (address, token) marks nobody as unreachable: it is tried again."""
    sms.other.status = status

    with pytest.raises(fault, match=str(status)):
        await sms.channel.send(PARCEL)


async def test_a_key_that_the_provider_knows_is_sent(sms: Stand) -> None:
    """409 is its word for a repeat."""
    sms.other.status = 409

    await sms.channel.send(PARCEL)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("120", 120),
        ("99999999", 3_600),
        ((clock.now() + timedelta(hours=9)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 3_600),
    ],
)
async def test_a_provider_may_ask_to_wait(sms: Stand, header: str, seconds: int) -> None:
    """Retry-After is honoured, in seconds or as a date, for an hour at most."""
    sms.other.status, sms.other.headers = 429, {"Retry-After": header}

    with pytest.raises(AskedToWait) as fault:
        await sms.channel.send(PARCEL)

    assert seconds == fault.value.seconds


@pytest.mark.parametrize("header", ["soon", "Mon, 01 Jan 99999999999999999999 00:00:00 GMT"])
async def test_a_retry_after_that_is_none_is_ignored(sms: Stand, header: str) -> None:
    """The message is tried again as after any fault."""
    sms.other.status, sms.other.headers = 503, {"Retry-After": header}

    with pytest.raises(Unavailable) as fault:
        await sms.channel.send(PARCEL)

    assert Unavailable is type(fault.value)


@pytest.mark.parametrize("name", ["sms", "webhook"])
async def test_an_answer_that_cannot_be_read_is_tried_again(name: str) -> None:
    """An answer that is not packed as it says is like none: nobody knows whether the message was taken."""
    async with http_stand(name) as stand:
        stand.other.status, stand.other.text = 200, "not packed"
        stand.other.headers = {"Content-Encoding": "gzip"}

        with pytest.raises(Unavailable, match="DecodingError"):
            await stand.channel.send(PARCEL)


@pytest.mark.parametrize("address", ["a@", "a@[b", "", "a@b@c", "a@b\nBcc: c@d"])
async def test_an_address_that_mail_cannot_go_to_is_refused(address: str) -> None:
    """Whatever the address is, the message is refused and the next one is sent."""
    async with mail_stand() as stand:
        with pytest.raises(Rejected, match="none that mail can go to"):
            await stand.channel.send(replace(PARCEL, to=address))

        assert [] == stand.other.taken


@pytest.mark.parametrize(
    ("way", "more"), [("sms", {}), ("push", {"title": "A title"}), ("call", {"opening": "A title", "attempts_max": 1})]
)
async def test_what_a_provider_is_given(way: str, more: dict[str, object]) -> None:
    """A bearer token, the idempotency key, and one JSON object."""
    until = clock.now()
    async with http_stand(way) as stand:
        await stand.channel.send(Parcel(key="k-1", body="Text", title="A title", to=TO, language="zh", until=until))

    [(headers, body)] = stand.other.taken
    assert ("Bearer a-token", "k-1") == (headers["authorization"], headers["idempotency-key"])
    expected = {"reference": "k-1", "to": TO, "text": "Text", "language": "zh", "send_before": until.isoformat()}
    assert expected | more == orjson.loads(body)


async def test_a_mail_is_known_again_by_its_id() -> None:
    """The Message-ID comes from the key; text and subject arrive in any alphabet."""
    async with mail_stand() as stand:
        for _ in range(2):
            await stand.channel.send(
                Parcel(key="k-1", body="您好。\n\n待还", title="关于您的分期款", to=TO, language="zh")
            )

    first, second = (message_from_bytes(body, policy=policy.default) for _, body in stand.other.taken)
    assert "<k-1@lender.example>" == first["Message-ID"] == second["Message-ID"]
    assert ("关于您的分期款", TO) == (first["Subject"], first["To"])
    assert "您好。\n\n待还" == first.get_content().replace("\r\n", "\n").strip()  # type: ignore[attr-defined]


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: c@d.example", "a b@c.example\n", "a@b.example, c@d.example"])
async def test_an_address_that_would_forge_a_header_is_refused(address: str) -> None:
    """Nothing is handed in, and the sentence does not repeat it."""
    async with mail_stand() as stand:
        with pytest.raises(Rejected) as fault:
            await stand.channel.send(Parcel(key="k-1", body="Text", title="A title", to=address))

    assert [] == stand.other.taken
    assert "d.example" not in str(fault.value)


async def test_nobody_there_is_unavailable() -> None:
    """Neither the provider's URL nor the mail server's password is in the sentence."""
    provider = Provider(Way.SMS, "http://127.0.0.1:1/secret-path", SecretStr("a-token"))
    await provider.start()
    for channel in (provider, Mail("smtp://ews:hunter2@127.0.0.1:1", "notices@lender.example")):
        with pytest.raises(Unavailable) as fault:
            await channel.send(PARCEL)
        assert not any(secret in f"{fault.value!r} {channel!r}" for secret in ("secret-path", "hunter2", TO))
    await provider.stop()


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({}, "EWS_OUTBOX_DIR"),
        ({"borrower_channels": "sms"}, "EWS_CONTACTS_KEY"),
        ({"borrower_channels": "sms", "contacts_key": "x"}, "EWS_SMS_URL"),
        ({"borrower_channels": "push", "contacts_key": "x"}, "EWS_PUSH_URL"),
        ({"borrower_channels": "call", "contacts_key": "x"}, "EWS_CALL_URL"),
        ({"borrower_channels": "call", "contacts_key": "x", "call_url": "http://x/"}, "EWS_PROVIDER_TOKEN"),
        ({"borrower_channels": "email", "contacts_key": "x"}, "EWS_SMTP_URL"),
        ({"borrower_channels": "email", "contacts_key": "x", "smtp_url": "smtp://x"}, "EWS_SMTP_FROM"),
        ({"borrower_channels": "email", "contacts_key": "x", "smtp_url": "ftp://x", "smtp_from": "a@b.c"}, "SMTP_URL"),
        ({"borrower_channels": "email", "contacts_key": "x", "smtp_url": "smtp://x", "smtp_from": "a"}, "SMTP_FROM"),
        ({"staff_urls": "mailto://a:b@c.example nonsense://secret"}, "EWS_STAFF_URLS: URL 2"),
    ],
)
def test_a_channel_that_cannot_work_is_named_at_the_start(settings: dict[str, str], named: str) -> None:
    """The sentence names the setting and shows none of its value."""
    with pytest.raises(Misconfigured, match=named) as fault:
        all_channels(load(**settings))

    assert "secret" not in str(fault.value)


def test_every_service_for_staff_is_a_channel_of_its_own() -> None:
    """So that one that is away repeats nothing on the others."""
    names = [chat.name for chat in chats(SecretStr("json://a.example/ mailto://a:b@c.example"))]

    assert ["json-1", "mailto-2"] == names
