"""The topics of one run: made, filled, read back, deleted. Nothing of a run is left for the next."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code

from schemas.events import Topic
from schemas.topics import ALERTS, LAYOUTS
from streams import clock
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import create_topics
from streams.local.loader import load, place
from streams.settings import load as load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterable

    from streams.settings import Settings

READ_SECONDS_MAX = 60.0
QUIET_MS = 500


class Line(NamedTuple):
    """An event as the loader takes it."""

    available_ms: int
    topic: Topic
    key: bytes
    value: bytes


class Alert(NamedTuple):
    """A committed record of the alerts topic and when the broker wrote it."""

    value: bytes
    at_ms: int


class Ground:
    """A prefix of its own on a cluster. `alerts` carries the broker's time, which is the same for every variant."""

    def __init__(self, bootstrap: str, partitions: int) -> None:
        self.settings: Settings = load_settings(
            bootstrap_servers=bootstrap,
            topic_prefix=f"bench-{clock.now_ms()}-",
            partitions=partitions,
            clock="event",
        )

    @property
    def prefix(self) -> str:
        """What the names of all topics of the run begin with."""
        return self.settings.topic_prefix

    async def lay(self) -> None:
        """Makes the topics. Raises Unavailable."""
        await create_topics(self.settings)
        config = dict(LAYOUTS[ALERTS].config) | {"message.timestamp.type": "LogAppendTime"}
        resource = ConfigResource(ConfigResourceType.TOPIC, self._alerts, configs=config)
        async with self._admin() as admin:
            for answer in await admin.alter_configs([resource]):
                for code, reason, *_ in answer.resources:
                    if code:
                        raise Unavailable(f"the cluster refuses a topic's settings: {reason or for_code(code)}")

    async def fill(self, lines: Iterable[Any], gate: Callable[[], Awaitable[None]] | None = None) -> int:
        """Loads events; how many a variant will count (heartbeats are not events). Raises Unavailable.

        With a gate they are one transaction, which is committed when the gate lets it.
        """
        loaded = (await load(self.settings, lines, gate=gate)).topics
        return loaded.total() - loaded[Topic.FEEDS]

    def counts(self, lines: Iterable[Any]) -> list[int]:
        """How many of the events each partition will get."""
        counts = [0] * self.settings.partitions
        for line in lines:
            if line.topic != Topic.FEEDS:
                counts[place(line, self.settings.partitions)] += 1
        return counts

    async def alerts(self, count: int, *, wait_seconds: float) -> list[Alert]:
        """The committed alerts: those there are once it is `count`, or once nothing new comes for so long."""
        async with self.reader() as reader:
            found: list[Alert] = []
            last = clock.monotonic()
            while len(found) < count and clock.monotonic() - last < wait_seconds:
                for records in (await reader.getmany(timeout_ms=QUIET_MS)).values():
                    found += [Alert(record.value, record.timestamp) for record in records]
                    last = clock.monotonic()
            for records in (await reader.getmany(timeout_ms=QUIET_MS)).values():
                found += [Alert(record.value, record.timestamp) for record in records]
            return found

    async def clear(self) -> None:
        """Deletes the topics, those that the variant made for itself too."""
        async with self._admin() as admin:
            names = [name for name in await admin.list_topics() if self.prefix in name]
            await admin.delete_topics(names)

    @property
    def _alerts(self) -> str:
        return topic_name(self.settings, ALERTS)

    @contextlib.asynccontextmanager
    async def reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A consumer of the committed alerts, from the first on."""
        reader = AIOKafkaConsumer(
            **connection(self.settings), enable_auto_commit=False, auto_offset_reset="earliest",
            isolation_level="read_committed", fetch_max_wait_ms=50,
        )  # fmt: skip
        try:
            await reader.start()
            reader.assign([TopicPartition(self._alerts, number) for number in range(self.settings.partitions)])
            yield reader
        except (KafkaError, OSError) as failed:
            raise Unavailable(f"Kafka at {self.settings.bootstrap_servers}: {type(failed).__name__}") from failed
        finally:
            await reader.stop()

    @contextlib.asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(**connection(self.settings))
        try:
            async with asyncio.timeout(READ_SECONDS_MAX):
                await admin.start()
                yield admin
        except (KafkaError, OSError, TimeoutError) as failed:
            raise Unavailable(f"Kafka at {self.settings.bootstrap_servers}: {type(failed).__name__}") from failed
        finally:
            await admin.close()
