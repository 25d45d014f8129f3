"""Which cases something is due for by itself: a pause has ended, a time to act has run out, nobody has them."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import select

from streams.stores.cases import CaseStore, CaseTransaction
from streams.stores.leases import require
from streams.stores.tables import cases

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from streams.stores.database import Database

CLOCKWORK = "clockwork"
"""The lease that whoever moves the clocks of cases holds."""


class Dues:
    """The cases of a database, by when time changes them."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def borrowers(self, now: datetime, limit: int) -> list[str]:
        """Whose open cases time has something to do with, at most about so many."""
        open_ones = select(cases.c.borrower).where(cases.c.closed_at.is_(None)).limit(limit)
        over = open_ones.where(cases.c.resume_at <= now)
        late = open_ones.where(cases.c.due_at <= now, cases.c.breached_at.is_(None))
        with self._database.read() as connection:
            return sorted({*connection.scalars(over), *connection.scalars(late)})

    def unowned(self, limit: int) -> list[str]:
        """Whose open cases nobody has, the most urgent first; none where nobody takes cases."""
        with self._database.read() as connection:
            if not CaseTransaction(connection).staff():
                return []
        return CaseStore(self._database).unowned(limit)

    @contextmanager
    def begin(self, holder: str, now: datetime) -> Iterator[CaseTransaction]:
        """One transaction, committed at the end. Raises LeaseLost if somebody else has the lease, or Unavailable."""
        with self._database.write() as connection:
            require(connection, CLOCKWORK, holder, now)
            yield CaseTransaction(connection)
