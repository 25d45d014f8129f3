"""Short ways to say events in tests, and a world that plays them through the lane."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from schemas import events
from schemas.alerts import Alert
from schemas.codec import decode, encode
from schemas.events import Topic
from streams.bootstrap.policy import detector_class, load_detectors
from streams.engine.calendar import ms_of
from streams.engine.drain import LANE_KEY, Effects
from streams.engine.engine import Engine
from streams.engine.lane import Lane, LaneSettings
from streams.engine.policy import Policy

ZONE = "Asia/Shanghai"
START = date(2025, 1, 1)
SERVICING, BANK, BUREAU = "servicing/core", "bank/alpha", "bureau/one"


class Record(NamedTuple):
    """A Kafka record as far as a lane looks at it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def at(day: float, hour: float = 10) -> datetime:
    """An instant on the day of a timeline that starts on 2025-01-01 in Shanghai."""
    return datetime(2025, 1, 1, tzinfo=ZoneInfo(ZONE)) + timedelta(days=day, hours=hour)


def on(day: int) -> date:
    """The local date of a day of the timeline."""
    return START + timedelta(days=day)


_ids = iter(range(1, 10**9))


def event(
    model: type[events.Event], when: datetime, *, subject: str = "b-1", source: str = SERVICING, identity: str = "",
    recorded: datetime | None = None, **data: Any,
) -> events.Event:  # fmt: skip
    """An event of a type, its data as keywords."""
    envelope = {"specversion": "1.0", "id": identity or f"e-{next(_ids)}", "source": source, "subject": subject}
    raw = {**envelope, "type": model.model_fields["type"].default, "time": when.isoformat(), "data": data}
    if recorded is not None:
        raw["recordedtime"] = recorded.isoformat()
    return decode(orjson.dumps(raw))


def schedule(due_days: list[int], amount: int = 1_000) -> list[dict[str, Any]]:
    """Installments of one amount, due on days of the timeline."""
    return [{"number": n, "due_on": on(day).isoformat(), "amount_minor": amount} for n, day in enumerate(due_days, 1)]


def opened(due_days: list[int], amount: int = 1_000, *, loan: str = "l-1", day: float = 0, **more: Any) -> events.Event:
    """A loan with installments due on days of the timeline."""
    terms = {
        "loan": loan, "currency": "CNY", "servicing_zone": ZONE, "product": "cash", "channel": "app",
        "principal_minor": amount * len(due_days), "schedule": schedule(due_days, amount),
    }  # fmt: skip
    envelope = {k: more.pop(k) for k in ("subject", "source", "identity", "recorded") if k in more}
    return event(events.LoanOpened, at(day), **envelope, **(terms | more))


def paid(
    day: float, amount: int = 1_000, *, loan: str = "l-1", payment: str = "", valued: float | None = None, **more: Any
) -> events.Event:
    """A repayment booked on a day, valued then or earlier."""
    valued_at = at(day if valued is None else valued)
    envelope = {k: more.pop(k) for k in ("subject", "source", "identity", "recorded") if k in more}
    data = {"loan": loan, "payment_id": payment or f"p-{next(_ids)}", "amount_minor": amount, "currency": "CNY"}
    return event(events.RepaymentReceived, at(day), **envelope, **(data | {"valued_at": valued_at.isoformat()} | more))


def returned(day: float, payment: str, reason: str = "AM04", *, loan: str = "l-1", **more: Any) -> events.Event:
    """A returned repayment."""
    return event(events.RepaymentReturned, at(day, 15), loan=loan, payment_id=payment, reason_code=reason, **more)


def booked(
    day: float, amount: int, balance: int | None = None, *, hour: float = 10, purpose: str | None = None, **more: Any
) -> events.Event:
    """An account transaction: a credit if the amount is positive."""
    data: dict[str, Any] = {
        "account": "a-1", "transaction_id": f"t-{next(_ids)}", "amount_minor": abs(amount), "currency": "CNY",
        "indicator": "CRDT" if amount > 0 else "DBIT",
    }  # fmt: skip
    data |= {k: v for k, v in (("balance_after_minor", balance), ("purpose", purpose)) if v is not None}
    return event(events.TransactionBooked, at(day, hour), source=more.pop("source", BANK), **more, **data)


def inquired(day: float, lender: str, *, hour: float = 10, kind: str = "hard", **more: Any) -> events.Event:
    """An inquiry by a lender."""
    return event(events.InquiryMade, at(day, hour), source=BUREAU, lender_token=lender, kind=kind, **more)


def heartbeat(day: float, source: str = SERVICING, *, through: float | None = None, hour: float = 10) -> events.Event:
    """A source says how far it is complete."""
    complete = at(day if through is None else through, hour)
    return _heartbeat(source, at(day, hour), complete)


def _heartbeat(source: str, when: datetime, complete: datetime) -> events.Event:
    return decode(
        orjson.dumps(
            {
                "specversion": "1.0", "id": f"h-{next(_ids)}", "source": source, "subject": source,
                "type": "ews.feed.heartbeat.v1", "time": when.isoformat(),
                "data": {"source": source, "complete_through": complete.isoformat()},
            }
        )
    )  # fmt: skip


def record_of(fact: events.Event, offset: int = 0) -> Record:
    """The record a producer would write in a backfill: its timestamp is when the fact became known."""
    return Record(offset, ms_of(fact.recordedtime or fact.time), fact.subject.encode(), encode(fact))


def engine_of(*keys: str, policy: Policy | None = None, live_from: datetime | None = None) -> Engine:
    """An engine with some detectors, or with all."""
    policy = policy or Policy()
    detectors = (
        [detector_class(key)(**policy.detectors.get(key, {})) for key in keys] if keys else load_detectors(policy)
    )
    return Engine(policy, detectors, None if live_from is None else ms_of(live_from))


class World:
    """Plays events in order through one lane that owns the clock (an hour a tick), and keeps the alerts."""

    def __init__(self, engine: Engine, **settings: Any) -> None:
        self.states: dict[bytes, bytes] = {}
        defaults = {"clock": "event", "step_ms": 3_600_000}
        self.settings = LaneSettings(0, 1, **(defaults | settings))
        self.lane = Lane(engine, self.settings, self.states)
        self.alerts: list[Alert] = []
        self.dead_letters: list[dict[str, str]] = []
        self._offsets: dict[str, int] = {}
        self._feeds: list[Record] = []

    def play(self, *facts: events.Event, until: float | None = None) -> World:
        """Play events in the order in which they became known, then let time come to a day."""
        for fact in sorted(facts, key=lambda f: (f.recordedtime or f.time, f.source, f.id)):
            offset = self._offsets[fact.topic] = self._offsets.get(fact.topic, -1) + 1
            record = record_of(fact, offset)
            if fact.topic == Topic.FEEDS:
                self._feeds.append(record)
            else:
                self._commit(self.lane.play([(fact.topic, record, fact)], self._feeds, None))
        if until is not None:
            self._commit(self.lane.play([], self._feeds, ms_of(at(until, 0))))
        return self

    def _commit(self, effects: Effects | None) -> None:
        if effects is not None:
            self.alerts += [Alert.model_validate_json(value) for _, value in effects.alerts]
            self.dead_letters += [{k: v.decode() for k, v in letter.headers} for letter in effects.dead_letters]
            self.lane.committed(effects)

    def said(self, detector: str = "") -> list[tuple[str, int, str, int]]:
        """What was told: (detector, day of the timeline on which it was told, status, step)."""
        return [
            (a.data.detector, (a.time.astimezone(ZoneInfo(ZONE)).date() - START).days, a.data.status.value, a.data.step)
            for a in self.alerts
            if not detector or a.data.detector == detector
        ]

    def borrowers(self) -> dict[bytes, bytes]:
        """The states without the position record."""
        return {k: v for k, v in self.states.items() if k != LANE_KEY}


__all__ = [
    "UTC",
    "World",
    "at",
    "booked",
    "engine_of",
    "event",
    "heartbeat",
    "inquired",
    "on",
    "opened",
    "paid",
    "returned",
]
