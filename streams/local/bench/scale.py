"""More workers on the same topics: how many events a second, and what they cost together.

The events are written in one transaction, which is committed when every worker has its partitions: so all begin at
once, and no rebalance falls into what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from schemas.events import Topic
from streams import clock
from streams.errors import Unavailable
from streams.local.bench.comparison import ALERTS_SECONDS_MAX, NANO, RUN_SECONDS_MAX
from streams.local.bench.figures import Verdict
from streams.local.bench.ground import Ground

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.local.bench.child import Child, Report
    from streams.local.bench.comparison import Comparison, Work
    from streams.local.bench.ground import Alert
    from streams.local.bench.variants import Variant

SETTLE_SECONDS = 3.0
"""The group has settled when no worker was given a lane for so long."""
SETTLE_SECONDS_MAX = 120.0
POLL_SECONDS = 0.05
MILLION = 1e6


class Round(NamedTuple):
    """One run of so many workers."""

    workers: int
    events: int
    seconds: float
    """From the commit that shows the events until the last lane is through."""
    cpu_seconds: float
    """Of all workers together."""
    verdict: Verdict


class Scaled(NamedTuple):
    """The medians of so many workers."""

    workers: int
    rates: tuple[float, ...]
    rate: float
    cpu_seconds_per_million: float
    right: bool
    """Whether every run's alerts were right."""


def scale(compared: Comparison, variant: Variant, counts: Sequence[int]) -> Iterator[Round]:
    """Every number of workers in every round. Raises Unavailable if a worker fails."""
    work = compared.work(variant)
    for number in range(compared.load.rounds):
        for workers in counts:
            compared.say(f"round {number + 1} of {compared.load.rounds}: {workers} of {variant.title}")
            yield _run(compared, variant, workers, work)
            compared.done()


def scaled(rounds: Sequence[Round], counts: Sequence[int]) -> list[Scaled]:
    """The medians, in the order of the counts."""
    return [_scaled(count, [one for one in rounds if one.workers == count]) for count in counts]


def _scaled(workers: int, rounds: Sequence[Round]) -> Scaled:
    rates = tuple(one.events / one.seconds for one in rounds)
    cpu = median(one.cpu_seconds / one.events * MILLION for one in rounds)
    return Scaled(workers, rates, median(rates), cpu, all(one.verdict.right for one in rounds))


def _run(compared: Comparison, variant: Variant, workers: int, work: Work) -> Round:
    ground = Ground(compared.bootstrap, compared.load.partitions)
    by_lane = ground.counts(work.lines())
    asyncio.run(ground.lay())
    try:
        # Heartbeats first: what silence means must not depend on who has read how many of them.
        asyncio.run(ground.fill(line for line in work.lines() if line.topic == Topic.FEEDS))
        events = (line for line in work.lines() if line.topic != Topic.FEEDS)
        with contextlib.ExitStack() as stack:
            expected = ",".join(map(str, by_lane))
            children = [
                # Time is that of the events and has no other end: without events it would be there at once.
                stack.enter_context(compared.start(variant, ground, expected))
                for _ in range(workers)
            ]
            # The gate is passed when all is written; what follows it is the commit.
            gate = _Gate(children)
            asyncio.run(ground.fill(events, gate))
            ends = _ends(children, sum(by_lane))
            alerts = asyncio.run(ground.alerts(work.alerts, wait_seconds=ALERTS_SECONDS_MAX))
    finally:
        asyncio.run(ground.clear())
    return Round(
        workers,
        sum(by_lane),
        (max(end.at_ns for its in ends for end in its) - gate.opened_ns) / NANO,
        sum(its[-1].cpu_seconds - before for its, before in zip(ends, gate.cpu_seconds, strict=True)),
        _distinct(alerts) if variant.catalogue else work.verdict(alerts),
    )


def _distinct(alerts: Sequence[Alert]) -> Verdict:
    """Of all detectors only that no alert came twice: the order of a backlog that is there at once is the worker's."""
    values = [alert.value for alert in alerts]
    return Verdict(expected=len(values), doubled=len(values) - len(set(values)))


class _Gate:
    """What the load waits at until every worker has its lanes."""

    def __init__(self, children: Sequence[Child]) -> None:
        self._children = children
        self.opened_ns = 0
        self.cpu_seconds: list[float] = []

    async def __call__(self) -> None:
        lanes = await asyncio.to_thread(self._settled)
        self.cpu_seconds = [its[-1].cpu_seconds for its in lanes]
        self.opened_ns = clock.now_ms() * 1_000_000

    def _settled(self) -> list[list[Report]]:
        def count() -> int:
            return sum(map(len, lanes)) if all(lanes) else 0

        deadline, known, since = clock.monotonic() + SETTLE_SECONDS_MAX, 0, clock.monotonic()
        while clock.monotonic() < deadline:
            for child in self._children:
                child.require_running()
            lanes = [child.said("lane") for child in self._children]
            if count() != known:
                known, since = count(), clock.monotonic()
            if known and clock.monotonic() - since > SETTLE_SECONDS:
                return lanes
            time.sleep(POLL_SECONDS)
        raise Unavailable(f"the workers had not shared the partitions after {SETTLE_SECONDS_MAX:.0f} s")


def _ends(children: Sequence[Child], events: int) -> list[list[Report]]:
    """When each lane was through, by worker."""
    deadline = clock.monotonic() + RUN_SECONDS_MAX
    while clock.monotonic() < deadline:
        ends = [child.said("seen") for child in children]
        if sum(end.events for its in ends for end in its) >= events:
            return ends
        for child in children:
            child.require_running()
        time.sleep(POLL_SECONDS)
    raise Unavailable(f"the workers had not done all events after {RUN_SECONDS_MAX:.0f} s")
