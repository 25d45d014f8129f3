"""What repayments say of promises: the payments that count for each, those of the last days, the zones of loans.

All of it is written in the transaction of the offset and of the cases (`streams.consumers.promise_keeper`).
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select, tuple_

from streams.stores import offsets
from streams.stores.cases import CaseTransaction
from streams.stores.rows import promise_from
from streams.stores.upsert import insert, upsert
from streams.stores.work import PromiseState
from streams.stores.work_tables import loan_zones, promise_payments, promises, recent_payments

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.stores.database import Database
    from streams.stores.work import Promise

CONSUMER = "promise_keeper"
PAGE = 400
"""Values that one IN list holds."""

LoanKey = tuple[str, str]
"""A borrower and a loan."""
PaymentKey = tuple[str, str]
"""A promise and a payment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """A repayment, or the return of one that was not seen (amount 0): what comes later then never stood."""

    borrower: str
    loan: str
    payment_id: str
    currency: str
    amount_minor: int
    valued_at: datetime
    returned: bool = False


@dataclass(frozen=True, slots=True)
class Counted:
    """A payment as it counts for one promise; one that was returned counts nothing."""

    amount_minor: int
    valued_at: datetime
    returned: bool


class PromiseTransaction:
    """The reads and writes of one transaction. Comes from `PromiseStore.begin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.cases = CaseTransaction(connection)

    def advance(self, topic: str, partition: int, *, start: int, end: int) -> None:
        """Move the consumed offset; call it first. Raises OffsetMovedError."""
        offsets.advance(self._connection, CONSUMER, topic, partition, start=start, end=end)

    def keep_zones(self, zones: Mapping[LoanKey, str]) -> None:
        """Keep where loans are serviced. The first word counts, as it does in the engine."""
        rows = [{"borrower": key[0], "loan": key[1], "zone": zone} for key, zone in zones.items()]
        if rows:
            self._connection.execute(insert(self._connection, loan_zones).on_conflict_do_nothing(), rows)

    def zones(self, loans: Collection[LoanKey]) -> dict[LoanKey, str]:
        """The zones of loans, as far as they are known."""
        found: dict[LoanKey, str] = {}
        for page in _pages(loans):
            query = select(loan_zones).where(tuple_(loan_zones.c.borrower, loan_zones.c.loan).in_(page))
            found |= {(row.borrower, row.loan): row.zone for row in self._connection.execute(query)}
        return found

    def promises(self, borrowers: Collection[str]) -> list[Promise]:
        """Every promise of these borrowers that was not taken back."""
        found: list[Promise] = []
        for page in _pages(borrowers):
            query = select(promises).where(
                promises.c.borrower.in_(page), promises.c.state != PromiseState.CANCELLED.value
            )
            found += map(promise_from, self._connection.execute(query.order_by(promises.c.promise_id)))
        return found

    def recent(self, loans: Collection[LoanKey]) -> list[Payment]:
        """The payments of the last days."""
        table, found = recent_payments, []
        for page in _pages(loans):
            query = select(table).where(tuple_(table.c.borrower, table.c.loan).in_(page))
            found += [Payment(**row._mapping) for row in self._connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name for it
        return found

    def keep_recent(self, payments: Sequence[Payment]) -> None:
        """Keep payments of the last days as they now are."""
        upsert(self._connection, recent_payments, [asdict(payment) for payment in payments])

    def forget_recent(self, before: datetime) -> None:
        """Forget payments that no promise of today or later can count."""
        self._connection.execute(delete(recent_payments).where(recent_payments.c.valued_at < before))

    def counted(self, promise_ids: Collection[str]) -> dict[PaymentKey, Counted]:
        """The payments that are known of promises."""
        table, found = promise_payments, dict[PaymentKey, Counted]()
        for page in _pages(promise_ids):
            for row in self._connection.execute(select(table).where(table.c.promise_id.in_(page))):
                found[row.promise_id, row.payment_id] = Counted(row.amount_minor, row.valued_at, row.returned)
        return found

    def count(self, payments: Mapping[PaymentKey, Counted]) -> None:
        """Write down payments of promises as they now are."""
        rows = [{"promise_id": key[0], "payment_id": key[1], **asdict(counted)} for key, counted in payments.items()]
        upsert(self._connection, promise_payments, rows)


class PromiseStore:
    """Promises and their payments in the database of the cases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def begin(self) -> Iterator[PromiseTransaction]:
        """One transaction, committed at the end. Raises Unavailable, and then nothing was written."""
        with self._database.write() as connection:
            yield PromiseTransaction(connection)

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition of the topic."""
        with self._database.read() as connection:
            return offsets.positions(connection, CONSUMER, topic)


def _pages(values: Collection[Any]) -> Iterator[list[Any]]:
    every = sorted(values)
    return (every[start : start + PAGE] for start in range(0, len(every), PAGE))
