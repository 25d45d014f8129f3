"""A small system for the worker's integration tests: its topics, its producers, its workers' processes, its outcome."""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import ALERTS, DEAD_LETTERS, ORDER, SOURCES, STATE, partition_of
from streams import clock
from streams.engine.drain import LANE_KEY
from streams.kafka.topics import create_topics
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "agents" / "counting_worker.py"
PARTITIONS = 4
_numbers = itertools.count()


async def until(condition: Callable[[], Any], seconds: float = 20.0, what: str = "") -> None:
    """Waits for a condition, with a bound."""
    deadline = clock.monotonic() + seconds
    while not condition():
        assert clock.monotonic() < deadline, f"not in {seconds} s: {what}"
        await asyncio.sleep(0.02)


class Worker:
    """A worker's process with the counting lane."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self.log_file = directory / f"worker-{next(_numbers)}.log"
        self.started = clock.monotonic()
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(PROGRAM)],
                env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
                stderr=log,
                stdout=log,
                cwd=directory,
            )

    @property
    def log(self) -> list[dict[str, Any]]:
        """The lines of its log so far."""
        lines = self.log_file.read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        return [line for line in self.log if line["event"] == event]

    async def recovered(self, times: int = 1) -> None:
        """Waits until it has recovered lanes so many times."""
        await until(
            lambda: len(self.said("worker.recovered")) >= times or self.process.poll() is not None,
            seconds=60.0,  # Mostly Python's imports, on a machine that may be busy.
            what=self.log_file.read_text(),
        )
        assert self.process.poll() is None, self.log_file.read_text()

    def signal(self, number: int) -> None:
        """Sends it a signal."""
        self.process.send_signal(number)

    async def ended(self, seconds: float = 60.0) -> int:
        """Waits until it has ended; its exit code."""
        await until(lambda: self.process.poll() is not None, seconds, "the worker runs on")
        return int(self.process.returncode)

    def end(self) -> None:
        """Ends it whatever it does."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.send_signal(signal.SIGCONT)
        self.process.wait(10)


class System:
    """Topics with a prefix of their own, and what is in them."""

    def __init__(self, servers: str, prefix: str, directory: Path, *, tick_seconds: int = 60) -> None:
        self.environment = {
            "EWS_BOOTSTRAP_SERVERS": servers,
            "EWS_TOPIC_PREFIX": prefix,
            "EWS_PARTITIONS": str(PARTITIONS),
            "EWS_TICK_SECONDS": str(tick_seconds),
        }
        self.settings = Settings(bootstrap_servers=servers, topic_prefix=prefix, partitions=PARTITIONS)
        self.directory = directory
        self.workers: list[Worker] = []
        self.sent: Counter[bytes] = Counter()

    async def create(self) -> None:
        """Makes the topics."""
        await create_topics(self.settings)

    def worker(self, instance: str | None = "one", **environment: str) -> Worker:
        """Starts a worker."""
        own = {"EWS_INSTANCE_ID": instance} if instance else {}
        worker = Worker(self.directory, {**self.environment, **own, **environment})
        self.workers.append(worker)
        return worker

    def end(self) -> None:
        """Ends every worker."""
        for worker in self.workers:
            worker.end()

    def topic(self, bare: str) -> str:
        """The name on the cluster."""
        return self.settings.topic_prefix + bare

    async def send(self, events: Iterable[tuple[str, bytes, bytes]]) -> None:
        """Produces (topic, key, value) and counts what the counting lane will count."""
        producer = AIOKafkaProducer(bootstrap_servers=self.settings.bootstrap_servers, linger_ms=5)
        await producer.start()
        try:
            pending = []
            for topic, key, value in events:
                partition = partition_of(key, PARTITIONS)
                pending.append(await producer.send(self.topic(topic), value, key=key, partition=partition))
                if not value.startswith(b"!"):
                    self.sent[key] += 1
            await asyncio.gather(*pending)
        finally:
            await producer.stop()

    async def some(self, count: int, keys: int = 50) -> None:
        """Sends so many plain events, spread over all topics, keys and lanes."""
        await self.send((SOURCES[n % len(SOURCES)], b"k%d" % (n % keys), b"%d" % n) for n in range(count))

    async def read(self, bare: str) -> list[Any]:
        """All committed records of a topic."""
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
        )
        await consumer.start()
        try:
            parts = [TopicPartition(self.topic(bare), partition) for partition in range(PARTITIONS)]
            ends = await consumer.end_offsets(parts)
            consumer.assign(parts)
            await consumer.seek_to_beginning(*parts)
            records: list[Any] = []
            while any([await consumer.position(part) < ends[part] for part in parts]):
                for fetched in (await consumer.getmany(timeout_ms=200)).values():
                    records += fetched
            return records
        finally:
            await consumer.stop()

    async def counted(self) -> Counter[bytes]:
        """The committed counts by key."""
        last = {record.key: record.value for record in await self.read(STATE) if record.key != LANE_KEY}
        return Counter({key: int(value) for key, value in last.items()})

    async def all_counted(self, seconds: float = 60.0) -> None:
        """Waits until as many events are counted as were sent."""
        deadline = clock.monotonic() + seconds
        while (await self.counted()).total() < self.sent.total():
            assert clock.monotonic() < deadline, "not all was counted"
            await asyncio.sleep(0.1)

    async def assert_exactly_once(self, alert_every: int = 5) -> None:
        """Every event counted once, every alert there once, every offset applied once."""
        assert await self.counted() == self.sent
        alerts = Counter(record.value for record in await self.read(ALERTS))
        wanted = {
            b"%s %d" % (key, n) for key, sent in self.sent.items() for n in range(alert_every, sent + 1, alert_every)
        }
        assert alerts == Counter(wanted)
        await self.assert_order_joins()

    async def runs(self) -> list[tuple[int, str, int, int]]:
        """The committed runs: lane, topic, first and next offset."""
        steps = [
            (record.partition, step)
            for record in await self.read(ORDER)
            for step in orjson.loads(record.value)["steps"]
        ]
        return [(lane, step[1], step[2], step[3]) for lane, step in steps if step[0] == "run"]

    async def assert_order_joins(self) -> None:
        """The order records of each lane join without a gap or an overlap."""
        ends: dict[tuple[int, str], int] = {}
        for lane, topic, first, next_ in await self.runs():
            assert ends.get((lane, topic), 0) == first
            ends[lane, topic] = next_

    async def dead_letters(self) -> list[Any]:
        """The committed dead letters."""
        return await self.read(DEAD_LETTERS)
