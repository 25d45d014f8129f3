"""Operations cases: faults of the system itself, as monitoring reports them. About no borrower, worked by operators.

One is open per fingerprint (the labels of an alert, hashed by who reports it). Reports come again, late and from two
monitors at once, and none of that opens a second case: what began no later than the latest case of its fingerprint is
known. What is opened and closed stands in the audit trail.
"""

from __future__ import annotations

import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import select, update

from streams.stores import audit as trail
from streams.stores.case import Entry
from streams.stores.upsert import is_new
from streams.stores.work_tables import operations_cases

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.stores.database import Database

NAMES: Final = uuid.UUID("5b8f3a1e-0c52-5f6e-9d2b-7f1c4f0a6e35")
"""What the ids of operations cases are derived in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What the monitoring says of one fault."""

    fingerprint: str
    name: str
    severity: str
    summary: str
    runbook: str | None
    labels: Mapping[str, str]
    starts_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationsCase(Fault):
    """A fault that somebody has to look at, until it is over."""

    case_id: str
    opened_at: datetime
    told_at: datetime
    """When the monitoring last said so."""
    closed_at: datetime | None


class Became(StrEnum):
    """What became of a report."""

    OPENED = "opened"
    CLOSED = "closed"
    KNOWN = "known"


class OperationsStore:
    """Operations cases in the database of the cases. Raises Unavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def report(self, firing: Iterable[Fault], over: Iterable[Fault], *, at: datetime, by: str) -> Counter[Became]:
        """Take up what is wrong and what is over, in one transaction; how many cases that opened and closed."""
        with self._database.write() as connection:
            opened = Counter(_opened(connection, fault, at, by) for fault in firing)
            return opened + Counter(_closed(connection, fault, at, by) for fault in over)

    def listed(self, *, closed: bool, limit: int) -> list[OperationsCase]:
        """The open ones, or those that are over, the latest first."""
        table = operations_cases.c
        which = table.closed_at.is_not(None) if closed else table.closed_at.is_(None)
        query = select(operations_cases).where(which).order_by(table.opened_at.desc(), table.case_id).limit(limit)
        with self._database.read() as connection:
            return [OperationsCase(**row._mapping) for row in connection.execute(query)]  # noqa: SLF001 - SQLAlchemy's public name for it


def _opened(connection: Connection, fault: Fault, at: datetime, by: str) -> Became:
    latest = _latest(connection, fault.fingerprint)
    if latest is not None and latest.closed_at is None:
        told = update(operations_cases).where(operations_cases.c.case_id == latest.case_id)
        connection.execute(told.values(told_at=at, summary=fault.summary, severity=fault.severity))
        return Became.KNOWN
    if latest is not None and fault.starts_at <= latest.starts_at:  # A report that comes after its own end.
        return Became.KNOWN
    case_id = str(uuid.uuid5(NAMES, f"{fault.fingerprint} {fault.starts_at.isoformat()}"))
    row = asdict(fault) | {"labels": dict(fault.labels), "case_id": case_id, "opened_at": at, "told_at": at}
    if not is_new(connection, operations_cases, row):  # Another process was told of it at the same time.
        return Became.KNOWN
    trail.append(connection, [Entry("", at, by, "operations.opened", _told(case_id, fault))])
    return Became.OPENED


def _closed(connection: Connection, fault: Fault, at: datetime, by: str) -> Became:
    latest = _latest(connection, fault.fingerprint)
    if latest is None or latest.closed_at is not None or fault.starts_at < latest.starts_at:
        return Became.KNOWN
    this = operations_cases.c.case_id == latest.case_id, operations_cases.c.closed_at.is_(None)
    if not connection.execute(update(operations_cases).where(*this).values(closed_at=at, told_at=at)).rowcount:
        return Became.KNOWN
    trail.append(connection, [Entry("", at, by, "operations.closed", _told(latest.case_id, fault))])
    return Became.CLOSED


def _latest(connection: Connection, fingerprint: str) -> Any:
    table = operations_cases.c
    query = select(table.case_id, table.starts_at, table.closed_at).where(table.fingerprint == fingerprint)
    return connection.execute(query.order_by(table.starts_at.desc()).limit(1)).first()


def _told(case_id: str, fault: Fault) -> dict[str, str]:
    return {"operations_case": case_id, "name": fault.name, "severity": fault.severity}
