"""Labels: what became of whom, when that was known, and when to decide.

A CSV (.gz too) with the columns of `COLUMNS`, in any order; others are passed over. `at` is the moment of decision, `t`
the moment at which the outcome became true. A row without `at` is decided anew at the end of each month from
`observed_from` to `observed_until`, as long as the outcome has not come.
"""

from __future__ import annotations

import csv
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import HOUR_MS, ms_of, zone_of
from streams.errors import Misconfigured
from streams.history.files import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

COLUMNS = ("task", "borrower", "loan", "at", "t", "label", "observed_from", "observed_until", "segment")
CLOSING_MS = HOUR_MS
"""A month is decided on an hour after its end: what is reported as of the month's end counts."""
MISTAKES_SHOWN = 5
ONSET = "trouble"
"""The task whose rows say when a borrower's trouble began: what to see soon after, not what to foresee."""
HEALTHY = "healthy"
"""The segment of those to whom nothing happened."""


class Label(NamedTuple):
    """A row: what became of a borrower, or of one loan (or account elsewhere) of a borrower."""

    line: int
    task: str
    borrower: str
    loan: str | None
    at_ms: int | None
    t_ms: int | None
    label: bool
    from_ms: int | None
    until_ms: int | None
    segment: str


class Decision(NamedTuple):
    """A moment at which a row is decided; `month` is set where it was made of a row without one (see `month_ms`)."""

    label: Label
    at_ms: int
    month: int | None = None

    @property
    def borrower(self) -> str:
        """Whose."""
        return self.label.borrower

    @property
    def loan(self) -> str | None:
        """On which loan, if on one."""
        return self.label.loan


class _Mistake(Exception):  # noqa: N818 - it names what the row has
    """A column and what is wrong with it."""


def read_labels(path: Path, zone: str = "UTC") -> list[Label]:
    """The rows of a file. Times without an offset are read in `zone`.

    Raises Misconfigured, naming the mistakes with their lines.
    """
    _check_zone(zone)
    reader = csv.reader(_decoded(path), strict=True)
    _, header = next(_numbered(path, reader), (1, None))
    missing = [name for name in COLUMNS if name not in (header or [])]
    if header is None or missing:
        raise Misconfigured(f"{path}:1: the header lacks {', '.join(missing)}; it must have {','.join(COLUMNS)}")
    mistakes: list[str] = []
    labels = list(_labels(path, reader, header, zone, mistakes))
    if mistakes:
        more = f"; and {len(mistakes) - MISTAKES_SHOWN} more" if len(mistakes) > MISTAKES_SHOWN else ""
        raise Misconfigured("; ".join(mistakes[:MISTAKES_SHOWN]) + more)
    if not labels:
        raise Misconfigured(f"{path}: has no labels")
    return labels


def tasks_of(labels: Sequence[Label], wanted: Sequence[str] = ()) -> list[str]:
    """The tasks that are measured: those wanted, else all but the one that says when trouble began.

    Raises Misconfigured for one that no row has.
    """
    known = list(dict.fromkeys(label.task for label in labels))
    for task in wanted:
        if task not in known:
            raise Misconfigured(f"no label has the task {task!r}; there are {', '.join(known)}")
    return [task for task in known if (task in wanted if wanted else task != ONSET or len(known) == 1)]


def _check_zone(zone: str) -> None:
    try:
        zone_of(zone)
    except (KeyError, ValueError, OSError):  # Not found; or not even a name that could be looked for.
        raise Misconfigured(f"{zone!r} is not an IANA time zone name, such as Africa/Lagos") from None


def _decoded(path: Path) -> Iterator[str]:
    for number, value in read_lines(path):
        try:
            text = value.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise Misconfigured(f"{path}:{number}: is not UTF-8") from None
        yield f"{text}\n"


def _labels(
    path: Path, reader: Iterator[list[str]], header: list[str], zone: str, mistakes: list[str]
) -> Iterator[Label]:
    seen: dict[tuple[object, ...], int] = {}
    for line, cells in _numbered(path, reader):
        try:
            label = _label(line, _row(header, cells), zone)
        except _Mistake as mistake:
            mistakes.append(f"{path}:{line}: {mistake}")
            continue
        before = seen.setdefault((label.task, label.borrower, label.loan, label.at_ms), line)
        if before != line:
            mistakes.append(f"{path}:{line}: says again what line {before} decides")
        else:
            yield label


def _row(header: list[str], cells: list[str]) -> dict[str, str]:
    if len(cells) != len(header):
        raise _Mistake(f"{len(cells)} cells, the header has {len(header)}")
    return dict(zip(header, cells, strict=True))


def _numbered(path: Path, reader: Iterator[list[str]]) -> Iterator[tuple[int, list[str]]]:
    while True:
        line = reader.line_num + 1  # type: ignore[attr-defined]
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise Misconfigured(f"{path}:{line}: not CSV: {error}") from None
        if cells:
            yield line, cells


def _label(line: int, row: dict[str, str], zone: str) -> Label:
    for name in ("task", "borrower"):
        if not row[name]:
            raise _Mistake(f"{name}: is empty")
    if row["label"] not in {"0", "1"}:
        raise _Mistake(f"label: is {row['label']!r}, must be 0 or 1")
    at, t, since, until = (_time(row, name, zone) for name in ("at", "t", "observed_from", "observed_until"))
    label = Label(
        line, row["task"], row["borrower"], row["loan"] or None, at, t, row["label"] == "1", since, until,
        row["segment"],
    )  # fmt: skip
    _check_times(label)
    return label


def _time(row: dict[str, str], name: str, zone: str) -> int | None:
    if not row[name]:
        return None
    try:
        moment = datetime.fromisoformat(row[name])
        return ms_of(moment if moment.tzinfo else moment.replace(tzinfo=zone_of(zone)))
    except (ValueError, OverflowError):
        raise _Mistake(
            f"{name}: {row[name]!r} is not a time such as 2026-03-01T09:30:00Z (without an offset: {zone})"
        ) from None


def _check_times(label: Label) -> None:
    if label.at_ms is None:
        for name, value in (("observed_from", label.from_ms), ("observed_until", label.until_ms)):
            if value is None:
                raise _Mistake(f"{name}: is empty, and so is `at`: when should be decided?")
        if label.label and label.t_ms is None:
            raise _Mistake("t: is empty, and so is `at`: when did it become true?")
    elif label.t_ms is not None and label.t_ms < label.at_ms:
        raise _Mistake("t: lies before `at`: what is known is no decision")
    if label.from_ms is not None and label.until_ms is not None and label.until_ms < label.from_ms:
        raise _Mistake("observed_until: lies before observed_from")


# -- when to decide ---------------------------------------------------------------------------------------------------


def decisions(labels: Iterable[Label], zone: str = "UTC") -> list[Decision]:
    """When each row is decided: at its `at`, else at the month ends while it was observed and had not come true."""
    return [decision for label in labels for decision in _decided(label, zone)]


def _decided(label: Label, zone: str) -> Iterator[Decision]:
    if label.at_ms is not None:
        yield Decision(label, label.at_ms)
        return
    assert label.from_ms is not None
    assert label.until_ms is not None
    month = month_of(label.from_ms, zone)
    month += month_ms(month, zone) < label.from_ms
    while (starts := month_ms(month, zone)) <= label.until_ms:
        at = starts + CLOSING_MS
        if label.label and label.t_ms is not None and at > label.t_ms:
            return
        yield Decision(label, at, month)
        month += 1


def month_of(ms: int, zone: str) -> int:
    """The number of the local month in which an instant lies."""
    local = datetime.fromtimestamp(ms / 1000, zone_of(zone))
    return local.year * 12 + local.month - 1


def month_ms(month: int, zone: str) -> int:
    """The first instant of a local month: the end of the one before, on which is decided."""
    return ms_of(datetime(month // 12, month % 12 + 1, 1, tzinfo=zone_of(zone)))
