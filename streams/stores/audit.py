"""The audit trail: append-only; each hash holds the one before, so no line can be changed, left out or put in.

    hash = SHA-256(hash of the line before + canonical JSON of the line)

A line may carry the digest of its case as that change left it, so that a change to the case itself shows too. What one
who can write everything (all hashes anew, and the head) has done, only a copy of the head kept elsewhere can show:
`ews cases verify` prints it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from streams.stores.case import AuditLine, canonical
from streams.stores.tables import audit, audit_head
from streams.stores.upsert import insert
from streams.stores.work_tables import notes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Row

    from streams.stores.case import Entry

CHAIN = "cases"
GENESIS = "0" * 64
NOTES_ERASED = "notes.erased"
"""What a line says that tells which notes were erased."""
VERIFY_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class Head:
    """The last line's number and hash."""

    number: int
    hash: str


def append(connection: Connection, entries: Sequence[Entry]) -> None:
    """Add lines to the end."""
    if not entries:
        return
    head = _take_head(connection)
    rows = []
    for entry in entries:
        line = {
            "number": head.number + 1,
            "case_id": entry.case_id,
            "at": entry.at.astimezone(UTC),
            "actor": entry.actor,
            "action": entry.action,
            "detail": dict(entry.detail),
            "case_digest": entry.case_digest,
        }
        head = Head(head.number + 1, chained(head.hash, line))
        rows.append({**line, "hash": head.hash})
    connection.execute(audit.insert(), rows)
    connection.execute(
        audit_head.update().where(audit_head.c.chain == CHAIN).values(number=head.number, hash=head.hash)
    )


def chained(before: str, line: Mapping[str, Any]) -> str:
    """The hash of a line that follows the one with the hash `before`."""
    return hashlib.sha256(before.encode() + canonical(dict(line))).hexdigest()


def lines_of(connection: Connection, case_id: str) -> list[AuditLine]:
    """The history of a case, oldest line first."""
    rows = connection.execute(select(audit).where(audit.c.case_id == case_id).order_by(audit.c.number))
    return [_line(row) for row in rows]


def _line(row: Row[Any]) -> AuditLine:
    return AuditLine(row.case_id, row.at, row.actor, row.action, row.detail, row.case_digest, number=row.number)


def head_of(connection: Connection) -> Head:
    """Where the chain ends."""
    row = connection.execute(select(audit_head).where(audit_head.c.chain == CHAIN)).one_or_none()
    return Head(0, GENESIS) if row is None else Head(row.number, row.hash)


@dataclass(slots=True)
class Vouched:
    """What the trail says of everything else: the last digest of each case, the hash of each note."""

    cases: dict[str, str] = field(default_factory=dict)
    notes: dict[str, str] = field(default_factory=dict)
    erased: set[str] = field(default_factory=set)
    """Notes whose text was taken away because a borrower was erased."""


def verify(connection: Connection, vouched: Vouched) -> Iterator[str]:
    """What is wrong with the chain, a sentence each. Fills `vouched`."""
    before = Head(0, GENESIS)
    for row in _rows(connection):
        if row.number != before.number + 1:
            yield f"between line {before.number} and line {row.number} of the audit trail lines are missing"
        line = {str(column): value for column, value in row._mapping.items() if column != "hash"}  # noqa: SLF001 - SQLAlchemy's public name for it
        if chained(before.hash, line) != row.hash:
            yield f"line {row.number} of the audit trail (case {row.case_id}) is not what was written"
        if row.case_digest:
            vouched.cases[row.case_id] = row.case_digest
        if "note_id" in row.detail and "sha256" in row.detail:
            vouched.notes[row.detail["note_id"]] = row.detail["sha256"]
        if row.action == NOTES_ERASED:
            vouched.erased.update(row.detail.get("notes", ()))
        before = Head(row.number, row.hash)
    head = head_of(connection)
    if head != before:
        yield f"the audit trail ends at line {before.number}, its head says line {head.number} or has another hash"


def verify_notes(connection: Connection, vouched: Vouched) -> Iterator[str]:
    """Which notes are not as they were written. The text of one that was erased is gone, and nothing else of it."""
    left = dict(vouched.notes)
    for row in _notes(connection):
        expected = left.pop(row.note_id, None)
        erased = row.note_id in vouched.erased and row.erased_at is not None and not row.text
        if expected is None or not (erased or hashlib.sha256(row.text.encode()).hexdigest() == expected):
            yield f"note {row.note_id} (case {row.case_id}) is not what was written"
    yield from (f"note {note_id} of the audit trail is gone" for note_id in left)


def _notes(connection: Connection) -> Iterator[Row[Any]]:
    after = ""
    while True:
        query = select(notes).where(notes.c.note_id > after).order_by(notes.c.note_id).limit(VERIFY_ROWS)
        rows = connection.execute(query).all()
        yield from rows
        if len(rows) < VERIFY_ROWS:
            return
        after = rows[-1].note_id


def _rows(connection: Connection) -> Iterator[Row[Any]]:
    after = 0
    while True:
        page = select(audit).where(audit.c.number > after).order_by(audit.c.number).limit(VERIFY_ROWS)
        rows = connection.execute(page).all()
        yield from rows
        if len(rows) < VERIFY_ROWS:
            return
        after = rows[-1].number


def _take_head(connection: Connection) -> Head:
    mine = select(audit_head).where(audit_head.c.chain == CHAIN).with_for_update()
    row = connection.execute(mine).one_or_none()
    if row is None:
        first = {"chain": CHAIN, "number": 0, "hash": GENESIS}
        connection.execute(insert(connection, audit_head).values(**first).on_conflict_do_nothing())
        row = connection.execute(mine).one()
    return Head(row.number, row.hash)
