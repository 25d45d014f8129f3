"""The benchmark: the same reference job on stock Faust and on our shell, and the product with all its detectors.

Each variant runs in a process of its own against the same broker, round by round, so that a machine that slows down
slows all of them. Time runs from the first event taken to the last one done (for ours: committed).
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from schemas.events import Topic
from streams import clock
from streams.bootstrap.worker import lane_factory, run
from streams.errors import Unavailable
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.topics import create_topics
from streams.local import reference
from streams.local.broker import LocalBroker
from streams.local.loader import load
from streams.settings import Settings
from streams.settings import load as load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, MutableMapping

    from streams.engine.drain import Effects, Inbox, LaneLogic

PARTITIONS = 4
RUN_SECONDS_MAX = 900
STOCK, RULES, PRODUCT = "stock faust, three rules", "product, three rules", "product, all detectors"


class Run(NamedTuple):
    """One run of one variant."""

    variant: str
    events: int
    seconds: float

    @property
    def rate(self) -> float:
        """Events a second."""
        return self.events / self.seconds


class Line(NamedTuple):
    """An event as the loader takes it."""

    available_ms: int
    topic: Topic
    key: bytes
    value: bytes


class Load(NamedTuple):
    """How much is measured."""

    events: int
    stock_events: int
    borrowers: int
    rounds: int


def measure(plan: Load, say: Callable[[str], None], bootstrap: str | None = None) -> list[Run]:
    """All variants, round by round. Raises Unavailable if one fails."""
    with tempfile.TemporaryDirectory(prefix="ews-bench-") as directory:
        if bootstrap is not None:
            return list(_rounds(plan, bootstrap, Path(directory), say))
        with LocalBroker(Path(directory) / "broker", say=say) as broker:
            return list(_rounds(plan, broker.bootstrap_servers, Path(directory), say))


def _rounds(plan: Load, bootstrap: str, directory: Path, say: Callable[[str], None]) -> Iterator[Run]:
    for number in range(1, plan.rounds + 1):
        for variant, count in ((STOCK, plan.stock_events), (RULES, plan.events), (PRODUCT, plan.events)):
            say(f"round {number} of {plan.rounds}: {variant}")
            lines = _product_lines(directory, count) if variant == PRODUCT else _reference_lines(plan.borrowers, count)
            yield _one(variant, bootstrap, lines, directory)


def _one(variant: str, bootstrap: str, lines: Iterator[Any], directory: Path) -> Run:
    prefix = f"bench-{clock.now_ms()}-"
    settings = load_settings(bootstrap_servers=bootstrap, topic_prefix=prefix, partitions=PARTITIONS, clock="event")
    asyncio.run(create_topics(settings))
    loaded = asyncio.run(load(settings, lines)).topics
    expected = loaded.total() - loaded[Topic.FEEDS]
    if variant == STOCK:
        command = ["streams.local.stock", bootstrap, prefix, str(PARTITIONS), str(expected)]
    else:
        command = ["streams.bootstrap.bench", variant, str(expected)]
    answer = orjson.loads(_output(command, settings, directory))
    return Run(variant, answer["events"], answer["seconds"])


def _output(command: list[str], settings: Settings, directory: Path) -> bytes:
    """The last line that a variant prints. What it writes (stock Faust does) it writes into the directory."""
    own = {
        "EWS_BOOTSTRAP_SERVERS": settings.bootstrap_servers, "EWS_TOPIC_PREFIX": settings.topic_prefix,
        "EWS_PARTITIONS": str(settings.partitions), "EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": "2100-01-01T00:00:00Z",
    }  # fmt: skip
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            [sys.executable, "-m", *command],
            env=os.environ | own,
            cwd=directory,
            capture_output=True,
            timeout=RUN_SECONDS_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unavailable(f"{command[0]} had not finished after {RUN_SECONDS_MAX} s") from None
    if done.returncode or not done.stdout.strip():
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise Unavailable(f"{command[0]} ended with exit code {done.returncode}: {''.join(last)[:300]}")
    return done.stdout.strip().splitlines()[-1]


def _reference_lines(borrowers: int, count: int) -> Iterator[Line]:
    for number, (topic, borrower, value) in enumerate(reference.events(borrowers, count)):
        yield Line(1_700_000_000_000 + number * 120_000 // 1_000, Topic(topic), borrower.encode(), value)


def _product_lines(directory: Path, count: int) -> Iterator[Any]:
    """A simulated half year of about so many events."""
    file = directory / f"product-{count}.jsonl"
    if not file.exists():
        simulate(Plan(borrowers=max(10, count // 215), days=180, seed=11), file, None)
    return read_events([file])


class Timed:
    """A lane that says when so many events of all lanes are committed, and then ends the process."""

    done = 0
    began = 0.0

    def __init__(self, lane: LaneLogic, expected: int) -> None:
        self._lane = lane
        self._expected = expected
        self._before = dict(lane.positions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)

    def drain(self, inbox: Inbox) -> Effects | None:
        """Starts the clock with the first drain of any lane."""
        Timed.began = Timed.began or clock.monotonic()
        return self._lane.drain(inbox)

    def committed(self, effects: Effects) -> None:
        """Counts what is committed."""
        self._lane.committed(effects)
        for topic, position in effects.positions.items():
            Timed.done += position - self._before.get(topic, 0)
            self._before[topic] = position
        if Timed.done >= self._expected:
            answer = {"events": Timed.done, "seconds": clock.monotonic() - Timed.began}
            sys.stdout.buffer.write(orjson.dumps(answer) + b"\n")
            sys.stdout.flush()
            os._exit(0)


def work(variant: str, expected: int) -> int:
    """One of our variants, as a worker of its own process."""
    settings = load_settings()
    product = lane_factory(settings)

    def lane(partition: int, states: MutableMapping[bytes, bytes]) -> Any:
        logic: Any = reference.RulesLane(states) if variant == RULES else product(partition, states)
        return Timed(logic, expected)

    return run(settings, lane)


def medians(runs: list[Run]) -> dict[str, float]:
    """The median rate of each variant."""
    return {variant: median(run.rate for run in runs if run.variant == variant) for variant in (STOCK, RULES, PRODUCT)}


if __name__ == "__main__":
    sys.exit(work(sys.argv[1], int(sys.argv[2])))
