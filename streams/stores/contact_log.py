"""Contacts that were tried and contacts that were refused, by token, in the database of cases.

Facts about one contact come in any order, and more than once: from the notifier, which writes a contact down before it
is made, and from the topic `contacts`. Each field keeps the earliest time that was told, so the order does not matter.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import case, func, select

from streams.stores import offsets
from streams.stores.contact import Attempt, Channel, Kind, PastContact, Refusal
from streams.stores.upsert import insert
from streams.stores.work_tables import contact_log, refusals

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from streams.stores.database import Database

CONSUMER = "contact_log"
NOTIFIER = "ews/notifier"
"""The source of contacts that our own notifier makes."""
SOURCE_LENGTH_MAX = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRefusal:
    """A contact that the rules did not allow: which, why, and when it could be tried again."""

    attempt: Attempt
    refusal: Refusal
    at: datetime
    message_key: str | None


class ContactLog:
    """The log of contacts. What takes a connection is part of its transaction."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def past(self, borrower: str, since: datetime, *, connection: Connection | None = None) -> list[PastContact]:
        """The contacts tried with a borrower, and those answered, from an instant on; oldest first."""
        latest = func.coalesce(contact_log.c.reached_at, contact_log.c.at)
        query = select(contact_log).where(
            contact_log.c.borrower == borrower, (contact_log.c.at >= since) | (latest >= since)
        )
        ordered = query.order_by(contact_log.c.at, contact_log.c.contact_id)
        if connection is not None:
            return [_contact(row) for row in connection.execute(ordered)]
        with self.database.read() as reading:
            return [_contact(row) for row in reading.execute(ordered)]

    @staticmethod
    def past_of(connection: Connection, borrowers: Collection[str], since: datetime) -> dict[str, list[PastContact]]:
        """The same of several borrowers, as part of a transaction."""
        latest = func.coalesce(contact_log.c.reached_at, contact_log.c.at)
        query = select(contact_log).where(
            contact_log.c.borrower.in_(borrowers), (contact_log.c.at >= since) | (latest >= since)
        )
        found: dict[str, list[PastContact]] = {}
        for row in connection.execute(query.order_by(contact_log.c.at, contact_log.c.contact_id)):
            found.setdefault(row.borrower, []).append(_contact(row))
        return found

    def reserve(self, connection: Connection, contact: PastContact, source: str = NOTIFIER) -> None:
        """Write a contact down before it is made: whoever checks the rules from now on counts it.

        Tried again later, it counts from then on: that is when the borrower may have been reached.
        """
        note(connection, contact, source)
        earlier = contact_log.c.at < contact.at
        connection.execute(_one(contact).where(earlier).values(at=contact.at))

    def release(self, connection: Connection, contact: PastContact) -> None:
        """Take back what was written down of a contact that is certain not to have been made."""
        connection.execute(
            contact_log.delete().where(
                contact_log.c.borrower == contact.borrower, contact_log.c.contact_id == contact.contact_id
            )
        )

    def reached(self, connection: Connection, contact: PastContact, at: datetime) -> None:
        """The borrower was spoken to, or the message was answered."""
        connection.execute(_one(contact).where(contact_log.c.reached_at.is_(None)).values(reached_at=at))

    def undeliverable(self, connection: Connection, contact: PastContact, at: datetime) -> None:
        """It came back: nobody was contacted."""
        connection.execute(_one(contact).where(contact_log.c.undeliverable_at.is_(None)).values(undeliverable_at=at))

    def refuse(self, attempt: Attempt, refusal: Refusal, at: datetime, message_key: str | None = None) -> None:
        """Write down that a contact was not allowed, in a transaction of its own."""
        with self.database.write() as connection:
            self.refuse_in(connection, attempt, refusal, at, message_key)

    @staticmethod
    def refuse_in(
        connection: Connection, attempt: Attempt, refusal: Refusal, at: datetime, message_key: str | None = None
    ) -> None:
        """Write down that a contact was not allowed, as part of a transaction."""
        row = {name: getattr(attempt, name) for name in ("borrower", "loan", "channel", "kind")}
        row |= {name: getattr(refusal, name) for name in ("rule", "pack", "detail", "next_at")}
        connection.execute(refusals.insert().values(**row, at=at, message_key=message_key))

    def refusals(self, borrower: str, *, limit: int = 100) -> list[PastRefusal]:
        """What was refused of a borrower, the latest first."""
        query = select(refusals).where(refusals.c.borrower == borrower)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(refusals.c.at.desc(), refusals.c.number.desc()).limit(limit))
            return [_refusal(row) for row in rows]

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition of the contacts topic."""
        with self.database.read() as connection:
            return offsets.positions(connection, CONSUMER, topic)

    @contextmanager
    def taking(self, topic: str, partition: int, *, start: int, end: int) -> Iterator[Connection]:
        """A transaction that has moved the consumed offset. Raises OffsetMovedError, Unavailable."""
        with self.database.write() as connection:
            offsets.advance(connection, CONSUMER, topic, partition, start=start, end=end)
            yield connection


def note(connection: Connection, contact: PastContact, source: str) -> None:
    """Add what is told of a contact to what is known of it. The same again changes nothing."""
    row: dict[str, Any] = {
        name: getattr(contact, name)
        for name in ("borrower", "contact_id", "loan", "channel", "kind", "at", "reached_at", "undeliverable_at")
    }
    statement = insert(connection, contact_log).values(**row, source=source[:SOURCE_LENGTH_MAX])
    new, known = statement.excluded, contact_log.c
    times = ("at", "reached_at", "undeliverable_at")
    earliest = {
        name: case((known[name].is_(None) | (new[name] < known[name]), new[name]), else_=known[name]) for name in times
    }
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=["borrower", "contact_id"],
            set_=earliest | {"loan": func.coalesce(known.loan, new.loan)},
        )
    )


def _one(contact: PastContact) -> Any:
    return contact_log.update().where(
        contact_log.c.borrower == contact.borrower, contact_log.c.contact_id == contact.contact_id
    )


def _contact(row: Row[Any]) -> PastContact:
    values = {name: value for name, value in row._mapping.items() if name != "source"}  # noqa: SLF001 - SQLAlchemy's public name for it
    return PastContact(**(values | {"channel": Channel(row.channel), "kind": Kind(row.kind)}))


def _refusal(row: Row[Any]) -> PastRefusal:
    attempt = Attempt(borrower=row.borrower, loan=row.loan, channel=Channel(row.channel), kind=Kind(row.kind))
    refusal = Refusal(rule=row.rule, pack=row.pack, detail=row.detail, next_at=row.next_at)
    return PastRefusal(attempt=attempt, refusal=refusal, at=row.at, message_key=row.message_key)
