"""Promises and the payments on them, the same on every database, also while people work on the case."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from streams.api.desk import Desk
from streams.casework.actions import Note
from streams.casework.roles import Actor, Role
from streams.consumers.loop import Batch
from streams.stores.case import CaseState
from streams.stores.cases import CaseStore
from streams.stores.database import Database, open_database
from streams.stores.offsets import OffsetMovedError
from streams.stores.promises import Payment, PromiseStore
from streams.stores.work import PromiseState
from tests.consumers.builders import START
from tests.consumers.test_promise_keeper import LADDER, MADE, Office, opened, paid, published, returned
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ROUNDS = 15


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of each kind, with its tables."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path}/cases.db"
    else:
        request.getfixturevalue("docker")
        url = new_postgres(request.getfixturevalue("postgres"))
    with open_database(url) as own:
        yield own


def payment(name: str, hours: float = 0, **more: object) -> Payment:
    """A payment of the borrower."""
    values: dict[str, object] = {
        "borrower": "b-1", "loan": "l-1", "payment_id": name, "currency": "CNY", "amount_minor": 5,
        "valued_at": START + timedelta(hours=hours),
    }  # fmt: skip
    return Payment(**(values | more))  # type: ignore[arg-type]


def test_a_promise_is_kept_and_taken_back(database: Database) -> None:
    """What was told before the promise, with it and after it, in any batch; an id may hold whatever text."""
    office = Office(database)
    odd = "p\x00'\u4f60" * 50
    office.reads(opened(), paid(400, MADE - timedelta(hours=5), payment=odd))
    promise = office.promise()
    office.reads(published(promise), paid(500, MADE + timedelta(days=1)))
    assert ([(PromiseState.KEPT, 900)], CaseState.OPEN) == office.told()
    office.reads(returned(MADE + timedelta(days=1), odd))
    assert ([(PromiseState.OPEN, 500)], CaseState.PROMISE_TO_PAY) == office.told()
    assert () == office.cases.verify().faults


def test_payments_of_the_last_days_are_forgotten_in_time(database: Database) -> None:
    """By value date; what is kept comes back as it was, and the newest word on it counts."""
    with PromiseStore(database).begin() as transaction:
        transaction.keep_recent([payment("p-1"), payment("p-2", hours=5), payment("p-3", loan="l-2", hours=9)])
        transaction.keep_recent([payment("p-2", hours=5, returned=True)])
        transaction.forget_recent(START + timedelta(hours=1))
    with PromiseStore(database).begin() as transaction:
        assert [payment("p-2", hours=5, returned=True)] == transaction.recent([("b-1", "l-1"), ("b-9", "l-9")])


def test_the_zone_of_a_loan_is_its_first(database: Database) -> None:
    """Of many loans at once."""
    loans = {("b-1", f"l-{n}"): "Asia/Shanghai" for n in range(900)}
    with PromiseStore(database).begin() as transaction:
        transaction.keep_zones(loans)
        transaction.keep_zones({("b-1", "l-1"): "UTC"})
        assert loans == transaction.zones([*loans, ("b-2", "l-1")])


def test_one_that_lost_its_partition_changes_nothing(database: Database) -> None:
    """A batch that begins elsewhere than the database stands is refused whole."""
    office = Office(database)
    office.reads(opened())
    office.promise()
    lost = Batch("repayments", 0, 7, 8, (paid(900, MADE + timedelta(days=1)),))
    with pytest.raises(OffsetMovedError):
        office.keeper.take(lost)
    assert ([(PromiseState.OPEN, 0)], CaseState.PROMISE_TO_PAY) == office.told()


def test_people_and_repayments_at_once_lose_nothing(database: Database) -> None:
    """Notes on a case while payments for its promise come: every note is there, and every payment counts."""
    office = Office(database)
    office.reads(opened())
    office.promise(100 * ROUNDS)
    desk = Desk(database, LADDER, now=lambda: MADE)
    faults: list[Exception] = []

    def write_notes() -> None:
        try:
            for number in range(ROUNDS):
                case = office.case
                desk.act(case.case_id, Note(text=f"note {number}"), Actor("c-1", Role.COLLECTOR), version=None)
        except Exception as fault:  # noqa: BLE001 - told by the test itself
            faults.append(fault)

    person = threading.Thread(target=write_notes)
    person.start()
    for number in range(ROUNDS):
        office.reads(paid(100, MADE + timedelta(hours=1), payment=f"p-{number}"))
    person.join()

    assert [] == faults
    [file] = CaseStore(database).files_of("b-1")
    assert ROUNDS == len(file.notes)
    assert [(PromiseState.KEPT, 100 * ROUNDS)] == [(p.state, p.paid_minor) for p in file.promises]
    assert () == CaseStore(database).verify().faults
