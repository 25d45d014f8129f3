"""The order of a real worker, killed and started again, repeated from its topics."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from random import Random
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from schemas.topics import ALERTS, ORDER, SOURCES, STATE
from streams import clock
from streams.bootstrap.order import repeat_order
from streams.cli import main
from streams.errors import Misconfigured, Unavailable
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.history.states import Digest, read_states
from streams.kafka.reading import reading
from streams.kafka.topics import create_topics
from streams.local.loader import load as load_events
from streams.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PARTITIONS = 2
EWS = [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())"]


class System:
    """Topics with a simulated portfolio in them, and a worker with the clock of its events."""

    def __init__(self, broker: str, prefix: str, folder: Path) -> None:
        self.settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
        self.folder = folder
        self.events = folder / "events.jsonl"
        self.last = ""
        self._processes: list[subprocess.Popen[bytes]] = []

    async def load(self) -> None:
        """Make the topics and fill them."""
        plan = Plan(borrowers=60, days=75, seed=11, late=0.01, duplicates=0.02, malformed=0.002)
        simulate(plan, self.events)
        await create_topics(self.settings)
        loaded = await load_events(self.settings, read_events([self.events]))
        self.total, self.until_ms = sum(loaded.topics[topic] for topic in SOURCES), loaded.last_ms

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make a process one of this system."""
        from streams.engine.calendar import moment_of  # noqa: PLC0415 - only here

        return {
            "EWS_BOOTSTRAP_SERVERS": self.settings.bootstrap_servers,
            "EWS_TOPIC_PREFIX": self.settings.topic_prefix,
            "EWS_PARTITIONS": str(PARTITIONS),
            "EWS_CLOCK": "event",
            "EWS_CLOCK_UNTIL": moment_of(self.until_ms).isoformat(),
            "EWS_INSTANCE_ID": "one",
        }

    def start(self) -> subprocess.Popen[bytes]:
        """Start a worker."""
        with (self.folder / f"worker-{len(self._processes)}.log").open("wb") as log:
            process = subprocess.Popen([*EWS, "worker"], env=os.environ | self.environment, stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def end(self) -> None:
        """End every worker."""
        for process in self._processes:
            process.kill()
            process.wait(10)

    async def applied(self, count: int, seconds: float = 120) -> None:
        """Wait until so many records are in the order."""
        deadline = clock.monotonic() + seconds
        while (now := await self._applied()) < count:
            assert clock.monotonic() < deadline, f"{now} of {count} applied"
            await asyncio.sleep(0.1)

    async def _applied(self) -> int:
        steps = [step for r in await self.read(ORDER) for step in orjson.loads(r.value)["steps"]]
        return sum(step[3] - step[2] for step in steps if step[0] == "run" and step[1] in SOURCES)

    async def read(self, bare: str) -> list[Any]:
        """All that is committed in a topic."""
        async with reading(self.settings, bare) as reader:
            return [r for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]

    async def done(self) -> None:
        """Wait until every source record is applied, time has come to its end in every lane, and the worker is up.

        The one before it may have done all that there was. Asked to stop while it still imports, Python itself ends.
        """
        await self.applied(self.total)
        deadline = clock.monotonic() + 60
        while await self._ends() != {self.until_ms} or b"worker.recovered" not in self._log():
            assert clock.monotonic() < deadline, "time did not come to its end"
            await asyncio.sleep(0.1)

    def _log(self) -> bytes:
        return (self.folder / f"worker-{len(self._processes) - 1}.log").read_bytes()

    async def _ends(self) -> set[int]:
        last = {record.partition: orjson.loads(record.value)["steps"] for record in await self.read(ORDER)}
        ticks = {n: [step[1] for step in steps if step[0] == "tick"] for n, steps in last.items()}
        return {max(times, default=0) for times in ticks.values()} if len(last) == PARTITIONS else set()


@pytest.fixture
def system(broker: str, prefix: str, tmp_path: Path) -> Iterator[System]:
    """A loaded system; its workers are ended."""
    own = System(broker, prefix, tmp_path)
    try:
        yield own
    finally:
        own.end()


async def state_digest(settings: Settings) -> str:
    """The digest of the changelog."""
    total = Digest()
    async for _, states in read_states(settings):
        total.add(states)
    return total.hexdigest()


async def drained(system: System, kills: int = 0) -> None:
    """Load, let a worker drain all of it, killed so many times at random moments, then stop it."""
    await system.load()
    dice = Random(3)  # noqa: S311 - reproducible
    worker = system.start()
    for moment in sorted(dice.random() * 0.8 for _ in range(kills)):
        await system.applied(int(moment * system.total))
        worker.send_signal(signal.SIGKILL)
        await asyncio.to_thread(worker.wait)
        worker = system.start()
    await system.done()
    worker.send_signal(signal.SIGTERM)
    assert 0 == await asyncio.to_thread(worker.wait, 30)


@pytest.mark.parametrize("kills", [0, 3])
async def test_an_order_repeats_to_the_same_bytes(system: System, kills: int) -> None:
    """Alerts, dead letters and states of a worker, killed or not, come out of its order again, byte for byte."""
    await drained(system, kills)
    heard: list[bytes] = []
    applied: list[int] = []
    done = await repeat_order(system.settings, None, heard.append, lambda n, _: applied.append(n), states=True)
    assert [] == done.differences
    assert done.equal
    assert heard == [record.value for record in await system.read(ALERTS)]
    assert done.alerts == len(heard) > 0
    assert done.dead_letters > 0
    assert system.total == sum(done.events[topic] for topic in SOURCES)
    assert done.events.total() == sum(applied)
    assert await state_digest(system.settings) == done.states.hexdigest()


async def test_a_repeat_finds_what_is_not_of_the_worker(system: System, tmp_path: Path) -> None:
    """A foreign alert, another policy, another state and a deleted record are each told for what they are."""
    await drained(system)
    settings = system.settings
    policy = tmp_path / "policy.toml"
    policy.write_text('version = "default-1"\n[detectors.missed_installment]\nenabled = false\n')
    changed = await repeat_order(settings, policy)
    assert changed.differences
    policy.write_text('version = "stricter-2"')
    with pytest.raises(Misconfigured, match="made with the policy default-1, and this is stricter-2"):
        await repeat_order(settings, policy)
    await _produce(settings, STATE, b"b-nobody", b"\x91\x09")
    (difference,) = (await repeat_order(settings, None, states=True)).differences
    assert "lane 0: state of b-nobody: only in the log" == difference
    await _produce(settings, ALERTS, b"b-nobody", b"{}")
    (difference,) = (await repeat_order(settings, None)).differences
    assert difference.startswith("lane 0: alerts offset ")
    await _delete(settings, "transactions", 3)
    with pytest.raises(Unavailable, match="transactions/0 does not hold offsets"):
        await repeat_order(settings, None)


async def test_topics_without_an_order_are_named(broker: str, prefix: str) -> None:
    """Where no worker has run there is nothing to repeat, and where no topics are, that is told."""
    settings = load(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)
    with pytest.raises(Misconfigured, match="there is no topic"):
        await repeat_order(settings, None)
    await create_topics(settings)
    with pytest.raises(Unavailable, match="no order to repeat"):
        await repeat_order(settings, None)


def test_states_are_exported_and_inspected(system: System, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """`ews state` writes every borrower, a digest that does not change, and one borrower for people."""
    asyncio.run(drained(system))
    where = ["--bootstrap", system.settings.bootstrap_servers, "--topic-prefix", system.settings.topic_prefix]
    out = tmp_path / "states.jsonl"
    assert 0 == main(["state", "export", "--out", str(out), *where])
    states = {row["borrower"]: row["value"] for row in map(orjson.loads, out.read_bytes().splitlines())}
    assert len(states) >= 60
    capsys.readouterr()
    assert 0 == main(["state", "export", "--digest", "--json", *where])
    digest = orjson.loads(capsys.readouterr().out)
    assert (len(states), asyncio.run(state_digest(system.settings))) == (digest["borrowers"], digest["sha256"])
    assert 0 == main(["state", "export", "--digest", "--partition", "1", *where])
    assert f"{digest['sha256']}  " not in capsys.readouterr().out
    token = next(token for token, value in states.items() if value["loans"] and value["episodes"])
    assert 0 == main(["state", "inspect", token, *where])
    shown = capsys.readouterr().out
    assert all(title in shown for title in (token, "Loans", "Installments", "Episodes", "Wake-ups"))
    assert 1 == main(["state", "inspect", "b-nobody", *where])
    assert capsys.readouterr().err.startswith("ews: there is no state of a borrower b-nobody")
    assert 2 == main(["state", "export", "--partition", "7", *where])
    assert "ews: there is no partition 7: the states have 0 to 1\n" == capsys.readouterr().err
    asyncio.run(_produce(system.settings, STATE, b"b-new", b"\x92\x63\x80"))
    assert 2 == main(["state", "export", *where])
    assert "ews: the state of b-new: state version 99 was written by another release" in capsys.readouterr().err


async def _produce(settings: Settings, bare: str, key: bytes, value: bytes) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    await producer.start()
    try:
        await producer.send_and_wait(settings.topic_prefix + bare, value, key=key, partition=0)
    finally:
        await producer.stop()


async def _delete(settings: Settings, bare: str, before: int) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(settings.topic_prefix + bare, 0): RecordsToDelete(before)})
    finally:
        await admin.close()
