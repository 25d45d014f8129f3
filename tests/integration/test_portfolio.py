"""Both stages on a real broker, killed at random moments: cohort and link alerts as of a run that nothing disturbed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from schemas.topics import ALERTS, COHORTS, LINKS, PORTFOLIO_ORDER, PORTFOLIO_STATE
from streams import clock
from streams.bootstrap.explain import Question, explain_from_topics
from streams.bootstrap.history import replay_files
from streams.bootstrap.order import repeat_order
from streams.engine.calendar import DAY_MS, moment_of
from streams.engine.drain import LANE_KEY
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.reading import reading
from streams.kafka.topics import create_topics
from streams.local.loader import load as load_events
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PARTITIONS = 3
EWS = [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())"]
KILLED = -signal.SIGKILL
KILLS_EARLY_MIN = 3
"""So many of the kills must hit work that was not through."""


class System:
    """Topics with a simulated portfolio in them, and workers of both stages with the clock of its events."""

    def __init__(self, broker: str, prefix: str, folder: Path) -> None:
        self.settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.starts: Counter[str] = Counter()

    async def load(self) -> None:
        """Make the topics and fill them."""
        simulate(Plan(borrowers=220, days=120, seed=5, late=0.01, duplicates=0.01), self.events)
        await create_topics(self.settings)
        loaded = await load_events(self.settings, read_events([self.events]))
        self.until_ms = loaded.last_ms

    def start(self, stage: str) -> None:
        """Start a worker of a stage."""
        self.starts[stage] += 1
        environment = {
            "EWS_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "EWS_TOPIC_PREFIX": self.settings.topic_prefix,
            "EWS_PARTITIONS": str(PARTITIONS),
            "EWS_CLOCK": "event",
            "EWS_CLOCK_UNTIL": moment_of(self.until_ms).isoformat(),
            "EWS_INSTANCE_ID": f"one-{stage}",
        }
        with (self.folder / f"{stage}-{self.starts[stage]}.log").open("wb") as log:
            self.processes[stage] = subprocess.Popen(
                [*EWS, "worker", "--stage", stage], env=os.environ | environment, stdout=log, stderr=log
            )

    def kill(self, stage: str) -> None:
        """Kill its worker, at whatever it does, and start another one."""
        process = self.processes[stage]
        process.kill()
        assert process.wait(10) in {KILLED, None}
        self.start(stage)

    def end(self) -> None:
        """End every worker."""
        for process in self.processes.values():
            process.kill()
            process.wait(10)

    async def read(self, bare: str) -> list[Any]:
        """All that is committed in a topic."""
        async with reading(self.settings, bare) as reader:
            return [r for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]

    async def closed_day(self) -> int:
        """The last day that all lanes of the second hop have judged, -1 before."""
        last: dict[int, int] = {}
        for record in await self.read(PORTFOLIO_ORDER):
            for step in orjson.loads(record.value)["steps"]:
                if step[0] == "tick":
                    last[record.partition] = step[1] // DAY_MS - 1
        return min(last.values()) if len(last) == PARTITIONS else -1

    async def told(self) -> int:
        """How many records the first hop has told."""
        return len(await self.read(COHORTS)) + len(await self.read(LINKS))

    async def until(self, condition: Callable[[int, int], bool], seconds: float = 150) -> None:
        """Wait until what is told and the day that is judged satisfy a condition; all must be alive meanwhile."""
        deadline = clock.monotonic() + seconds
        while not condition(await self.told(), await self.closed_day()):
            for stage, process in self.processes.items():
                log = self.folder / f"{stage}-{self.starts[stage]}.log"
                assert process.poll() is None, log.read_text()[-2_000:]
            assert clock.monotonic() < deadline, "not in time"
            await asyncio.sleep(0.05)

    async def alerts(self) -> list[bytes]:
        """The alerts of the second hop, in an order that is not that of the partitions."""
        return sorted(r.value for r in await self.read(ALERTS) if b'"ews/portfolio"' in r.value)


@pytest.fixture
def system(broker: str, prefix: str, tmp_path: Path) -> Iterator[System]:
    """A system of its own; its workers are ended."""
    own = System(broker, prefix, tmp_path)
    try:
        yield own
    finally:
        own.end()


async def test_both_stages_killed_at_random_raise_what_an_undisturbed_run_raises(system: System) -> None:
    """Three kills of each stage while they work: the same alerts, once each, and every record applied once."""
    await system.load()
    undisturbed = system.folder / "portfolio.jsonl"
    replay_files([system.events], alerts=None, portfolio=undisturbed)
    expected = sorted(undisturbed.read_bytes().splitlines())
    assert {b"shared_contact", b"cohort_overdue_rate"} <= set(_detectors(expected))
    for stage in ("borrowers", "portfolio"):
        system.start(stage)
    rng, last_day, goal, early = Random(3), system.until_ms // DAY_MS - 1, 0, 0  # noqa: S311 - not for secrets
    for stage in rng.sample(["borrowers", "portfolio"] * 3, 6):
        goal += rng.randrange(50, 400)
        await system.until(partial(_either, goal, last_day))
        early += await system.closed_day() < last_day
        system.kill(stage)
    assert early >= KILLS_EARLY_MIN
    await system.until(partial(_either, sys.maxsize, last_day))
    assert expected == await system.alerts()
    await _assert_order_joins(system)
    repeated = await repeat_order(system.settings, None, states=True)
    assert [] == [*repeated.differences, *repeated.portfolio.differences]
    assert len(expected) == repeated.portfolio.alerts
    assert repeated.portfolio.records.total() == await system.told()
    await _assert_explained(system, expected)


async def _assert_explained(system: System, alerts: list[bytes]) -> None:
    """One alert of a link and one of a cohort come out of the second stage's order again."""
    for detector in (b'"shared_contact"', b'"cohort_overdue_rate"'):
        identity = orjson.loads(next(alert for alert in alerts if detector in alert))["id"]
        story = await explain_from_topics(system.settings, Question(id=identity, check=True), lambda _topic, _n: None)
        assert story.rebuilt.equal, story.rebuilt.said


def _either(goal: int, last_day: int, told: int, day: int) -> bool:
    return told >= goal or day >= last_day


def _detectors(alerts: list[bytes]) -> Iterator[bytes]:
    return (orjson.loads(alert)["data"]["detector"].encode() for alert in alerts)


async def _assert_order_joins(system: System) -> None:
    """The order records of each lane join without a gap or an overlap, and its states say where they end."""
    ends: dict[tuple[int, str], int] = {}
    for record in await system.read(PORTFOLIO_ORDER):
        for step in orjson.loads(record.value)["steps"]:
            if step[0] == "run":
                assert ends.get((record.partition, step[1]), 0) <= step[2]
                ends[record.partition, step[1]] = step[3]
    assert {LANE_KEY} < {record.key for record in await system.read(PORTFOLIO_STATE)}
