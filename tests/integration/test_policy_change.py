"""A policy that is changed while a real worker drains, killed around the changes, repeated from its topics."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import ALERTS, ORDER, POLICIES, SOURCES
from streams import clock
from streams.bootstrap.order import repeat_order
from streams.bootstrap.policy_topic import apply_policy
from streams.engine.calendar import moment_of
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.reading import reading
from streams.kafka.topics import create_topics
from streams.local.loader import load as load_events
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTITIONS = 2
EWS = [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())"]
STRICTER = """\
version = "stricter-2"
[detectors.multi_lending_spike]
levels = [[2, 30, "high"], [3, 300, "high"]]
[detectors.missed_installment]
grace_days = 1
"""
CALMER = """\
version = "calmer-3"
[detectors.missed_installment]
enabled = false
[detectors.returned_payment]
shadow = true
"""


class System:
    """Topics with a simulated portfolio in them, a worker with the clock of its events, and policies."""

    def __init__(self, broker: str, prefix: str, folder: Path) -> None:
        self.settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
        self.folder = folder
        self.policies = {"stricter-2": folder / "stricter.toml", "calmer-3": folder / "calmer.toml"}
        self.policies["stricter-2"].write_text(STRICTER)
        self.policies["calmer-3"].write_text(CALMER)
        self._processes: list[subprocess.Popen[bytes]] = []

    async def load(self, borrowers: int = 80, days: int = 100) -> None:
        """Make the topics and fill them."""
        events = self.folder / "events.jsonl"
        simulate(Plan(borrowers=borrowers, days=days, seed=11, late=0.01, duplicates=0.02, malformed=0.002), events)
        await create_topics(self.settings)
        loaded = await load_events(self.settings, read_events([events]))
        self.total, self.until_ms = sum(loaded.topics[topic] for topic in SOURCES), loaded.last_ms

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        own = {
            "EWS_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "EWS_TOPIC_PREFIX": self.settings.topic_prefix,
            "EWS_PARTITIONS": str(PARTITIONS),
            "EWS_CLOCK": "event",
            "EWS_CLOCK_UNTIL": moment_of(self.until_ms).isoformat(),
            "EWS_INSTANCE_ID": "one",
        }
        with (self.folder / f"worker-{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen([*EWS, "worker"], env=os.environ | own, stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def log(self) -> bytes:
        """What the latest worker wrote."""
        return (self.folder / f"worker-{len(self._processes) - 1}.log").read_bytes()

    def end(self) -> None:
        """End every worker."""
        for process in self._processes:
            process.kill()
            process.wait(10)

    async def read(self, bare: str) -> list[Any]:
        """All that is committed in a topic."""
        async with reading(self.settings, bare) as reader:
            return [r for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]

    async def steps(self) -> dict[int, list[list[Any]]]:
        """The order of each lane."""
        steps: dict[int, list[list[Any]]] = {n: [] for n in range(PARTITIONS)}
        for record in await self.read(ORDER):
            steps[record.partition] += orjson.loads(record.value)["steps"]
        return steps

    async def until(self, condition: Any, what: str, seconds: float = 120) -> None:
        """Wait until the order is as it is asked to be."""
        deadline = clock.monotonic() + seconds
        while not condition(await self.steps()):
            assert clock.monotonic() < deadline, what
            await asyncio.sleep(0.05)

    async def applied(self, share: float, seconds: float = 120) -> None:
        """Wait until so much of all events is applied."""
        await self.until(lambda steps: _applied(steps) >= share * self.total, f"{share:.0%} applied", seconds)

    async def in_force(self, version: str) -> None:
        """Wait until every lane has ticked with a version."""
        await self.until(
            lambda steps: all(any(s[0] == "tick" and s[2] == version for s in own) for own in steps.values()),
            f"{version} in force",
        )

    async def done(self) -> None:
        """Wait until all is applied, time has come to its end, and the latest worker is up.

        The one before it may have done all that there was. Asked to stop while it still imports, Python itself ends.
        """
        await self.applied(1, 400)
        await self.until(
            lambda steps: all(max(s[1] for s in own if s[0] == "tick") == self.until_ms for own in steps.values()),
            "time has come to its end",
        )
        await self.until(lambda _: b"worker.recovered" in self.log(), "the latest worker is up")


def _applied(steps: dict[int, list[list[Any]]]) -> int:
    return sum(s[3] - s[2] for own in steps.values() for s in own if s[0] == "run" and s[1] in SOURCES)


def _versions(values: list[bytes]) -> list[str]:
    return list(dict.fromkeys(orjson.loads(value)["data"]["policy_version"] for value in values))


@pytest.fixture
def system(broker: str, prefix: str, tmp_path: Path) -> Iterator[System]:
    """A system; its workers are ended."""
    own = System(broker, prefix, tmp_path)
    try:
        yield own
    finally:
        own.end()


async def killed(worker: subprocess.Popen[bytes]) -> None:
    """Kill a worker and wait for its end."""
    worker.send_signal(signal.SIGKILL)
    await asyncio.to_thread(worker.wait, 30)


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kills", [False, True])
async def test_a_policy_is_changed_under_load(system: System, *, kills: bool) -> None:
    """No event is lost, alerts carry the version of their tick, and the order with its policies repeats to the byte."""
    await system.load()
    worker = system.start()
    for share, version in ((0.2, "stricter-2"), (0.6, "calmer-3")):
        await system.applied(share)
        done = await apply_policy(system.settings, system.policies[version])
        assert done.written
        if kills:
            await killed(worker)
            worker = system.start()
        await system.in_force(version)
        if kills:
            await killed(worker)
            worker = system.start()
    await system.done()
    worker.send_signal(signal.SIGTERM)
    assert 0 == await asyncio.to_thread(worker.wait, 30)
    steps = await system.steps()
    assert system.total == _applied(steps)
    for lane in range(PARTITIONS):
        carried = [s[2] for s in steps[lane] if s[0] == "tick"]
        assert ["default-1", "stricter-2", "calmer-3"] == list(dict.fromkeys(carried))
        assert carried == sorted(carried, key=["default-1", "stricter-2", "calmer-3"].index)
        alerts = [r.value for r in await system.read(ALERTS) if r.partition == lane]
        assert ["default-1", "stricter-2", "calmer-3"] == _versions(alerts)
    heard: list[bytes] = []
    repeated = await repeat_order(system.settings, None, heard.append, states=True)
    assert [] == repeated.differences
    assert heard == [record.value for record in await system.read(ALERTS)]
    assert Counter(s[2] for own in steps.values() for s in own if s[0] == "tick") == repeated.policies
    told = Counter((d["data"]["detector"], d["data"]["status"]) for d in map(orjson.loads, heard))
    assert told["measure_warming", "opened"]
    assert {alert["data"]["resolution"] for alert in map(orjson.loads, heard) if _is_off(alert)} == {"expired"}


def _is_off(alert: dict[str, Any]) -> bool:
    return "turned this detector off" in alert["data"]["reason"]


async def test_a_broken_record_stops_no_worker(system: System) -> None:
    """It is counted and the policy before it holds; the next good one is taken up, though no event comes any more."""
    await system.load(borrowers=10, days=40)
    worker = system.start()
    await system.done()
    producer = AIOKafkaProducer(bootstrap_servers=system.settings.bootstrap_servers)
    await producer.start()
    unknown = {"version": "x-2", "applied_at": "2026-01-01T00:00:00Z", "document": {"detectors": {"nobody": {}}}}
    for key, value in ((b"x-1", b"{"), (b"x-2", orjson.dumps(unknown)), (b"x-3", None)):
        await producer.send_and_wait(system.settings.topic_prefix + POLICIES, value, key=key)
    await producer.stop()
    await apply_policy(system.settings, system.policies["stricter-2"])
    await system.in_force("stricter-2")
    assert worker.poll() is None
    log = [orjson.loads(line) for line in system.log().splitlines() if line.startswith(b"{")]
    ignored = [line for line in log if line["event"] == "policy.ignored"]
    assert [0, 1, 2] == [line["offset"] for line in ignored]
    assert "detectors.nobody: no detector is called so" in ignored[1]["reason"]
    (port,) = [line["port"] for line in log if line["event"] == "health.listening"]
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/metrics") as response:
        metrics = await response.text()
    assert "ews_policies_ignored_total 3.0\n" in metrics
    assert ['ews_policy_lanes{policy="stricter-2"} 2.0'] == re.findall(r"^ews_policy_lanes{.*$", metrics, re.MULTILINE)
