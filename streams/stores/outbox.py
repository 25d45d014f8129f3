"""The outbox: events that a change wrote in its own transaction, until Kafka has them.

    with database.write() as connection:
        ...                                  # the change itself
        outbox.add(connection, outgoing)     # last in the transaction

Either both are there after a crash or neither. Rows of one key are published in the order of their numbers, and that is
the order in which their transactions were committed: PostgreSQL is made to wait for that, SQLite has one writer anyway.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import delete, func, select, text

from schemas.codec import EVENT_BYTES_MAX
from streams.errors import Rejected
from streams.stores.leases import require
from streams.stores.upsert import insert
from streams.stores.work_tables import outbox

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.stores.database import Database
    from streams.stores.work import Outgoing

RELAY = "outbox-relay"
"""The lease that whoever publishes holds."""
PRUNE_ROWS = 1_000
"""Rows that one transaction forgets."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A row that Kafka does not have yet, as far as we know."""

    number: int
    topic: str
    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Backlog:
    """How much waits, and since when the oldest of it."""

    rows: int
    oldest: datetime | None


def add(connection: Connection, outgoing: Sequence[Outgoing]) -> int:
    """Write events down to be published; how many were new. One whose id is known is dropped.

    Raises Rejected for an event that no reader would take, and then the transaction is to be given up.
    """
    if not outgoing:
        return 0
    for event in outgoing:
        if len(event.value) > EVENT_BYTES_MAX:
            raise Rejected(
                f"an event for {event.topic} has {len(event.value)} bytes, at most {EVENT_BYTES_MAX} are read"
            )
    _wait_for_turn(connection, {event.key for event in outgoing})
    rows = {
        event.event_id: {
            "event_id": event.event_id,
            "topic": str(event.topic),
            "key": event.key,
            "value": event.value,
            "written_at": event.written_at,
        }
        for event in outgoing
    }
    statement = insert(connection, outbox).on_conflict_do_nothing(index_elements=["event_id"])
    new = statement.returning(outbox.c.number)
    return sum(connection.scalar(new.values(**row)) is not None for row in rows.values())


def _wait_for_turn(connection: Connection, keys: Collection[str]) -> None:
    """Numbers are given out before the commit: without this a later one of the same key could be seen first."""
    if connection.dialect.name == "postgresql":
        for key in sorted(keys):
            connection.execute(
                text("SELECT pg_advisory_xact_lock(hashtext(:room), hashtext(:key))"), {"room": RELAY, "key": key}
            )


class Outbox:
    """The rows of a database, for whoever publishes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def waiting(self, limit: int, *, after: int = 0) -> list[Waiting]:
        """The oldest rows that are not published, in order."""
        query = (
            select(outbox.c.number, outbox.c.topic, outbox.c.key, outbox.c.value)
            .where(outbox.c.published_at.is_(None), outbox.c.number > after)
            .order_by(outbox.c.number)
            .limit(limit)
        )
        with self._database.read() as connection:
            return [Waiting(*row) for row in connection.execute(query)]

    def mark(self, numbers: Collection[int], *, holder: str, at: datetime) -> None:
        """Kafka has these. Raises LeaseLost, and then nothing is marked: the new holder publishes them again."""
        if not numbers:
            return
        with self._database.write() as connection:
            require(connection, RELAY, holder, at)
            connection.execute(outbox.update().where(outbox.c.number.in_(numbers)).values(published_at=at))

    def prune(self, before: datetime) -> int:
        """Forget some of what was published before an instant; how many rows. What waits is never forgotten."""
        old = (
            select(outbox.c.number)
            .where(outbox.c.published_at < before)
            .order_by(outbox.c.published_at)
            .limit(PRUNE_ROWS)
        )
        with self._database.write() as connection:
            return connection.execute(delete(outbox).where(outbox.c.number.in_(old))).rowcount

    def backlog(self) -> Backlog:
        """How much waits."""
        query = select(func.count(), func.min(outbox.c.written_at)).where(outbox.c.published_at.is_(None))
        with self._database.read() as connection:
            rows, oldest = connection.execute(query).one()
            return Backlog(rows, oldest)
