"""What time does to cases, by a clockwork that holds its lease."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import date, timedelta
from typing import TYPE_CHECKING

import pytest

from streams.api.desk import Desk
from streams.casework.actions import Hold, Promise
from streams.casework.ladder import Ladder
from streams.casework.roles import Actor, Role
from streams.consumers.case_creator import CaseCreator
from streams.consumers.clockwork import Clockwork
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.accounts import AccountStore
from streams.stores.case import CaseState
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.dues import CLOCKWORK, Dues
from streams.stores.leases import LEASE_SECONDS, LeaseLost, Leases
from tests.consumers.builders import START, alert

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from streams.stores.case import Case

LADDER = Ladder.standard()
COLLECTOR = Actor("c-17", Role.COLLECTOR)


class Office:
    """Cases, people and a clockwork, all by one clock."""

    def __init__(self, path: Path) -> None:
        self.database = open_database(f"sqlite:///{path}/cases.db")
        self.now: datetime = START
        self.metrics = Metrics()
        self.desk = Desk(self.database, LADDER, now=lambda: self.now)
        self.clockwork = self.another("one")

    def another(self, holder: str) -> Clockwork:
        """A clockwork of another process."""
        return Clockwork(
            Dues(self.database), Leases(self.database), LADDER, self.metrics, holder=holder, now=lambda: self.now
        )

    def open(self, number: int = 1) -> None:
        """So many borrowers with a case each, due after a day."""
        alerts = tuple(alert(borrower=f"b-{n}", dpd=5) for n in range(1, number + 1))
        CaseCreator(CaseStore(self.database), LADDER, Metrics()).take(Batch("alerts", 0, 0, number, alerts))

    def case(self, borrower: str = "b-1") -> Case:
        """The borrower's case."""
        return CaseStore(self.database).files_of(borrower)[0].case

    def after(self, **time: float) -> int:
        """How many cases change when so much time has passed since the start."""
        self.now = START + timedelta(**time)
        return self.clockwork.turn()

    def counted(self, effect: str) -> float | None:
        """What the metric says."""
        return self.metrics.registry.get_sample_value("ews_clockwork_total", {"effect": effect})


@pytest.fixture
def office(tmp_path: Path) -> Iterator[Office]:
    """Whose trail holds at the end."""
    own = Office(tmp_path)
    yield own
    assert () == CaseStore(own.database).verify().faults
    own.database.close()


def test_a_time_to_act_that_has_run_out_is_marked_once(office: Office) -> None:
    """When it is over, not before, and only once."""
    office.open()
    due = office.case().due_at
    assert due is not None
    hours = (due - START).total_seconds() / 3600
    assert 0 == office.after(hours=hours - 0.01)
    assert 1 == office.after(hours=hours)
    assert due == office.case().breached_at
    assert 0 == office.after(hours=hours + 24)
    assert 1 == office.counted("breached")


def test_a_pause_ends_when_its_time_has_come(office: Office) -> None:
    """A hold at its end, with what was left of the time; a promise after its day and the day of grace."""
    office.open(2)
    first, second = office.case("b-1"), office.case("b-2")
    office.desk.act(first.case_id, Hold(until=START + timedelta(days=3), reason="x"), COLLECTOR, version=None)
    promise = Promise(loan="l-1", amount_minor=1, currency="CNY", promised_on=date(2026, 3, 6))
    office.desk.act(second.case_id, promise, COLLECTOR, version=None)
    assert 0 == office.after(days=2.9)

    assert 1 == office.after(days=3)
    held = office.case("b-1")
    assert (CaseState.OPEN, first.due_at) == (held.state, held.due_at and held.due_at - timedelta(days=3))
    assert 1 == office.counted("resumed")
    office.after(days=4)
    assert CaseState.PROMISE_TO_PAY is office.case("b-2").state
    office.after(days=6)
    assert CaseState.PROMISE_TO_PAY is not office.case("b-2").state


def test_however_many_are_due_all_are_done(office: Office) -> None:
    """More than one transaction moves."""
    office.open(450)
    assert 450 == office.after(days=30)
    assert 0 == office.after(days=31)


def test_cases_that_nobody_has_go_to_the_least_loaded(office: Office) -> None:
    """In turn to those who take cases; where nobody does, they wait."""
    office.open(5)
    assert 0 == office.after(hours=1)
    accounts = AccountStore(office.database)
    for account, role, takes in (("c-1", "collector", True), ("c-2", "collector", True), ("c-3", "collector", False)):
        accounts.create(account, Role(role), takes_cases=takes, at=office.now)
    assert 5 == office.after(hours=2)
    owners = [office.case(f"b-{n}").owner for n in range(1, 6)]
    assert {"c-1": 3, "c-2": 2} == Counter(owners)
    assert CaseState.OPEN is office.case().state
    assert 5 == office.counted("assigned")


def test_one_process_moves_the_clocks(office: Office) -> None:
    """Another one does nothing until the lease has run out, and one that has lost it writes nothing."""
    office.open()
    assert 0 == office.after(hours=1)
    other = office.another("two")
    office.now += timedelta(seconds=LEASE_SECONDS - 1)
    assert 0 == other.turn()
    office.now = START + timedelta(days=30)
    assert 1 == other.turn()
    with pytest.raises(LeaseLost), Dues(office.database).begin("one", office.now):
        pytest.fail("one has the lease no longer")


def test_the_lease_is_given_back_at_the_end(office: Office) -> None:
    """So that the next process need not wait."""

    async def run() -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(office.clockwork.run(stop))
        stop.set()
        await task

    asyncio.run(run())
    assert Leases(office.database).take(CLOCKWORK, "two", office.now)
