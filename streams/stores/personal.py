"""What the database of cases holds of one borrower: all of it, for who asks; its free texts, to be erased.

The tables are gone through by their columns, so that a table that is added is not forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import or_, select

from streams.stores import audit as trail
from streams.stores import work_tables  # noqa: F401 - its tables belong to the metadata too
from streams.stores.case import Entry
from streams.stores.messages import MessageStatus
from streams.stores.tables import cases, messages, metadata
from streams.stores.work_tables import notes, requests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Row, Table

    from streams.stores.database import Database

BORROWERS = "borrower"
"""The audience of messages to borrowers."""
ERASED = "the borrower was erased"
ANSWER_ERASED = "{}"
ERASURE = "contacts"
"""Who the audit trail says did it."""


@dataclass(frozen=True, slots=True)
class Texts:
    """What an erasure took: texts of notes, waiting messages and answers kept for repeated requests."""

    notes: int
    messages: int
    answers: int
    traceless: bool = True
    """False while another process still reads what SQLite's log holds of it: erase again later."""


def held_of(database: Database, borrower: str) -> dict[str, list[dict[str, Any]]]:
    """Every row about a borrower, by table; tables without one are left out."""
    with database.read() as connection:
        found = {table.name: _rows(connection, table, borrower) for table in metadata.sorted_tables}
    return {name: rows for name, rows in sorted(found.items()) if rows}


def erase_texts(database: Database, borrower: str, at: datetime) -> Texts:
    """Blank what may name a person, and end what waits to be sent. Tokens, figures and the audit trail stay."""
    with database.write() as connection:
        texts = notes.update().where(notes.c.borrower == borrower, notes.c.erased_at.is_(None))
        blanked = connection.execute(
            texts.values(text="", erased_at=at).returning(notes.c.note_id, notes.c.case_id)
        ).all()
        trail.append(connection, _told(blanked, at))
        mine = messages.c.borrower == borrower, messages.c.audience == BORROWERS
        waiting = messages.update().where(*mine, messages.c.status == MessageStatus.WAITING)
        ended = connection.execute(waiting.values(status=MessageStatus.REFUSED, detail=ERASED)).rowcount
        answers = requests.update().where(_about(connection, borrower), requests.c.body != ANSWER_ERASED)
        forgotten = connection.execute(answers.values(body=ANSWER_ERASED)).rowcount
    return Texts(len(blanked), ended, forgotten, traceless=database.scrub())


def _told(blanked: Sequence[Row[Any]], at: datetime) -> list[Entry]:
    """A line for each case, so that a text that was erased is told from one that somebody took away."""
    by_case: dict[str, list[str]] = {}
    for row in sorted(blanked):
        by_case.setdefault(row.case_id, []).append(row.note_id)
    return [Entry(case_id, at, ERASURE, trail.NOTES_ERASED, {"notes": ids}) for case_id, ids in by_case.items()]


def _about(connection: Connection, borrower: str) -> ColumnElement[bool]:
    """Kept answers that name the borrower or a case of theirs."""
    case_ids = connection.scalars(select(cases.c.case_id).where(cases.c.borrower == borrower))
    return or_(*(requests.c.body.contains(name, autoescape=True) for name in (f'"{borrower}"', *case_ids)))


def _rows(connection: Connection, table: Table, borrower: str) -> list[dict[str, Any]]:
    condition = next(_conditions(table, borrower), None)
    if condition is None:
        return []
    return [dict(row) for row in connection.execute(select(table).where(condition)).mappings()]


def _conditions(table: Table, borrower: str) -> Iterator[ColumnElement[bool]]:
    """How rows of a table are about a borrower: by the token, by a case, by a promise, by the key of an event."""
    columns = table.c
    if "borrower" in columns:
        yield columns.borrower == borrower
    if "case_id" in columns:
        yield columns.case_id.in_(select(cases.c.case_id).where(cases.c.borrower == borrower))
    for foreign in table.foreign_keys:
        parent = foreign.column.table
        if "borrower" in parent.c:
            yield foreign.parent.in_(select(foreign.column).where(parent.c.borrower == borrower))
    if table.name == "outbox":
        yield columns.key == borrower
