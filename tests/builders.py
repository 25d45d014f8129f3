"""Short ways to say events in tests, and a world that plays them through the lane."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from schemas import events
from schemas.alerts import Alert
from schemas.codec import decode, encode
from schemas.events import Topic
from schemas.topics import SOURCES
from streams.bootstrap.policy import detector_class, load_detectors
from streams.engine.borrower import restore
from streams.engine.calendar import ms_of
from streams.engine.drain import LANE_KEY, Inbox
from streams.engine.engine import Engine
from streams.engine.lane import Lane, LaneSettings
from streams.engine.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.engine.borrower import Borrower
    from streams.engine.drain import DeadLetter, Effects

ZONE = "Asia/Shanghai"
START = date(2025, 1, 1)
SERVICING, BANK, BUREAU = "servicing/core", "bank/alpha", "bureau/one"
DIALLER = "contacts/dialler"


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
    model: type[events.Event], when: datetime, /, *, subject: str = "b-1", source: str = SERVICING, identity: str = "",
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
    return event(
        events.RepaymentReturned,
        at(day, more.pop("hour", 15)),
        loan=loan,
        payment_id=payment,
        reason_code=reason,
        **more,
    )


def booked(
    day: float, amount: int, balance: int | None = None, *, hour: float = 10, purpose: str | None = None, **more: Any
) -> events.Event:
    """An account transaction: a credit if the amount is positive."""
    data: dict[str, Any] = {
        "account": "a-1", "transaction_id": f"t-{next(_ids)}", "amount_minor": abs(amount), "currency": "CNY",
        "indicator": "CRDT" if amount > 0 else "DBIT",
    }  # fmt: skip
    data |= {k: v for k, v in (("balance_after_minor", balance), ("purpose", purpose)) if v is not None}
    return event(events.TransactionBooked, at(day, hour), **({"source": BANK} | data | more))


def rescheduled(
    day: float, reason: str, due_days: list[int], amount: int = 1_000, *, first: int = 1, loan: str = "l-1",
    effective: int | None = None, until: int | None = None, **more: Any,
) -> events.Event:  # fmt: skip
    """A new schedule of the unpaid rest (or, with no due days, a forbearance)."""
    lines = [{**line, "number": line["number"] + first - 1} for line in schedule(due_days, amount)]
    data: dict[str, Any] = {"loan": loan, "reason": reason, "schedule": lines}
    data["effective_on"] = on(int(day) if effective is None else effective).isoformat()
    if until is not None:
        data["until"] = on(until).isoformat()
    return event(events.ScheduleChanged, at(day), **(data | more))


def closed(day: float, *, loan: str = "l-1", **more: Any) -> events.Event:
    """A loan is over."""
    return event(events.LoanClosed, at(day), loan=loan, **more)


def charged_off(day: float, *, loan: str = "l-1", **more: Any) -> events.Event:
    """A loan is given up."""
    return event(events.LoanChargedOff, at(day), loan=loan, amount_minor=1, currency="CNY", **more)


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
    return Record(offset, known_ms(fact), fact.subject.encode(), encode(fact))


def known_ms(fact: events.Event) -> int:
    """When a fact became known."""
    return ms_of(fact.recordedtime or fact.time)


def in_order(facts: Iterable[events.Event]) -> list[events.Event]:
    """Facts in the order in which a file holds them."""
    return sorted(facts, key=lambda fact: (known_ms(fact), fact.source, fact.id))


def engine_of(*keys: str, policy: Policy | None = None, live_from: datetime | None = None) -> Engine:
    """An engine with some detectors, or with all."""
    policy = policy or Policy()
    detectors = (
        [detector_class(key)(**policy.detectors.get(key, {})) for key in keys] if keys else load_detectors(policy)
    )
    return Engine(policy, detectors, None if live_from is None else ms_of(live_from))


class World:
    """Plays events through one lane and keeps what comes out. By default the lane owns the clock (an hour a tick).

    With `reborn` the lane is made anew from the kept states after every commit, as after a crash. `policies` are those
    that it may change to: `policy` says which is in force.
    """

    def __init__(
        self, engine: Engine, *, reborn: bool = False, policies: Iterable[Engine] = (), **settings: Any
    ) -> None:
        self.engine = engine
        self.engines = {one.policy.version: one for one in (engine, *policies)}
        self.policy: str | None = None
        self.limited = True
        self.states: dict[bytes, bytes] = {}
        defaults = {"partition": 0, "partitions": 1, "clock": "event", "step_ms": 3_600_000}
        self.settings = LaneSettings(**(defaults | settings))
        self.lane = self.start()
        self.alert_bytes: list[bytes] = []
        self.alerts: list[Alert] = []
        self.letters: list[DeadLetter] = []
        self.dead_letters: list[dict[str, str]] = []
        self.orders: list[bytes] = []
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.log: dict[str, list[Record]] = {}
        self._reborn = reborn

    def start(self) -> Lane:
        """A lane that begins with the kept states, as after a crash."""
        return Lane(self.engine, self.settings, self.states, self.engines.get, limited=self.limited)

    def append(self, topic: str, timestamp: int, key: bytes | None, value: bytes | None) -> Record:
        """Write a record to a source topic."""
        records = self.log.setdefault(topic, [])
        records.append(Record(len(records), timestamp, key, value))
        return records[-1]

    def load(self, *facts: events.Event) -> World:
        """Write events to their topics in the order in which they became known, for later drains."""
        for fact in in_order(facts):
            self.append(fact.topic, *record_of(fact)[1:])
        return self

    def play(self, *facts: events.Event, until: float | None = None) -> World:
        """Play events in the order in which they became known, then let time come to a day."""
        for fact in in_order(facts):
            record = self.append(fact.topic, *record_of(fact)[1:])
            if fact.topic != Topic.FEEDS:
                self.commit(
                    self.lane.play([(fact.topic, record, fact)], self.log.get(Topic.FEEDS, ()), None, self.policy)
                )
        if until is not None:
            self.commit(self.lane.play([], self.log.get(Topic.FEEDS, ()), ms_of(at(until, 0)), self.policy))
        return self

    def deliver(self, fact: events.Event, when_ms: int) -> World:
        """Play one event whose record was written at some time, whatever the event says."""
        record = self.append(fact.topic, when_ms, fact.subject.encode(), encode(fact))
        self.commit(self.lane.play([(fact.topic, record, fact)], self.log.get(Topic.FEEDS, ()), None, self.policy))
        return self

    def drain(self, take: Mapping[str, int] | None = None, until: float | None = None) -> World:
        """One drain over the next records of each topic (`take` of them, or all), as the shell would hand them over."""
        records, behind = {}, set()
        for topic in SOURCES:
            left = self.log.get(topic, [])[self.lane.positions.get(topic, 0) :]
            records[topic] = left if take is None else left[: take.get(topic, 0)]
            if len(records[topic]) < len(left):
                behind.add(topic)
        horizon = None if until is None else ms_of(at(until, 0))
        feeds = self.log.get(Topic.FEEDS, ())
        self.commit(self.lane.drain(Inbox(records, frozenset(behind), horizon, feeds, policy=self.policy)))
        return self

    def commit(self, effects: Effects | None) -> None:
        """Take effects as committed. An alert id is never told twice."""
        if effects is None:
            return
        self.alert_bytes += [value for _, value in effects.alerts]
        self.alerts += [Alert.model_validate_json(value) for _, value in effects.alerts]
        self.letters += effects.dead_letters
        self.dead_letters += [{k: v.decode() for k, v in letter.headers} for letter in effects.dead_letters]
        self.orders.append(effects.order)
        self.counts += effects.counts or Counter()
        assert len({alert.id for alert in self.alerts}) == len(self.alerts), "an alert id was told twice"
        self.lane.committed(effects)
        if self._reborn:
            self.lane = self.start()

    def commit_quietly(self, effects: Effects | None) -> None:
        """Take effects as committed without looking at them, where thousands come."""
        if effects is not None:
            self.lane.committed(effects)

    def said(self, detector: str = "") -> list[tuple[str, int, str, int]]:
        """What was told: (detector, day of the timeline on which it was told, status, step)."""
        return [
            (a.data.detector, day_told(a), a.data.status.value, a.data.step)
            for a in self.alerts
            if not detector or a.data.detector == detector
        ]

    def told(self, detector: str) -> list[tuple[int, str, int]]:
        """What one detector told: (day, status, step)."""
        return [line[1:] for line in self.said(detector)]

    def borrower(self, subject: str = "b-1") -> Borrower:
        """The kept state of a borrower."""
        return restore(self.states.get(subject.encode()))

    def borrowers(self) -> dict[bytes, bytes]:
        """The states without the position record."""
        return {k: v for k, v in self.states.items() if k != LANE_KEY}

    def reasons(self) -> list[str]:
        """The reasons of the dead letters."""
        return [letter["reason"] for letter in self.dead_letters]


def day_told(alert: Alert) -> int:
    """The day of the timeline on which an alert was made."""
    return (alert.time.astimezone(ZoneInfo(ZONE)).date() - START).days


def repeat(world: World, engine: Engine) -> World:
    """Another world that repeats what a world's order records say."""
    again = World(engine, policies=world.engines.values(), **world.settings._asdict())
    for order in world.orders:
        steps = orjson.loads(order)["steps"]
        again.commit(again.lane.repeat(steps, lambda topic, first, end: world.log[topic][first:end]))
    return again


def tradeline(
    day: float, name: str = "x-1", lender: str = "lender-1", *, owed: int | None = None, behind: int | None = None,
    kind: str = "instalment", status: str = "11", **more: Any,
) -> events.Event:  # fmt: skip
    """The bureau's line of an account elsewhere."""
    data: dict[str, Any] = {"lender_token": lender, "tradeline": name, "kind": kind, "status": status}
    data |= {} if owed is None else {"balance_minor": owed, "currency": "CNY"}
    data |= {} if behind is None else {"days_past_due": behind}
    return event(events.TradelineReported, at(day), **({"source": BUREAU} | data | more))


def scored(day: float, value: int, *, model: str = "one-score", **more: Any) -> events.Event:
    """A bureau score of a model."""
    data = {"model": model, "value": value, "scale_min": 300, "scale_max": 850}
    return event(events.ScoreReported, at(day), **({"source": BUREAU} | data | more))


def filed(day: float, kind: str = "judgment", reference: str = "r-1", **more: Any) -> events.Event:
    """A public record."""
    return event(
        events.PublicRecordFiled, at(day), **({"source": BUREAU} | {"kind": kind, "reference": reference} | more)
    )


def promised(
    day: float, by: int, amount: int = 1_000, *, loan: str = "l-1", promise: str = "", **more: Any
) -> events.Event:
    """A promise, made on a day, to pay by another one."""
    data = {"loan": loan, "promise_id": promise or f"pr-{next(_ids)}", "amount_minor": amount, "currency": "CNY"}
    return event(events.PromiseMade, at(day), **(data | {"promised_on": on(by).isoformat()} | more))


def worth(day: float, amount: int, *, loan: str = "l-1", **more: Any) -> events.Event:
    """The collateral of a loan valued anew."""
    data = {"loan": loan, "value_minor": amount, "currency": "CNY"}
    return event(events.CollateralValued, at(day), **(data | more))


def tried(
    day: float, channel: str = "call", *, contact: str = "", result: str = "", hour: float = 10, **more: Any
) -> events.Event:
    """An attempt to reach the borrower, or what became of one: `reached` or `undeliverable`."""
    results = {"reached": events.ContactReached, "undeliverable": events.ContactUndeliverable}
    data = {"contact_id": contact or f"c-{next(_ids)}", "channel": channel}
    model: type[events.Event] = results.get(result, events.ContactAttempted)
    return event(model, at(day, hour), **({"source": DIALLER} | data | more))


def moved(day: float, detail: str, *, hour: float = 10, **more: Any) -> events.Event:
    """Another device, phone, address or e-mail than before."""
    return event(events.ContactDetailsChanged, at(day, hour), **({"source": DIALLER, "detail": detail} | more))


def disbursed(day: float, amount: int, *, loan: str = "l-1", hour: float = 10, **more: Any) -> events.Event:
    """The lent money leaves the lender."""
    return event(
        events.LoanDisbursed, at(day, hour), **({"loan": loan, "amount_minor": amount, "currency": "CNY"} | more)
    )
