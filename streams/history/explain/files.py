"""Gathering from files: alerts as a demo or replay wrote them, and the event files they came of."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from schemas.codec import InvalidEvent, decode, decode_alert
from streams.errors import Misconfigured
from streams.history.explain.material import Fact, Material, Told, Wanted, assembled
from streams.history.files import read_events, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def gather(wanted: Wanted, alerts: Path, events: Sequence[str]) -> Material:
    """The material of an alert. Raises Rejected if it is not there, Misconfigured for a file that cannot be read."""
    where = str(alerts)
    for number, value, _ in _alerts(alerts):
        if wanted.prefix in value:
            wanted.offer(_told(alerts, number, value))
    told = wanted.found(where)
    borrower = told.alert.subject
    mine = [_told(alerts, number, value) for number, value, subject in _alerts(alerts) if subject == borrower]
    return assembled(told, mine, list(_facts(events, borrower)), where, events_known=bool(events))


def _alerts(file: Path) -> Iterator[tuple[int, bytes, str]]:
    """Number, bytes and subject of each line. Raises Misconfigured for one that is no alert."""
    for number, value in read_lines(file):
        if not value:
            continue
        try:
            raw: Any = orjson.loads(value)
            subject, _ = raw["subject"], raw["data"]["alert_id"]
        except (orjson.JSONDecodeError, KeyError, TypeError, IndexError):
            raise Misconfigured(
                f"{file} line {number} is no alert: give the file that --alerts of `ews replay` wrote, "
                "or alerts.jsonl of a demo"
            ) from None
        yield number, value, subject


def _told(file: Path, number: int, value: bytes) -> Told:
    try:
        return Told(decode_alert(value), value, f"{file.name} line {number}")
    except InvalidEvent as fault:
        raise Misconfigured(f"{file} line {number} is no alert that this release reads: {fault.detail}") from None


def _facts(files: Sequence[str], borrower: str) -> Iterator[Fact]:
    key = borrower.encode()
    for line in read_events(files):
        if line.key == key:
            try:
                event = decode(line.value)
            except InvalidEvent:
                continue  # A dead letter: nothing was concluded from it.
            yield Fact(event, line.available_ms, f"{Path(line.file).name} line {line.line}")
