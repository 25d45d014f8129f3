"""Everything that the database knows of one case, read in one consistent view: what the evidence bundle is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from streams.stores import audit as trail
from streams.stores.case_reading import pages
from streams.stores.cases import CaseStore, CaseTransaction
from streams.stores.tables import audit, messages
from streams.stores.work_tables import contact_log, promise_payments, refusals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection, Select

    from streams.stores.cases import CaseFile, Verdict
    from streams.stores.database import Database

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """A case with all that is known of it, and what the check of the whole trail said at that moment."""

    file: CaseFile
    payments: tuple[Row, ...]
    """Repayments that count for its promises."""
    contacts: tuple[Row, ...]
    refusals: tuple[Row, ...]
    messages: tuple[Row, ...]
    lines: tuple[Row, ...]
    """Its audit lines, each with its hash and that of the line before it in the chain."""
    verdict: Verdict


def read_evidence(database: Database, case_id: str) -> Evidence:
    """The evidence of a case. Raises NotFound or Unavailable."""
    while True:
        verdict = CaseStore(database).verify()
        with database.read() as connection:
            if trail.head_of(connection) == verdict.head:  # Else somebody wrote in between: check what there is now.
                return _read(connection, case_id, verdict)


def _read(connection: Connection, case_id: str, verdict: Verdict) -> Evidence:
    file = CaseTransaction(connection).file(case_id)
    borrower = file.case.borrower
    promises = [promise.promise_id for promise in file.promises]
    payments = select(promise_payments).where(promise_payments.c.promise_id.in_(promises))
    return Evidence(
        file=file,
        payments=_rows(connection, payments.order_by(promise_payments.c.valued_at, promise_payments.c.payment_id)),
        contacts=_rows(
            connection,
            select(contact_log)
            .where(contact_log.c.borrower == borrower)
            .order_by(contact_log.c.at, contact_log.c.contact_id),
        ),
        refusals=_rows(connection, select(refusals).where(refusals.c.borrower == borrower).order_by(refusals.c.number)),
        messages=_rows(connection, select(messages).where(messages.c.borrower == borrower).order_by(messages.c.number)),
        lines=_lines(connection, case_id),
        verdict=verdict,
    )


def _lines(connection: Connection, case_id: str) -> tuple[Row, ...]:
    lines = _rows(connection, select(audit).where(audit.c.case_id == case_id).order_by(audit.c.number))
    before: dict[int, str] = {0: trail.GENESIS}
    for page in pages([str(line["number"] - 1) for line in lines]):
        query = select(audit.c.number, audit.c.hash).where(audit.c.number.in_(list(map(int, page))))
        before |= {row.number: row.hash for row in connection.execute(query)}
    return tuple({**line, "hash_before": before.get(line["number"] - 1)} for line in lines)


def _rows(connection: Connection, query: Select[Any]) -> tuple[Row, ...]:
    found: Sequence[Any] = connection.execute(query).all()
    return tuple({str(name): value for name, value in row._mapping.items()} for row in found)  # noqa: SLF001 - SQLAlchemy's public name for it
