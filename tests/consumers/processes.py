"""The consumers as real processes against a real Kafka, for integration tests."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.topics import ALERTS, partition_of
from streams.kafka.topics import create_topics
from streams.settings import Settings
from tests.consumers.builders import record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from schemas.alerts import Alert

PARTITIONS = 4
SECONDS_MAX = 120.0


class Cluster:
    """The topics of one test on the shared broker."""

    def __init__(self, bootstrap_servers: str, prefix: str) -> None:
        self.settings = Settings(bootstrap_servers=bootstrap_servers, topic_prefix=prefix, partitions=PARTITIONS)
        self.topic = prefix + ALERTS
        asyncio.run(create_topics(self.settings))

    def write(self, alerts: Sequence[Alert], *, others: Sequence[tuple[int, bytes]] = ()) -> None:
        """Write alerts as the worker does, a hundred in a transaction, some aborted first; then other bytes."""
        asyncio.run(self._write(alerts, others))

    async def _write(self, alerts: Sequence[Alert], others: Sequence[tuple[int, bytes]]) -> None:
        servers = self.settings.bootstrap_servers
        async with AIOKafkaProducer(bootstrap_servers=servers, transactional_id=f"{self.topic}-test") as producer:
            for start in range(0, len(alerts), 100):
                part = [record(told) for told in alerts[start : start + 100]]
                if start % 300 == 0:
                    await self._abort(producer, part)
                async with producer.transaction():
                    for key, value in part:
                        await producer.send(self.topic, value, key=key, partition=partition_of(key, PARTITIONS))
            async with producer.transaction():
                for partition, value in others:
                    await producer.send(self.topic, value, key=b"x", partition=partition)

    async def _abort(self, producer: AIOKafkaProducer, part: list[tuple[bytes, bytes]]) -> None:
        await producer.begin_transaction()
        for key, value in part:
            await producer.send(self.topic, value, key=key, partition=partition_of(key, PARTITIONS))
        await producer.abort_transaction()

    def read(self, bare: str) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
        """Every record of a topic: key, value, headers."""
        return asyncio.run(self._read(self.settings.topic_prefix + bare))

    async def _read(self, topic: str) -> list[tuple[bytes | None, bytes | None, dict[str, str]]]:
        found = []
        async with AIOKafkaConsumer(
            bootstrap_servers=self.settings.bootstrap_servers, isolation_level="read_committed"
        ) as consumer:
            partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
            consumer.assign(partitions)
            await consumer.seek_to_beginning()
            ends = await consumer.end_offsets(partitions)
            while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found += [(r.key, r.value, {k: v.decode() for k, v in r.headers}) for r in records]
        return found


class Process:
    """An `ews` process with its settings in the environment and its log in a file."""

    def __init__(self, cluster: Cluster, log: Path, *arguments: str, **settings: object) -> None:
        self.log = log
        chosen = {
            "bootstrap_servers": cluster.settings.bootstrap_servers,
            "topic_prefix": cluster.settings.topic_prefix,
            "partitions": PARTITIONS,
            "instance_id": "test",
            "contacts_url": f"sqlite:///{log.parent}/contacts.db",
            **settings,
        }
        environment = {**os.environ, **{f"EWS_{name.upper()}": str(value) for name, value in chosen.items()}}
        code = "import sys; from streams.cli import main; sys.exit(main())"
        with log.open("wb") as file:
            self.process = subprocess.Popen([sys.executable, "-c", code, *arguments], env=environment, stderr=file)

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait until the condition holds while the process lives; fail with its log."""
        deadline = time.monotonic() + SECONDS_MAX
        while not condition():
            assert self.process.poll() is None, f"ended with {self.process.returncode}: {self.log.read_text()}"
            assert time.monotonic() < deadline, f"not {what} in {SECONDS_MAX} s: {self.log.read_text()}"
            time.sleep(0.02)

    def get(self, path: str) -> tuple[int, str]:
        """Ask the process's own server."""
        port = next(
            entry["port"]
            for entry in map(json.loads, self.log.read_text().splitlines())
            if entry.get("event") == "health.listening"
        )
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            with refused:
                return refused.code, refused.read().decode()

    def until_ready(self) -> None:
        """Wait until /readyz says so."""
        self.until(lambda: "health.listening" in self.log.read_text(), "listening")
        self.until(lambda: self.get("/readyz")[0] == 200, "ready")

    def kill(self) -> None:
        """SIGKILL, and wait."""
        self.process.kill()
        self.process.wait(SECONDS_MAX)

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS_MAX)


@contextmanager
def processes() -> Iterator[Callable[..., Process]]:
    """Starts processes; whatever still runs at the end is killed."""
    with ExitStack() as stack:

        def start(*arguments: object, **settings: object) -> Process:
            process = Process(*arguments, **settings)  # type: ignore[arg-type]
            stack.callback(process.kill)
            return process

        yield start
