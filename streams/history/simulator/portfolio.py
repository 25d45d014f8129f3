"""A whole portfolio into one file in order of available time: blocks of borrowers, each sorted, then merged."""

from __future__ import annotations

import os
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from streams.errors import Misconfigured
from streams.history.ordering import merged, prefixed, replacing
from streams.history.simulator.dice import Dice
from streams.history.simulator.feeds import HEARTBEAT, heartbeats
from streams.history.simulator.labels import HEADER, label_rows
from streams.history.simulator.noise import lines
from streams.history.simulator.story import tell
from streams.history.simulator.trouble import Trouble
from streams.history.simulator.truth import LoanTruth, overdue_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.history.simulator.plan import Plan

BLOCK = 250
"""Borrowers in a block: about 100,000 events for a year, which are sorted in memory."""
IN_PROCESS_MAX = 500
"""Up to so many borrowers, starting other processes costs more than it saves."""
RATE_EVERY_DAYS = 15


@dataclass(slots=True)
class Block:
    """What one block of borrowers comes to."""

    counts: Counter[str] = field(default_factory=Counter)
    troubles: Counter[str] = field(default_factory=Counter)
    overdue: dict[int, tuple[float, float]] = field(default_factory=dict)
    loans: int = 0
    misses: int = 0

    def add(self, other: Block) -> None:
        """Take another block in."""
        self.counts.update(other.counts)
        self.troubles.update(other.troubles)
        self.loans += other.loans
        self.misses += other.misses
        for day, (overdue, active) in other.overdue.items():
            was = self.overdue.get(day, (0.0, 0.0))
            self.overdue[day] = (was[0] + overdue, was[1] + active)


@dataclass(frozen=True, slots=True)
class Summary:
    """What was simulated."""

    borrowers: int
    days: int
    seed: int
    events: dict[str, int]
    untidy: dict[str, int]
    """Late, out of order, duplicate, and malformed by kind."""
    troubles: dict[str, int]
    loans: int
    loans_missed: int
    """Loans that were past due on some day."""
    overdue_rate: dict[int, float]
    """By day: outstanding at one day past due or more over outstanding of active loans."""
    transactions_a_month: float

    @property
    def lines(self) -> int:
        """Lines of the file."""
        extra = sum(n for name, n in self.untidy.items() if name == "duplicate" or name.startswith("malformed"))
        return sum(self.events.values()) + extra

    @property
    def mean_overdue_rate(self) -> float:
        """The mean of the overdue rate over the time."""
        return sum(self.overdue_rate.values()) / len(self.overdue_rate) if self.overdue_rate else 0.0


def simulate(
    plan: Plan,
    out: Path,
    labels: Path | None = None,
    *,
    progress: Callable[[int], None] | None = None,
    processes: int | None = None,
) -> Summary:
    """Write the portfolio's events to `out` (compressed if it ends in .gz) and its labels.

    `progress` is told how many more borrowers are done. Raises Misconfigured if a file cannot be written.
    """
    try:
        with replacing(out) as stream, TemporaryDirectory(prefix=".ews-simulate-", dir=out.parent) as folder:
            total = _blocks(plan, Path(folder), progress or _silent, processes)
            _merge(plan, Path(folder), stream, total)
            if labels:
                _join_labels(Path(folder), labels)
    except OSError as error:
        raise Misconfigured(f"cannot write {error.filename or out}: {error.strerror or error}") from error
    return _summary(plan, total)


def _silent(borrowers: int) -> None:
    pass


def _blocks(plan: Plan, folder: Path, progress: Callable[[int], None], processes: int | None) -> Block:
    starts = range(0, plan.people, BLOCK)
    total = Block()
    wanted = min(processes or os.cpu_count() or 1, len(starts))
    if wanted <= 1 or plan.people <= IN_PROCESS_MAX:
        for first in starts:
            total.add(write_block(plan, first, folder))
            progress(min(BLOCK, plan.people - first))
        return total
    with _pool(wanted) as pool:
        jobs = zip(*((plan, first, folder) for first in starts), strict=True)
        for first, block in zip(starts, pool.map(write_block, *jobs), strict=True):
            total.add(block)
            progress(min(BLOCK, plan.people - first))
    return total


@contextmanager
def _pool(size: int) -> Iterator[ProcessPoolExecutor]:
    """Processes that leave Ctrl-C to their parent, and that end when it does."""
    pool = ProcessPoolExecutor(size, get_context("spawn"), signal.signal, (signal.SIGINT, signal.SIG_IGN))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def write_block(plan: Plan, first: int, folder: Path) -> Block:
    """Simulate one block of borrowers into a sorted file of the folder, and its labels into another."""
    block = Block()
    keyed: list[bytes] = []
    labels: list[str] = []
    loans: list[LoanTruth] = []
    for index in range(first, min(first + BLOCK, plan.people)):
        story = tell(plan, index)
        dice = Dice(f"{plan.seed}/{index}/noise")
        keyed += map(prefixed, lines(story.rows, plan, dice, story.life.tape.closes, block.counts))
        labels += label_rows(story, plan.days)
        loans += story.loans
        block.troubles[story.kind.trouble if story.kind else Trouble.HEALTHY] += 1
    block.loans = len(loans)
    block.misses = sum(row.startswith("first_miss") and ",1,2" in row for row in labels)
    block.overdue = {day: overdue_parts(loans, day) for day in range(0, plan.days, RATE_EVERY_DAYS)}
    keyed.sort()
    (folder / f"{first:012d}.events").write_bytes(b"".join(keyed))
    (folder / f"{first:012d}.labels").write_text("\n".join(labels) + "\n", encoding="ascii")
    return block


def _merge(plan: Plan, folder: Path, out: BinaryIO, total: Block) -> None:
    total.counts[HEARTBEAT] = 0
    beats = _counted(map(prefixed, heartbeats(plan)), total)
    with merged(sorted(folder.glob("*.events")), beats) as everything:
        out.writelines(everything)


def _counted(beats: Iterator[bytes], total: Block) -> Iterator[bytes]:
    for beat in beats:
        total.counts[HEARTBEAT] += 1
        yield beat


def _join_labels(folder: Path, labels: Path) -> None:
    with replacing(labels) as stream:
        stream.write(f"{HEADER}\n".encode())
        for path in sorted(folder.glob("*.labels")):
            stream.write(path.read_bytes())


def _summary(plan: Plan, total: Block) -> Summary:
    events = {name: n for name, n in sorted(total.counts.items()) if name.startswith("ews.")}
    months = plan.people * plan.days / (365 / 12)
    return Summary(
        borrowers=plan.people,
        days=plan.days,
        seed=plan.seed,
        events=events,
        untidy={name: n for name, n in sorted(total.counts.items()) if not name.startswith("ews.")},
        troubles=dict(sorted(total.troubles.items())),
        loans=total.loans,
        loans_missed=total.misses,
        overdue_rate={day: round(o / a, 4) if a else 0.0 for day, (o, a) in sorted(total.overdue.items())},
        transactions_a_month=round(events.get("ews.transaction.booked.v1", 0) / months, 1) if months else 0.0,
    )
