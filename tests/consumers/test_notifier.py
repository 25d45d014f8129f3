from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

import orjson
import pytest
from structlog.contextvars import merge_contextvars
from structlog.testing import capture_logs

from schemas.alerts import Severity
from schemas.traces import of_alert
from streams.casework.alerts import FEED_STALE
from streams.consumers.contact_policy import staff_only
from streams.consumers.delivery import Delivery
from streams.consumers.loop import Batch
from streams.consumers.notifier import Notifier, body_of, idempotency_key
from streams.errors import Rejected, Unavailable
from streams.metrics import Metrics
from streams.stores.database import open_database
from streams.stores.messages import MessageStatus, MessageStore
from tests.consumers.builders import START, alert, episode
from tests.consumers.fakes import Pigeonhole

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.consumers.channels.channel import Channel

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Desk:
    """A notifier with its delivery, a clock that is set by hand, and no Kafka."""

    def __init__(self, store: MessageStore, *channels: Channel, notify_from: Severity = Severity.WATCH) -> None:
        self.store = store
        self.channels = channels
        self.notify_from = notify_from
        self.now = START
        self.restart()

    def restart(self) -> None:
        """A new process on the same database."""
        metrics = Metrics()
        self.notifier = Notifier(self.store, self.channels, metrics, now=lambda: self.now, notify_from=self.notify_from)
        self.delivery = Delivery(
            self.store,
            self.channels,
            staff_only,
            metrics,
            now=lambda: self.now,
            partitions=lambda: [0],
            stop=asyncio.Event(),
        )

    def take(self, *alerts: Alert) -> None:
        """Take a batch, as the loop would."""
        start = self.store.positions("alerts").get(0, 0)
        self.notifier.take(Batch("alerts", 0, start, start + len(alerts), alerts))

    async def deliver(self, *, hours: float = 0) -> None:
        """Deliver for so long, looking every minute."""
        end = self.now + timedelta(hours=hours)
        while self.now <= end:
            while await self.delivery.deliver_due():
                pass
            self.now += timedelta(minutes=1)

    def statuses(self, told: Alert) -> list[str]:
        """What became of the messages about an alert."""
        return [message.status for message in self.store.of_alert(str(told.id))]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[MessageStore]:
    """An empty store."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        yield MessageStore(database)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries in quick succession come at once, and a pause is looked for at every message."""
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_FIRST", 0.0)
    monkeypatch.setattr("streams.consumers.delivery.RETRY_SECONDS_AT_ONCE_MAX", 0.0)
    monkeypatch.setattr("streams.consumers.delivery.PAUSE_SECONDS", 0.0)


async def test_a_live_alert_reaches_every_channel(store: MessageStore) -> None:
    """One message for each channel, under the key that the alert's id gives."""
    one, two = Pigeonhole("one"), Pigeonhole("two")
    desk = Desk(store, one, two)
    desk.take(alert())

    await desk.deliver()

    assert [f"staff-{alert().id}"] == one.taken == two.taken
    assert ["sent", "sent"] == desk.statuses(alert())


@pytest.mark.parametrize(
    ("told", "sent"),
    [
        (alert(severity="info"), False),
        (alert(severity="watch"), True),
        (alert(severity="critical", mode="history"), False),
        (alert(severity="critical", mode="shadow"), False),
        (alert(detector=FEED_STALE, borrower="core-banking", loan=None, severity="info"), True),
        (alert(detector="feed_late", scope="source", borrower="core-banking", loan=None, severity="info"), True),
        (alert(detector="measure_warming", scope="measure", borrower="inflow", loan=None, severity="info"), False),
        (alert(detector="cohort_drift", scope="cohort", borrower="product:cash", loan=None, severity="watch"), True),
        (alert("resolved", severity="info", revision=2), False),
    ],
)
async def test_who_is_told_what(store: MessageStore, told: Alert, *, sent: bool) -> None:
    """Live alerts from watch, and every feed that has stopped; never the warm-up or a detector on trial."""
    desk = Desk(store, Pigeonhole())
    desk.take(told)

    assert sent == bool(store.of_alert(str(told.id)))
    assert {0: 1} == store.positions("alerts")


async def test_the_end_of_what_was_told_is_told(store: MessageStore) -> None:
    """The withdrawal of an alert that staff got goes out too, however mild it is by then."""
    desk = Desk(store, pigeonhole := Pigeonhole(), notify_from=Severity.HIGH)
    desk.take(*episode("b-1", [("opened", "high", 1), ("withdrawn", "info", 1)]))

    await desk.deliver()

    assert 2 == len(pigeonhole.taken)


async def test_an_alert_that_comes_again_is_sent_once(store: MessageStore) -> None:
    """In the same batch, in a later one, and after a restart."""
    desk = Desk(store, pigeonhole := Pigeonhole())
    desk.take(alert(), alert())
    await desk.deliver()
    desk.restart()
    desk.take(alert())

    await desk.deliver()

    assert 1 == len(pigeonhole.taken)


async def test_a_lower_revision_after_a_higher_one_is_not_sent(store: MessageStore) -> None:
    """Staff never read that an episode is open after they read that it is withdrawn."""
    opened, withdrawn = episode("b-1", [("opened", "high", 1), ("withdrawn", "high", 1)])
    desk = Desk(store, pigeonhole := Pigeonhole())
    desk.take(withdrawn, opened)

    await desk.deliver()

    assert [idempotency_key(withdrawn, "staff")] == pigeonhole.taken
    assert [MessageStatus.SUPERSEDED] == desk.statuses(opened)


async def test_an_outage_of_hours_delays_and_loses_nothing(store: MessageStore) -> None:
    """What fails waits with growing pauses and goes out in its order when the other side is back."""
    pigeonhole = Pigeonhole(fault=lambda *_: Unavailable("down"))
    desk = Desk(store, pigeonhole)
    told = episode("b-1", [("opened", "high", 1), ("escalated", "high", 5), ("escalated", "critical", 15)])
    desk.take(*told)
    await desk.deliver(hours=5)
    assert [] == pigeonhole.taken
    assert pigeonhole.attempts[idempotency_key(told[0], "staff")] < 300

    pigeonhole.fault = lambda *_: None
    await desk.deliver(hours=1)

    assert [idempotency_key(one, "staff") for one in told] == pigeonhole.taken


async def test_a_message_that_fails_is_not_overtaken(store: MessageStore) -> None:
    """What comes after it for the same borrower waits for it, though it could go out; another borrower's goes."""
    told = episode("b-1", [("opened", "high", 1), ("escalated", "high", 5)])
    other = alert(borrower="b-2")
    first = idempotency_key(told[0], "staff")
    pigeonhole = Pigeonhole(fault=lambda key, _: Unavailable("not you") if key == first else None)
    desk = Desk(store, pigeonhole)
    desk.take(*told, other)
    await desk.deliver()
    assert [idempotency_key(other, "staff")] == pigeonhole.taken

    pigeonhole.fault = lambda *_: None
    await desk.deliver(hours=1)

    assert [idempotency_key(one, "staff") for one in told] == pigeonhole.taken[1:]


async def test_a_refusal_is_recorded_and_the_rest_goes_on(store: MessageStore) -> None:
    """A 4xx is for good: not tried again, and no other message waits for it."""
    refused, fine = alert(), alert(detector="income_missing")
    key = idempotency_key(refused, "staff")
    desk = Desk(store, pigeonhole := Pigeonhole(fault=lambda k, _: Rejected("no") if k == key else None))
    desk.take(refused, fine)

    await desk.deliver(hours=1)

    assert ([MessageStatus.REJECTED], [MessageStatus.SENT]) == (desk.statuses(refused), desk.statuses(fine))
    assert 1 == pigeonhole.attempts[key]


async def test_a_crash_before_the_record_repeats_under_the_same_key(store: MessageStore) -> None:
    """Recording comes last: a message that was sent and not recorded is sent again, recognisably."""
    desk = Desk(store, pigeonhole := Pigeonhole())
    desk.take(alert())
    await desk.delivery._send(store.due(channels=["pigeonhole"], partitions=[0], now=START, limit=1)[0])
    desk.restart()

    await desk.deliver()

    assert 2 == len(pigeonhole.taken)
    assert 1 == len(set(pigeonhole.taken))


async def test_a_pause_holds_everything_back_and_loses_nothing(store: MessageStore) -> None:
    """While it is paused nothing goes out, not even in the middle of a batch; afterwards all of it does."""
    pigeonhole = Pigeonhole()
    desk = Desk(store, pigeonhole)
    alerts = [alert(detector=f"kind_{number}") for number in range(5)]
    desk.take(*alerts)
    pigeonhole.fault = lambda *_: store.pause(START)  # type: ignore[func-returns-value]
    await desk.deliver(hours=1)
    assert 1 == len(pigeonhole.taken)

    store.resume()
    pigeonhole.fault = lambda *_: None
    await desk.deliver()

    assert 5 == len(set(pigeonhole.taken))


async def test_nobody_but_staff_is_contacted(store: MessageStore) -> None:
    """A channel that reaches anybody else is refused with its rule."""
    pigeonhole = Pigeonhole()
    pigeonhole.audience = "borrower"
    desk = Desk(store, pigeonhole)
    desk.take(alert())

    await desk.deliver()

    [message] = store.of_alert(str(alert().id))
    assert MessageStatus.REFUSED is message.status
    assert "EWS_BORROWER_CHANNELS" in (message.detail or "")
    assert [] == pigeonhole.taken


async def test_what_could_not_be_recorded_is_not_sent_again(
    store: MessageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is away after the sending is waited for; the messages are recorded, not repeated."""
    desk = Desk(store, pigeonhole := Pigeonhole())
    desk.take(alert())
    record = store.record

    def away(*_: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(store, "record", lambda verdicts, _then=None: away() if verdicts else None)
    with pytest.raises(Unavailable):
        await desk.delivery.deliver_due()
    monkeypatch.setattr(store, "record", record)

    await desk.deliver()

    assert 1 == len(pigeonhole.taken)
    assert [MessageStatus.SENT] == desk.statuses(alert())


def test_a_message_names_no_more_than_the_alert() -> None:
    """The body has the form of Standard Webhooks, the alert as it is, and a sentence."""
    body = orjson.loads(body_of(alert()))

    assert {"type", "timestamp", "text", "data"} == set(body)
    assert "HIGH opened: missed_installment at step 1. Next: Look into missed_installment." == body["text"]
    assert str(alert().id) == body["data"]["alert_id"]


async def test_a_message_that_meets_a_fault_of_ours_waits_and_holds_up_nobody(store: MessageStore) -> None:
    """The process goes on, the others are sent, and what the fault says is kept nowhere."""
    hole = Pigeonhole(fault=lambda key, _: KeyError("+49 151 1") if key.endswith(str(bad.id)) else None)
    bad, good = alert(borrower="b-1"), alert(borrower="b-2")
    desk = Desk(store, hole)
    desk.take(bad, good)

    await desk.deliver()

    assert ["waiting"] == desk.statuses(bad)
    assert ["sent"] == desk.statuses(good)
    assert "it could not be sent (KeyError)" == store.of_alert(str(bad.id))[0].detail


@pytest.mark.parametrize("sent", [TRACE, None])
async def test_a_message_belongs_to_the_trace_of_its_alert(store: MessageStore, sent: str | None) -> None:
    """From the alert over the database to the channel, also where the alert began the trace itself."""
    hole, told = Pigeonhole(), alert().model_copy(update={"traceparent": sent})
    desk = Desk(store, hole)
    desk.take(told)
    await desk.deliver()
    assert [of_alert(told)] == [parcel.traceparent for parcel in hole.parcels]


async def test_what_is_logged_of_a_message_names_its_alert_and_trace(store: MessageStore) -> None:
    """A refusal by the other side can be followed back to the event."""
    hole, told = Pigeonhole(), alert().model_copy(update={"traceparent": TRACE})
    hole.fault = lambda *_: Rejected("no")
    desk = Desk(store, hole)
    desk.take(told)
    with capture_logs(processors=[merge_contextvars]) as logs:
        await desk.deliver()
    [line] = [line for line in logs if line["event"] == "message_rejected"]
    assert (str(told.id), TRACE.split("-")[1]) == (line["alert_id"], line["trace_id"])
