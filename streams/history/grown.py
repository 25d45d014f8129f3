"""A portfolio after so many days: the states that the engine has made of a simulated one, and the next day's events.

It is made of few borrowers and stands for any number: a state holds no token, so that each can be given to many.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from schemas.events import Topic
from streams.engine.calendar import DAY_MS, HOUR_MS, ms_of
from streams.engine.drain import LANE_KEY
from streams.engine.lane import Lane, LaneSettings, read
from streams.history.files import read_events
from streams.history.replay import FileRecord
from streams.history.simulator import Plan, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from streams.engine.engine import Engine
    from streams.history.files import FileEvent

BATCH = 2_000
SETTINGS = LaneSettings(0, 1, clock="event", step_ms=HOUR_MS)
CUT = date(2025, 6, 10)
"""The day whose events come next: the same for every length of history, an ordinary one."""


class Next(NamedTuple):
    """An event of the next day."""

    topic: str
    borrower: bytes
    value: bytes


class Grown(NamedTuple):
    """A portfolio at the beginning of a day."""

    states: dict[bytes, bytes]
    """By borrower."""
    head: bytes
    """The position record."""
    now_ms: int
    events: int
    """How many made it."""
    day: list[Next]
    """The events of the next day, in their order."""
    beats: list[FileRecord]
    """The sources' heartbeats of that day, without which silence is no news."""


def grow(engine: Engine, borrowers: int, days: int, progress: Callable[[int], None] = lambda _: None) -> Grown:
    """So many borrowers, watched for so many days. Late, doubled and malformed events are left out."""
    start = CUT - timedelta(days=days)
    plan = Plan(
        borrowers, days + 1, seed=5, start=start, late=0.0, out_of_order=0.0, duplicates=0.0, malformed=0.0
    )  # fmt: skip
    cut_ms = ms_of(datetime.combine(CUT, time(), UTC))
    with tempfile.TemporaryDirectory(prefix="ews-grown-") as scratch:
        file = Path(scratch, "events.jsonl")
        simulate(plan, file, None)
        states: dict[bytes, bytes] = {}
        lane = Lane(engine, SETTINGS, states)
        count = 0
        for records, heartbeats in _batches(read_events([file]), cut_ms):
            _play(lane, records, heartbeats, None)
            count += len(records)
            progress(len(records))
        _play(lane, [], [], cut_ms)
        day = [
            Next(event.topic, event.key or b"", event.value)
            for event in read_events([file])
            if cut_ms <= event.available_ms < cut_ms + DAY_MS and event.topic is not Topic.FEEDS
        ]
        feeds = [event for event in read_events([file]) if event.topic is Topic.FEEDS]
    before = sum(event.available_ms < cut_ms for event in feeds)
    beats = [
        FileRecord(before + number, event.available_ms, event.key, event.value)
        for number, event in enumerate(feeds[before:])
        if event.available_ms < cut_ms + DAY_MS
    ]
    kept = {key: state for key, state in states.items() if key != LANE_KEY}
    return Grown(kept, states[LANE_KEY], cut_ms, count, day, beats)


Records = list[tuple[str, FileRecord]]


def _batches(events: Iterator[FileEvent], cut_ms: int) -> Iterator[tuple[Records, list[FileRecord]]]:
    offsets: Counter[str] = Counter()
    before = (event for event in events if event.available_ms < cut_ms)
    while batch := list(islice(before, BATCH)):
        records: Records = []
        for event in batch:
            record = FileRecord(offsets[event.topic], event.available_ms, event.key, event.value)
            records.append((event.topic, record))
            offsets[event.topic] += 1
        feeds = [record for topic, record in records if topic == Topic.FEEDS]
        yield [(topic, record) for topic, record in records if topic != Topic.FEEDS], feeds


def _play(lane: Lane, records: Records, heartbeats: list[FileRecord], until_ms: int | None) -> None:
    if heartbeats:  # All are taken up before the next batch, so that none has to be carried on.
        until_ms = heartbeats[-1].timestamp + 1
    batch = [(topic, record, read(record.value)) for topic, record in records]
    while (effects := lane.play(batch, heartbeats, until_ms)) is not None:
        lane.committed(effects)
        batch = []


def multiplied(grown: Grown, borrowers: int) -> MutableMapping[bytes, bytes]:
    """The states of so many borrowers, each with bytes of its own, and the position record."""
    originals = sorted(grown.states)
    states = {token_of(number): bytes(bytearray(grown.states[originals[number % len(originals)]]))
              for number in range(borrowers)}  # fmt: skip
    states[LANE_KEY] = grown.head
    return states


def token_of(number: int) -> bytes:
    """A borrower's token."""
    return b"m%09d" % number


def copies_of_day(grown: Grown, borrowers: int, turn: int) -> Iterator[Next]:
    """The next day's events, each life's given to one of its copies; another one with each turn."""
    originals = {token: index for index, token in enumerate(sorted(grown.states))}
    copies = borrowers // len(originals)
    for event in grown.day:
        index = originals.get(event.borrower)
        if index is not None:
            copy = (turn * 7_919 + index * 104_729) % copies
            token = token_of(copy * len(originals) + index)
            subject = b'"subject":"%b"'
            yield Next(event.topic, token, event.value.replace(subject % event.borrower, subject % token, 1))
