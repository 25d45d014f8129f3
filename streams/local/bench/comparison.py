"""Rounds in which every variant runs once, one after the other, so that a machine that slows down slows all of them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.events import Topic
from streams.errors import Unavailable
from streams.local import reference
from streams.local.bench import oracle
from streams.local.bench.child import Child
from streams.local.bench.figures import Run, Verdict
from streams.local.bench.ground import Ground, Line
from streams.local.bench.latency import measured
from streams.local.bench.variants import CHECKOUT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from streams.local.bench.child import Report
    from streams.local.bench.ground import Alert
    from streams.local.bench.latency import Latency, Pace
    from streams.local.bench.variants import Variant

BEGIN_SECONDS_MAX = 120.0
RUN_SECONDS_MAX = 900.0
ALERTS_SECONDS_MAX = 15.0
"""How long nothing more may come of a variant that has seen all events before the alerts are counted as they are."""
SLOW_SHARE = 10
FIRST_MS, STEP_MS = 1_700_000_000_000, 120
NANO = 1_000_000_000


class Load(NamedTuple):
    """How much is measured."""

    events: int
    borrowers: int
    rounds: int
    partitions: int = 4


class Work(NamedTuple):
    """Events and what must come of them."""

    lines: Callable[[], Iterable[Any]]
    verdict: Callable[[Sequence[Alert]], Verdict]
    alerts: int
    """How many alerts to wait for."""
    until: str = ""
    """Where time ends, for the catalogue."""


@dataclass
class Comparison:
    """What is compared, and how. `say` hears a line for a person about each step."""

    load: Load
    bootstrap: str
    directory: Path
    catalogue: Callable[[int], Work]
    """The work for the whole catalogue: about so many events of a simulated portfolio."""
    say: Callable[[str], None]
    done: Callable[[], None] = lambda: None
    """Called after each run."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Variants that could not be prepared, with the reason."""
    _works: dict[tuple[bool, int], Work] = field(default_factory=dict)
    _commands: dict[str, Sequence[str]] = field(default_factory=dict)

    def prepare(self, variants: Iterable[Variant]) -> list[Variant]:
        """Builds and finds what the variants need; those that can run."""
        able = []
        for variant in variants:
            try:
                self._commands[variant.key] = variant.command(self.directory, self.say)
                able.append(variant)
            except Unavailable as missing:
                self.left_out[variant.key] = str(missing)
                self.say(f"{variant.title}, {variant.guarantee}: left out, {missing}")
        return able

    def rounds(self, variants: Sequence[Variant]) -> Iterator[Run]:
        """Every variant in every round; each round begins with another one. Raises Unavailable if one fails."""
        for number in range(self.load.rounds):
            start = number % max(1, len(variants))
            for variant in (*variants[start:], *variants[:start]):
                self.say(f"round {number + 1} of {self.load.rounds}: {variant.title}, {variant.guarantee}")
                yield self.run(variant)
                self.done()

    def run(self, variant: Variant) -> Run:
        """One run of one variant, on topics of its own."""
        work = self.work(variant)
        ground = Ground(self.bootstrap, self.load.partitions)
        asyncio.run(ground.lay())
        try:
            expected = asyncio.run(ground.fill(work.lines()))
            return self._measure(variant, ground, expected, work)
        finally:
            asyncio.run(ground.clear())

    def latency(self, variant: Variant, pace: Pace) -> Latency:
        """One run of one variant at a steady rate, on topics of its own."""
        self.say(f"latency at {pace.rate:,.0f} events/s: {variant.title}, {variant.guarantee}")
        ground = Ground(self.bootstrap, self.load.partitions)
        asyncio.run(ground.lay())
        try:
            with self.start(variant, ground, "0") as child:
                return asyncio.run(measured(ground, variant.key, pace, self.load.borrowers, child.require_running))
        finally:
            asyncio.run(ground.clear())

    def start(self, variant: Variant, ground: Ground, expected: str, until: str = "") -> Child:
        """A process of the variant on these topics; "0" for events without an end."""
        where = (self.bootstrap, ground.prefix, str(self.load.partitions), expected, variant.mode or until)
        directory = Path(tempfile.mkdtemp(dir=self.directory, prefix=ground.prefix))
        return Child(variant.title, (*self._commands[variant.key], *where), _environment(), directory)

    def _measure(self, variant: Variant, ground: Ground, expected: int, work: Work) -> Run:
        with self.start(variant, ground, str(expected), work.until) as child:
            began = child.report("began", BEGIN_SECONDS_MAX)
            seen = child.report("seen", RUN_SECONDS_MAX)
            alerts = asyncio.run(ground.alerts(work.alerts, wait_seconds=ALERTS_SECONDS_MAX))
            memory = child.memory_bytes
        if seen.events <= began.events:
            raise Unavailable(f"{variant.title} did all {expected:,} events in one go: measure more of them (--events)")
        return Run(
            variant=variant.key,
            events=seen.events - began.events,
            seconds=_seconds(began, seen, alerts),
            cpu_seconds=seen.cpu_seconds - began.cpu_seconds,
            memory_bytes=memory,
            verdict=work.verdict(alerts),
        )

    def work(self, variant: Variant) -> Work:
        """The events of a variant, made once."""
        count = self.load.events // (SLOW_SHARE if variant.slow else 1)
        kind = variant.catalogue, count
        if kind not in self._works:
            self._works[kind] = self.catalogue(count) if variant.catalogue else rules_work(self.load.borrowers, count)
        return self._works[kind]


def rules_work(borrowers: int, count: int) -> Work:
    """The reference job's events and alerts."""
    events = list(reference.events(borrowers, count))
    wanted = oracle.expected(events)

    def lines() -> Iterator[Line]:
        for number, (topic, borrower, value) in enumerate(events):
            yield Line(FIRST_MS + number * STEP_MS, Topic(topic), borrower.encode(), value)

    def verdict(alerts: Sequence[Alert]) -> Verdict:
        return oracle.compare(wanted, oracle.told(alert.value for alert in alerts))

    return Work(lines, verdict, len(wanted))


def _seconds(began: Report, seen: Report, alerts: Sequence[Alert]) -> float:
    """Until the last event was done, or until the broker wrote the last alert where that came later."""
    written_ns = max((alert.at_ms for alert in alerts), default=0) * 1_000_000
    return (max(seen.at_ns, written_ns) - began.at_ns) / NANO


def _environment() -> dict[str, str]:
    """Ours without our settings; the checkout's modules can be imported wherever the process runs."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("EWS_")}
    path = [str(CHECKOUT), *filter(None, [own.get("PYTHONPATH")])]
    return own | {"PYTHONPATH": os.pathsep.join(path)}
