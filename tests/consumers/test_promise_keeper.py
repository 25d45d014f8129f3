"""What repayments make of promises, read by the keeper and written to a database."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import events
from schemas.codec import decode, encode
from streams.casework.changes import derived, moved, sealed, with_promises
from streams.casework.ladder import Ladder
from streams.casework.sla import paused, with_end
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.consumers.promise_keeper import PromiseKeeper, read_repayment
from streams.metrics import Metrics
from streams.stores.case import CaseState, Changes, Entry, Pause
from streams.stores.cases import CaseStore
from streams.stores.database import connect, open_database
from streams.stores.promises import PromiseStore
from streams.stores.tables import metadata
from streams.stores.work import Promise, PromiseState
from tests.consumers.builders import START, alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.stores.case import Case
    from streams.stores.database import Database

ZONE = "Asia/Shanghai"
LADDER = Ladder.standard()
MADE = START + timedelta(hours=4)
"""2026-03-02 21:00 in Shanghai."""
DUE = date(2026, 3, 6)
LEFT = int(LADDER.due_hours["high"] * 3600 - timedelta(hours=4).total_seconds())  # type: ignore[index]


class Office:
    """A borrower with one case and the promises on it, and the keeper that reads `repayments`."""

    def __init__(self, database: Database) -> None:
        self.cases = CaseStore(database)
        self.metrics = Metrics()
        self.now = MADE
        self._next = 0
        self.keeper = PromiseKeeper(PromiseStore(database), LADDER, self.metrics, now=lambda: self.now)
        CaseCreator(self.cases, LADDER, self.metrics).take(Batch("alerts", 0, 0, 1, (alert(dpd=5),)))

    def promise(self, amount: int = 1_000, *, due: date = DUE, made: datetime = MADE) -> Promise:
        """Make a promise, as the desk does: the case waits for it."""
        with self.cases.begin() as transaction:
            book = transaction.books(["b-1"], ())["b-1"]
            assert book.case is not None
            promise = Promise(
                promise_id=derived(book.case, "promise"),
                case_id=book.case.case_id,
                borrower="b-1",
                loan="l-1",
                currency="CNY",
                amount_minor=amount,
                promised_on=due,
                made_at=made,
                made_by="c-1",
                changed_at=made,
            )
            book = with_promises(book, promise)
            assert book.case is not None
            case = with_end(paused(book.case, Pause.PROMISE, made), book.promises, LADDER)
            book = moved(book, case, made)
            assert book.case is not None
            lines = sealed(book, (Entry(case.case_id, made, "c-1", "promise.made"),))
            changes = Changes(cases={case.case_id: book.case}, entries=list(lines))
            changes.promises[promise.promise_id] = promise
            transaction.save(changes)
        return promise

    def reads(self, *facts: events.Event, now: datetime | None = None) -> None:
        """The keeper takes a batch, when the last of it has occurred if nothing else is said."""
        self.now = now or max([self.now, *(fact.time for fact in facts)])
        read = [read_repayment(fact.subject.encode(), encode(fact)) for fact in facts]
        first, self._next = self._next, self._next + len(facts)
        self.keeper.take(Batch("repayments", 0, first, self._next, tuple(fact for fact in read if fact is not None)))

    def told(self) -> tuple[list[tuple[PromiseState, int]], CaseState]:
        """The state of each promise with what is paid, and that of the case."""
        [file] = self.cases.files_of("b-1")
        return [(p.state, p.paid_minor) for p in file.promises], file.case.state

    @property
    def case(self) -> Case:
        """The case."""
        return self.cases.files_of("b-1")[0].case

    def lines(self) -> list[str]:
        """What the keeper wrote into the audit trail."""
        [file] = self.cases.files_of("b-1")
        return [line.action for line in file.history if line.actor == "repayments"]


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """With the loan's zone known."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        own = Office(database)
        own.reads(opened())
        yield own
        assert () == own.cases.verify().faults


def fact(kind: str, at: datetime, **data: Any) -> events.Event:
    """An event of the borrower."""
    raw = {
        "specversion": "1.0",
        "id": str(uuid5(NAMESPACE_OID, f"{kind}-{sorted(data.items())}-{at}")),
        "source": "servicing/core",
        "type": kind,
        "subject": "b-1",
        "time": at,
        "data": {"loan": "l-1", **data},
    }
    return events.EVENTS[kind].model_validate(raw)


def opened(zone: str = ZONE) -> events.Event:
    """The loan."""
    return fact(
        "ews.loan.opened.v1",
        START - timedelta(days=60),
        currency="CNY",
        servicing_zone=zone,
        product="cash",
        channel="app",
        principal_minor=1,
        schedule=[{"number": 1, "due_on": "2026-03-01", "amount_minor": 1}],
    )


def paid(
    amount: int, at: datetime, *, valued: datetime | None = None, payment: str = "p-1", currency: str = "CNY"
) -> events.Event:
    """A payment."""
    return fact(
        "ews.repayment.received.v1",
        at,
        payment_id=payment,
        amount_minor=amount,
        currency=currency,
        valued_at=valued or at,
    )


def returned(at: datetime, payment: str = "p-1") -> events.Event:
    """Its return."""
    return fact("ews.repayment.returned.v1", at, payment_id=payment, reason_code="AM04")


def published(promise: Promise) -> events.Event:
    """Our own promise, as the topic has it."""
    return fact(
        "ews.promise.made.v1",
        promise.made_at,
        promise_id=promise.promise_id,
        amount_minor=promise.amount_minor,
        currency=promise.currency,
        promised_on=promise.promised_on,
    )


def test_a_promise_is_kept_when_its_share_is_paid(office: Office) -> None:
    """900 of 1,000 is enough, 899 is not; the case leaves promise_to_pay and its clock runs on with what was left."""
    office.promise()
    office.reads(paid(899, MADE + timedelta(days=1)))
    assert ([(PromiseState.OPEN, 899)], CaseState.PROMISE_TO_PAY) == office.told()
    assert office.case.due_at is None

    at = MADE + timedelta(days=2)
    office.reads(paid(1, at, payment="p-2"))
    assert ([(PromiseState.KEPT, 900)], CaseState.OPEN) == office.told()
    assert at + timedelta(seconds=LEFT) == office.case.due_at
    assert ["promise.paid", "promise.kept"] == office.lines()
    assert 1 == office.metrics.registry.get_sample_value("ews_promises_total", {"end": "kept"})


def test_a_payment_counts_once(office: Office) -> None:
    """By its id, in the same batch and in another, whatever its second telling says."""
    office.promise()
    at = MADE + timedelta(days=1)
    office.reads(paid(500, at), paid(500, at))
    office.reads(paid(700, at))
    assert ([(PromiseState.OPEN, 500)], CaseState.PROMISE_TO_PAY) == office.told()


def test_a_returned_payment_takes_a_kept_promise_back(office: Office) -> None:
    """While its day has not passed the case waits again; the payment never counts again, whatever is told."""
    office.promise()
    at = MADE + timedelta(days=1)
    office.reads(paid(1_000, at))
    office.reads(returned(at + timedelta(hours=1)), paid(1_000, at))
    assert ([(PromiseState.OPEN, 0)], CaseState.PROMISE_TO_PAY) == office.told()
    assert ["promise.kept", "promise.reversed"] == office.lines()
    assert office.case.resume_at == datetime(2026, 3, 8, tzinfo=UTC)


def test_a_payment_whose_return_came_first_never_stood(office: Office) -> None:
    """In the same batch and in another one."""
    office.promise()
    at = MADE + timedelta(days=1)
    office.reads(returned(at), paid(600, at))
    office.reads(returned(at, "p-2"))
    office.reads(paid(600, at, payment="p-2"))
    assert ([(PromiseState.OPEN, 0)], CaseState.PROMISE_TO_PAY) == office.told()


@pytest.mark.parametrize(
    ("valued", "counts"),
    [
        (datetime(2026, 3, 1, 15, 59, tzinfo=UTC), False),  # 23:59 in Shanghai of the day before it was made
        (datetime(2026, 3, 1, 16, 0, tzinfo=UTC), True),  # 00:00 of the day on which it was made
        (datetime(2026, 3, 7, 15, 59, tzinfo=UTC), True),  # 23:59 of the day of grace
        (datetime(2026, 3, 7, 16, 0, tzinfo=UTC), False),
    ],
)
def test_the_value_date_decides_in_the_zone_of_the_loan(office: Office, valued: datetime, *, counts: bool) -> None:
    """From the day on which the promise was made to the last day of grace, whenever the payment is booked."""
    office.promise()
    office.now = MADE + timedelta(days=30)
    office.reads(paid(1_000, office.now, valued=valued))
    assert ([(PromiseState.KEPT, 1_000)] if counts else [(PromiseState.OPEN, 0)]) == office.told()[0]


def test_a_payment_of_the_day_that_was_told_before_the_promise_counts(office: Office) -> None:
    """When the promise itself comes back on the topic; one that was returned in between does not."""
    morning = MADE - timedelta(hours=6)
    office.reads(paid(400, morning), paid(600, morning, payment="p-2"), paid(999, morning, payment="p-3"))
    office.reads(returned(morning, "p-3"))
    promise = office.promise()
    office.reads(published(promise))
    assert [(PromiseState.KEPT, 1_000)] == office.told()[0]
    office.reads(published(promise))
    assert ["promise.kept"] == office.lines()


def test_only_payments_of_its_own_loan_and_currency_count(office: Office) -> None:
    """Another loan, another currency, another borrower: nothing."""
    office.promise()
    at = MADE + timedelta(days=1)
    other = paid(1_000, at, payment="p-2")
    office.reads(
        paid(1_000, at, currency="USD"),
        other.model_copy(update={"data": other.data.model_copy(update={"loan": "l-2"})}),  # type: ignore[attr-defined]
        other.model_copy(update={"subject": "b-2"}),
    )
    assert [(PromiseState.OPEN, 0)] == office.told()[0]


def test_of_two_promises_the_case_waits_for_the_other(office: Office) -> None:
    """One payment may keep both, as the detector counts; as long as one is open the clock stands still."""
    office.promise(500)
    office.promise(2_000, due=DUE + timedelta(days=5))
    at = MADE + timedelta(days=1)
    office.reads(paid(1_000, at))
    states, case = office.told()
    assert [(PromiseState.KEPT, 1_000), (PromiseState.OPEN, 1_000)] == sorted(states)
    assert CaseState.PROMISE_TO_PAY is case
    office.reads(paid(900, at, payment="p-2"))
    assert CaseState.OPEN is office.case.state


def test_a_promise_that_an_alert_called_broken_is_kept_by_a_payment_that_was_booked_late(office: Office) -> None:
    """Valued in time: the promise is kept with the payment, and the withdrawal of the alert changes nothing more."""
    office.promise()
    creator = CaseCreator(office.cases, LADDER, office.metrics)
    told: dict[str, Any] = {"detector": "broken_promise", "severity": "watch", "onset": DUE}
    creator.take(Batch("alerts", 1, 0, 1, (alert(hours=5.5 * 24, **told),)))
    assert ([(PromiseState.BROKEN, 0)], CaseState.BROKEN_PROMISE) == office.told()

    office.now = MADE + timedelta(days=8)
    office.reads(paid(1_000, office.now, valued=MADE + timedelta(days=3)))
    assert ([(PromiseState.KEPT, 1_000)], CaseState.OPEN) == office.told()
    creator.take(Batch("alerts", 1, 1, 2, (alert("withdrawn", revision=2, hours=8 * 24 + 5, **told),)))
    assert ([(PromiseState.KEPT, 1_000)], CaseState.OPEN) == office.told()


def test_a_case_that_is_over_is_left_alone(office: Office) -> None:
    """A payment for a promise of an ended case is noted and changes neither promise nor case."""
    office.promise()
    end = alert("withdrawn", revision=2, hours=30)
    CaseCreator(office.cases, LADDER, office.metrics).take(Batch("alerts", 1, 0, 1, (end,)))
    before = office.cases.files_of("b-1")
    office.reads(paid(1_000, MADE + timedelta(days=2)))
    assert before == office.cases.files_of("b-1")


def test_records_that_are_nothing_here_are_passed_over() -> None:
    """Broken bytes, other facts and a foreign key: the workers make the dead letters of this topic."""
    good = paid(1, MADE)
    assert good == read_repayment(b"b-1", encode(good))
    assert read_repayment(b"b-1", b"{") is None
    assert read_repayment(b"b-1", None) is None
    assert read_repayment(b"b-2", encode(good)) is None
    assert read_repayment(b"b-1", encode(fact("ews.loan.closed.v1", MADE))) is None
    assert decode(encode(good)) == good


def test_a_payment_from_the_future_is_none(office: Office) -> None:
    """What the workers refuse as future-dated does not keep a promise."""
    office.promise()
    ahead = MADE + timedelta(days=2)
    office.reads(paid(1_000, ahead, valued=MADE), now=MADE)
    assert [(PromiseState.OPEN, 0)] == office.told()[0]
    office.reads(paid(1_000, ahead, valued=MADE))
    assert [(PromiseState.KEPT, 1_000)] == office.told()[0]


payments = st.lists(
    st.tuples(st.sampled_from("abcd"), st.sampled_from(["paid", "returned"]), st.integers(-2, 8)), max_size=14
)


@given(payments, st.lists(st.integers(1, 4), max_size=14))
@settings(deadline=None, max_examples=30)
def test_what_is_paid_does_not_depend_on_how_it_is_cut_into_batches(
    told: list[tuple[str, str, int]], cuts: list[int]
) -> None:
    """Whatever comes in whatever order: the sum of what stands and is valued in time, as the engine counts it."""
    facts, first = [], dict[str, tuple[int, datetime]]()
    for name, kind, day in told:
        at = MADE + timedelta(days=day)
        amount = 100 * (ord(name) - 96)
        if kind == "paid":
            first.setdefault(name, (amount, at))
        facts.append(paid(amount, at, payment=name) if kind == "paid" else returned(at, name))
    gone = {name for name, kind, _ in told if kind == "returned"}
    window = (date(2026, 3, 2), date(2026, 3, 7))
    wanted = sum(
        amount
        for name, (amount, at) in first.items()
        if name not in gone and window[0] <= (at + timedelta(hours=8)).date() <= window[1]
    )
    with connect("sqlite://") as database:
        metadata.create_all(database.engine)
        office = Office(database)
        office.reads(opened())
        office.now = MADE + timedelta(days=20)
        office.promise(100_000)
        rest = facts
        for size in [*cuts, len(facts)]:
            office.reads(*rest[:size])
            rest = rest[size:]
        assert wanted == office.told()[0][0][1]
        assert () == office.cases.verify().faults
