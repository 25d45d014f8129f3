"""Event files: JSON lines as producers wrote them, read lazily and merged in order of available time.

The order is (available time floored to the millisecond, source, id), where the available time is `recordedtime` if an
event has one, else `time`. A file should be in that order already. One that is not is put in order as far as `window`
lines reach, so that memory stays bounded; a line further out of place comes when it is found.

Every line is an event, an empty one too. One that cannot be read (no JSON, no UTF-8, no usable time) keeps its place
behind the line before it, and shares its time. It belongs to the topic of its type if that is known, else to
`transactions`; its key is its `partitionkey` or subject, or none. So it reaches the dead letters as a mistake of a
producer would.
"""

from __future__ import annotations

import gzip
import sys
import zlib
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush, heappushpop, merge
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple, cast

import orjson

from schemas.codec import EVENT_BYTES_MAX
from schemas.events import EVENTS, Topic
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN = "-"
LINE_BYTES_MAX = EVENT_BYTES_MAX + 48_000
"""A longer line is cut off here: it is too large to be an event in any case, and a broker would not take it."""
WINDOW_LINES = 20_000
"""How far out of place a line may be and still be put in order. Held in memory for each file."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LAST = datetime(2200, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)


class FileEvent(NamedTuple):
    """A line of an event file, with what orders it first: tuples of these compare as the events are replayed."""

    available_ms: int
    source: str
    id: str
    file: str
    line: int
    value: bytes
    """The line's bytes without its end: what the record's value is."""
    topic: Topic
    key: bytes | None
    """`partitionkey` or subject; the record's key."""


def read_events(
    paths: Iterable[Path | str], *, window: int = WINDOW_LINES, latest_ms: int | None = None
) -> Iterator[FileEvent]:
    """The events of several files (`-` is standard input, .gz is unpacked) in one order.

    An event that says it became known after `latest_ms` (now, if given) keeps the time of the line before it: a broker
    refuses such records, and time must not run ahead because of one wrong year.
    Raises Misconfigured, naming the file, if one is missing, unreadable or damaged.
    """
    return merge(*(_in_order(_events(path, latest_ms), window) for path in paths))


def read_lines(path: Path | str) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each line, without its end. Raises Misconfigured."""
    number = 0
    try:
        with _opened(path) as stream:
            while line := stream.readline(LINE_BYTES_MAX):
                number += 1
                yield number, line.rstrip(b"\r\n")
                while len(line) == LINE_BYTES_MAX and not line.endswith(b"\n"):
                    line = stream.readline(LINE_BYTES_MAX)  # The rest of a line that was cut off.
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise Misconfigured(f"{path}: damaged after line {number} ({error}); pack it again") from error
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror or error}") from error


@contextmanager
def _opened(path: Path | str) -> Iterator[BinaryIO]:
    if str(path) == STDIN:
        yield sys.stdin.buffer
    elif str(path).endswith(".gz"):
        with gzip.open(path, "rb") as unpacked:
            yield cast("BinaryIO", unpacked)
    else:
        with Path(path).open("rb") as plain:
            yield plain


def _events(path: Path | str, latest_ms: int | None) -> Iterator[FileEvent]:
    """The lines of one file as they stand, each with what orders it."""
    before: tuple[int, str, str] | None = None
    leading: list[tuple[int, bytes, dict[str, Any]]] = []
    for number, value in read_lines(path):
        raw = parsed(value)
        available = available_ms(raw)
        if available is not None and (latest_ms is None or available <= latest_ms):
            before = (available, _text(raw, "source"), _text(raw, "id"))
            # Unreadable lines at the start share the time of the first readable one.
            yield from (_event((available, "", ""), path, *line) for line in leading)
            leading.clear()
        if before:
            yield _event(before, path, number, value, raw)
        else:
            leading.append((number, value, raw))
    yield from (_event((0, "", ""), path, *line) for line in leading)


def _event(place: tuple[int, str, str], path: Path | str, line: int, value: bytes, raw: dict[str, Any]) -> FileEvent:
    return FileEvent(*place, str(path), line, value, _topic(raw), _key(raw))


def parsed(value: bytes) -> dict[str, Any]:
    """The object of a line; an empty one for a line that holds none."""
    try:
        raw = orjson.loads(value)
    except orjson.JSONDecodeError:
        return {}
    return raw if isinstance(raw, dict) else {}


def available_ms(raw: dict[str, Any]) -> int | None:
    """When the event became known, in milliseconds since the epoch; None if it does not say so readably."""
    value = raw.get("recordedtime") or raw.get("time")
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    if moment.tzinfo is None or not EPOCH <= moment < LAST:
        return None
    return (moment - EPOCH) // MILLISECOND


def _text(raw: dict[str, Any], name: str) -> str:
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def _topic(raw: dict[str, Any]) -> Topic:
    model = EVENTS.get(_text(raw, "type"))
    return model.topic if model else Topic.TRANSACTIONS


def _key(raw: dict[str, Any]) -> bytes | None:
    key = _text(raw, "partitionkey") or _text(raw, "subject")
    return key.encode("utf-8", "replace") if key else None


def _in_order(events: Iterator[FileEvent], window: int) -> Iterator[FileEvent]:
    """Sorted as far as the window reaches; lines that are already in order pass through it unchanged."""
    held: list[FileEvent] = []
    for event in events:
        if len(held) < window:
            heappush(held, event)
        else:
            yield heappushpop(held, event)
    while held:
        yield heappop(held)
