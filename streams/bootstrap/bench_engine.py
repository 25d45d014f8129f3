"""What an event costs the engine, by how many borrowers there are and how long they were watched; sizes and memory.

CPU time, not wall time, so that what else the machine does matters little. Each number of borrowers has a process of
its own, for its memory's sake; they take turns, a day's events at a time, so that what slows one slows all. Time stands
still while events are measured: what waking up costs is a figure of its own.
"""

from __future__ import annotations

import contextlib
import gc
import multiprocessing
import pickle
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from streams.bootstrap.policy import load_engine
from streams.engine.calendar import DAY_MS
from streams.engine.drain import Inbox
from streams.engine.lane import Lane
from streams.errors import Misconfigured
from streams.history.grown import SETTINGS, copies_of_day, grow, multiplied
from streams.history.replay import FileRecord
from streams.local.bench.child import peak, resident
from streams.local.bench.figures import quantile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from multiprocessing.connection import Connection
    from pathlib import Path

    from streams.history.grown import Grown

LIVES = 1_000
"""Borrowers that are simulated. More are copies of these."""
HISTORY_BORROWERS = 10_000
MICRO = 1e6
DRAIN_RECORDS = 2_000


class Sizes(NamedTuple):
    """How large the states are, in bytes."""

    days: int
    borrowers: int
    median: int
    p99: int
    largest: int


class Cost(NamedTuple):
    """What one lane costs."""

    borrowers: int
    days: int
    event_us: float
    """CPU time of an event, decoding and the state's bytes included: the median of the turns."""
    turns: tuple[float, ...]
    events: int
    wake_up_us: float | None
    """CPU time of a day's ticks, for each borrower; None where it was not measured."""
    load_seconds: float
    """CPU time until the lane is ready, from states in memory."""
    resident_bytes: int
    """What the process holds when it is loaded."""
    peak_bytes: int


class Asked(NamedTuple):
    """What is measured."""

    borrowers: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    days: tuple[int, ...] = (30, 90, 365)
    turns: int = 10
    lives: int = LIVES

    @property
    def long_lives(self) -> int:
        """How many live where lengths of history are compared: a year of all of them would take minutes."""
        return max(1, self.lives * 3 // 10)


@dataclass
class Measured:
    """All that was found."""

    by_borrowers: list[Cost] = field(default_factory=list)
    by_days: list[Cost] = field(default_factory=list)
    sizes: list[Sizes] = field(default_factory=list)


def measure(asked: Asked, directory: Path, say: Callable[[str], None]) -> Measured:
    """All figures. Portfolios are grown once. Raises Misconfigured."""
    _check(asked)
    found, size_days = Measured(), 90
    if asked.borrowers:
        grown = _grown(asked.lives, size_days, say)
        found.sizes.append(_sizes(grown, size_days))
        lanes = [(_kept(grown, directory, size_days), size_days, borrowers) for borrowers in asked.borrowers]
        found.by_borrowers = _take_turns(lanes, asked.turns, say)
    if asked.days:
        lanes = []
        for days in asked.days:
            grown = _grown(asked.long_lives, days, say)
            if days != size_days or not found.sizes:
                found.sizes.append(_sizes(grown, days))
            lanes.append((_kept(grown, directory, days), days, HISTORY_BORROWERS))
        found.by_days = _take_turns(lanes, asked.turns, say)
    return found


def _check(asked: Asked) -> None:
    """Each turn needs copies of its own: an event that comes to a copy again is a duplicate and costs next to none."""
    fewest = min((*asked.borrowers, HISTORY_BORROWERS * asked.lives // asked.long_lives), default=asked.lives)
    if fewest < asked.lives * asked.turns:
        raise Misconfigured(
            f"{asked.turns} turns need {asked.lives * asked.turns:,} borrowers: ask for fewer turns or more borrowers"
        )
    if min(asked.days, default=1) < 1:
        raise Misconfigured("a history has at least one day")


def _grown(lives: int, days: int, say: Callable[[str], None]) -> Grown:
    say(f"{lives:,} borrowers live for {days} days")
    return grow(load_engine(None), lives, days)


def _kept(grown: Grown, directory: Path, days: int) -> Path:
    file = directory / f"grown-{days}-{len(grown.states)}"
    file.write_bytes(pickle.dumps(grown))
    return file


def _sizes(grown: Grown, days: int) -> Sizes:
    sizes = [len(state) for state in grown.states.values()]
    return Sizes(days, len(sizes), int(quantile(sizes, 0.5)), int(quantile(sizes, 0.99)), max(sizes))


def _take_turns(lanes: Sequence[tuple[Path, int, int]], turns: int, say: Callable[[str], None]) -> list[Cost]:
    """Each lane in a process of its own, one at work at a time."""
    context = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        ends = []
        for file, days, borrowers in lanes:
            say(f"{borrowers:,} borrowers after {days} days: loading")
            ours, theirs = context.Pipe()
            process = context.Process(target=serve, args=(theirs, str(file), days, borrowers), daemon=True)
            process.start()
            stack.callback(process.join)
            stack.callback(process.kill)
            ours.recv()
            ends.append(ours)
        for turn in range(turns):
            say(f"turn {turn + 1} of {turns}")
            for end in ends:
                end.send(turn)
                end.recv()
        say("a day of ticks")
        return [_last(end) for end in ends]


def _last(end: Connection) -> Cost:
    end.send(None)
    cost: Cost = end.recv()
    return cost


def serve(end: Connection, file: str, days: int, borrowers: int) -> None:
    """A lane that measures a turn whenever it is asked for one, and says all when there are no more."""
    with open(file, "rb") as stream:  # noqa: PTH123 - it comes as a text
        grown: Grown = pickle.load(stream)  # noqa: S301 - written by our parent
    states = multiplied(grown, borrowers)
    engine = load_engine(None)
    gc.collect()
    began = time.process_time()
    lane = Lane(engine, SETTINGS, states)
    load_seconds = time.process_time() - began
    held = resident()
    end.send(held)
    turns: list[float] = []
    count = 0
    while (turn := end.recv()) is not None:
        seconds, events = _turn(lane, grown, borrowers, turn)
        turns.append(seconds / events * MICRO)
        count += events
        end.send(turns[-1])
    wake_up = _day_of_ticks(lane, grown) / borrowers * MICRO if borrowers <= HISTORY_BORROWERS else None
    end.send(Cost(borrowers, days, median(turns), tuple(turns), count, wake_up, load_seconds, held, peak()))


def _turn(lane: Lane, grown: Grown, borrowers: int, turn: int) -> tuple[float, int]:
    """CPU seconds and number of a day's events, as drains of a live worker."""
    seconds, count = 0.0, 0
    for inbox in _inboxes(lane, grown, borrowers, turn):
        began = time.process_time()
        effects = lane.drain(inbox)
        assert effects is not None, "there were records"
        lane.committed(effects)
        seconds += time.process_time() - began
        count += sum(map(len, inbox.records.values()))
    return seconds, count


def _inboxes(lane: Lane, grown: Grown, borrowers: int, turn: int) -> Iterator[Inbox]:
    """The records' times stay within the hour that begins at the cut, so that no tick comes between them."""
    records: dict[str, list[FileRecord]] = {}
    for number, event in enumerate(copies_of_day(grown, borrowers, turn), 1):
        offset = lane.positions.get(event.topic, 0)
        queue = records.setdefault(event.topic, [])
        queue.append(FileRecord(offset + len(queue), grown.now_ms + number, event.borrower, event.value))
        if number % DRAIN_RECORDS == 0:
            yield _inbox(records)
            records = {}
    if records:
        yield _inbox(records)


def _inbox(records: dict[str, list[FileRecord]]) -> Inbox:
    return Inbox(records, frozenset(), None)


def _day_of_ticks(lane: Lane, grown: Grown) -> float:
    """CPU seconds of what a day that passes wakes up, with all sources complete up to the hour."""
    seconds, end_ms = 0.0, grown.now_ms + DAY_MS
    inbox = Inbox({}, frozenset(), end_ms, grown.beats)
    while True:
        began = time.process_time()
        effects = lane.drain(inbox)
        if effects is not None:
            lane.committed(effects)
        seconds += time.process_time() - began
        if effects is None or lane.now_ms >= end_ms:
            return seconds
