"""The outbox and its lease, the same on every database."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from schemas.codec import EVENT_BYTES_MAX
from streams.errors import Rejected
from streams.stores.database import Database, open_database
from streams.stores.leases import LEASE_SECONDS, LeaseLost, Leases
from streams.stores.outbox import RELAY, Outbox, add
from streams.stores.work import Outgoing
from tests.consumers.builders import START
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LATER = START + timedelta(seconds=LEASE_SECONDS)


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
    with open_database(url) as opened:
        yield opened


def outgoing(number: int, key: str = "b-1", value: bytes = b"{}") -> Outgoing:
    """An event to be published."""
    return Outgoing(f"event-{number}", "repayments", key, value, START)


def written(database: Database, *events: Outgoing) -> int:
    """Write them down in one transaction."""
    with database.write() as connection:
        return add(connection, events)


def test_events_wait_in_the_order_in_which_they_were_written(database: Database) -> None:
    """With their bytes, key and topic; a page goes on behind the one before it."""
    assert 3 == written(database, outgoing(1), outgoing(2, "b-2"), outgoing(3, value=b"\x00\xff"))

    box = Outbox(database)
    assert [("repayments", "b-1", b"{}"), ("repayments", "b-2", b"{}")] == [
        (row.topic, row.key, row.value) for row in box.waiting(2)
    ]
    [last] = box.waiting(2, after=box.waiting(2)[-1].number)
    assert b"\x00\xff" == last.value
    assert (3, START) == (box.backlog().rows, box.backlog().oldest)


def test_an_event_waits_once(database: Database) -> None:
    """The same id again, in the same transaction or another one, published or not, is dropped."""
    assert 1 == written(database, outgoing(1), outgoing(1))
    assert 0 == written(database, outgoing(1))
    assert 1 == len(Outbox(database).waiting(10))


def test_an_event_is_written_with_its_change_or_not_at_all(database: Database) -> None:
    """A transaction that is given up leaves nothing to publish; one that no reader would take gives it up."""
    with pytest.raises(Rejected, match="at most"):
        written(database, outgoing(1), outgoing(2, value=b"x" * (EVENT_BYTES_MAX + 1)))
    assert [] == Outbox(database).waiting(10)


def test_only_the_holder_marks(database: Database) -> None:
    """One that has lost the lease, or never had it, marks nothing, so that the new holder publishes again."""
    written(database, outgoing(1))
    box, leases = Outbox(database), Leases(database)
    [row] = box.waiting(10)

    assert leases.take(RELAY, "one", START)
    for holder, at in (("two", START), ("one", LATER)):
        with pytest.raises(LeaseLost):
            box.mark([row.number], holder=holder, at=at)
    assert 1 == box.backlog().rows

    box.mark([row.number], holder="one", at=START)
    assert (0, None) == (box.backlog().rows, box.backlog().oldest)


def test_what_was_published_long_ago_is_forgotten(database: Database) -> None:
    """Only that: what waits stays however old it is, and so does what was published lately."""
    written(database, outgoing(1), outgoing(2), outgoing(3))
    box = Outbox(database)
    first, second, _ = box.waiting(10)
    Leases(database).take(RELAY, "one", START)
    box.mark([first.number], holder="one", at=START)
    box.mark([second.number], holder="one", at=START + timedelta(seconds=9))

    assert 1 == box.prune(START + timedelta(seconds=9))
    assert 0 == box.prune(START + timedelta(seconds=9))
    assert 1 == box.prune(START + timedelta(seconds=10))
    assert 1 == box.backlog().rows


def test_a_lease_is_held_by_one(database: Database) -> None:
    """Renewed as often as its holder likes; another one gets it when its time is up, or when it is given back."""
    leases = Leases(database)
    assert leases.take("work", "one", START)
    assert leases.take("other", "two", START)
    assert not leases.take("work", "two", START)
    assert leases.take("work", "one", START + timedelta(seconds=LEASE_SECONDS - 1))
    assert not leases.take("work", "two", LATER)

    assert leases.take("work", "two", LATER + timedelta(seconds=LEASE_SECONDS))
    leases.release("work", "one")
    assert not leases.take("work", "one", LATER + timedelta(seconds=LEASE_SECONDS))
    leases.release("work", "two")
    assert leases.take("work", "one", LATER + timedelta(seconds=LEASE_SECONDS))


def test_of_many_at_once_one_gets_the_lease(database: Database) -> None:
    """However many ask in the same moment."""
    got: list[str] = []
    start = threading.Barrier(6)

    def ask(name: str) -> None:
        start.wait()
        if Leases(database).take("work", name, START):
            got.append(name)

    threads = [threading.Thread(target=ask, args=(f"p-{n}",)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 1 == len(got)


def test_rows_of_one_key_are_numbered_as_they_are_committed(database: Database) -> None:
    """A transaction that writes a row of a key waits for one that has done so and is not committed yet."""
    began, seen = threading.Event(), []

    def second() -> None:
        began.wait()
        written(database, outgoing(2))

    other = threading.Thread(target=second)
    other.start()
    with database.write() as connection:
        add(connection, [outgoing(1)])
        began.set()
        other.join(0.3)  # It must not come through; the time only gives a wrong one the chance to.
        assert other.is_alive()
        seen += Outbox(database).waiting(10)
    other.join()

    assert [] == seen
    rows = Outbox(database).waiting(10)
    assert [1, 2] == [row.number for row in rows]
