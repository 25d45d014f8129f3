"""A contact file (CSV or JSON lines, packed or not), row by row: a record, or a refusal that quotes nothing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from streams.casework.contact_row import FIELDS, nearest, read_row
from streams.errors import Misconfigured
from streams.history.exports import read_rows
from streams.history.importer import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime
    from pathlib import Path

    from streams.casework.contact_row import ContactRow
    from streams.history.exports import Row
    from streams.stores.contact import IncomingRecord

REQUIRED = ("borrower", "zone", "language")
DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class Layout:
    """How contact files are written: UTF-8, cells between commas."""

    format: str | None = None
    delimiter: str = ","
    encoding: str = "utf-8"
    kind: str | None = None


class Line(NamedTuple):
    """A good row."""

    file: str
    line: int
    record: IncomingRecord


class ContactFile:
    """The rows of a file. It remembers which borrowers and addresses it has seen: 16 bytes for each."""

    def __init__(self, path: Path, *, now: datetime, packs: frozenset[str], format_: str | None = None) -> None:
        self._path = path
        self._now = now
        self._packs = packs
        self._layout = Layout(format=format_)
        self._said: dict[str, tuple[int, bytes]] = {}
        self._seen: dict[bytes, int] = {}

    def rows(self) -> Iterator[Line | Refusal]:
        """Each row as it was read. Raises Misconfigured if the file cannot be read or its header is none of ours."""
        for row in read_rows(self._path, self._layout, self._check_header):
            yield self._row(row)

    def _row(self, row: Row) -> Line | Refusal:
        if row.fault is not None:
            return self._refused(row, "unreadable", row.fault)
        try:
            told = read_row(row.columns, now=self._now, packs=self._packs)
        except ValueError as wrong:
            return self._refused(row, "invalid", str(wrong))
        return self._unlike_before(row, told) or Line(str(self._path), row.line, told.record(self._path.name))

    def _unlike_before(self, row: Row, told: ContactRow) -> Refusal | None:
        """What the file itself stands against: the same address again, or another record of the same borrower."""
        of_record = told.model_dump_json(include=set(FIELDS[: FIELDS.index("channel")]))
        line, before = self._said.setdefault(told.borrower, (row.line, _digest(of_record)))
        if before != _digest(of_record):
            return self._refused(row, "contradiction", f"says otherwise of the borrower than line {line} does")
        seen = self._seen.setdefault(_digest(told.borrower, told.channel or "", told.plain_address() or ""), row.line)
        return None if seen == row.line else self._refused(row, "duplicate", f"says what line {seen} says")

    def _check_header(self, header: list[str]) -> None:
        for number, name in enumerate(header, start=1):
            if name not in FIELDS:
                raise Misconfigured(f"{self._path}: column {number} of the first line is not known{nearest(name)}")
        missing = [name for name in REQUIRED if name not in header]
        if missing:
            raise Misconfigured(f"{self._path}: the first line has no column {', '.join(missing)}")
        if len(set(header)) < len(header):
            raise Misconfigured(f"{self._path}: the first line names a column twice")

    def _refused(self, row: Row, reason: str, detail: str) -> Refusal:
        return Refusal(str(self._path), row.line, reason, detail)


def _digest(*parts: str) -> bytes:
    return hashlib.blake2b("\x1f".join(parts).encode(), digest_size=DIGEST_BYTES).digest()
