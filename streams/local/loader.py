"""Loading many events into the topics at once, in the order in which they became known. Fast, and repeatable.

Batches are filled here, a topic and partition at a time: a third of what sending record by record costs. The record's
Kafka timestamp is when the event became known, so a lane that drains the topics later follows the file's order.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import Topic
from schemas.topics import partition_of
from streams import clock
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from aiokafka.producer.message_accumulator import BatchBuilder

    from streams.settings import Settings

BATCH_BYTES = 512 * 1024
FLYING_MAX = 32
"""Batches that wait for the broker's answer at once: 16 MiB, whatever the file's length."""
GATE_MS_MAX = 900_000
"""How long a transaction may wait at a gate: the most that a broker allows by default."""
RECORD_BYTES_MAX = 1_048_588 - 512
"""Key and value that a broker takes by default, less a batch's header."""
AHEAD_MS_MAX = 3_600_000
"""A broker refuses records that lie further ahead of its clock."""
TELL_EVERY = 5_000


class Readable(Protocol):
    """A line of an event file, as `streams.history.files` reads it."""

    @property
    def available_ms(self) -> int:
        """When it became known."""
        ...

    @property
    def topic(self) -> Topic:
        """Where it belongs."""
        ...

    @property
    def key(self) -> bytes | None:
        """The record's key."""
        ...

    @property
    def value(self) -> bytes:
        """The record's value."""
        ...


@dataclass(slots=True)
class Loaded:
    """What was loaded."""

    topics: Counter[str] = field(default_factory=Counter)
    left_out: int = 0
    """Events that became known after the end that was set."""
    first_ms: int = 0
    last_ms: int = 0
    """When the first and the last of them became known."""
    seconds: float = 0.0

    @property
    def total(self) -> int:
        """All events that were loaded."""
        return self.topics.total()


async def load(
    settings: Settings,
    events: Iterable[Readable],
    *,
    until_ms: int | None = None,
    progress: Callable[[int], None] = lambda _: None,
    gate: Callable[[], Awaitable[None]] | None = None,
) -> Loaded:
    """Load all events that became known by `until_ms`; all are written when this returns. Raises Unavailable.

    An event that claims to have become known in the future is given the time of the one before it. With a `gate` all
    are one transaction: it is awaited when they are written, and then they are there at once.
    """
    began, loaded = clock.monotonic(), Loaded()
    latest_ms = clock.now_ms() + AHEAD_MS_MAX // 2
    async with _Loading(settings, gate) as loading:
        for event in events:
            if until_ms is not None and event.available_ms > until_ms:
                loaded.left_out += 1
                continue
            at_ms = event.available_ms if event.available_ms <= latest_ms else loaded.last_ms or latest_ms
            await loading.add(event, at_ms)
            loaded.first_ms = loaded.first_ms or at_ms
            loaded.last_ms = max(loaded.last_ms, at_ms)
            loaded.topics[str(event.topic)] += 1
            if loaded.total % TELL_EVERY == 0:
                progress(loaded.total)
                await asyncio.sleep(0)
    loaded.seconds = clock.monotonic() - began
    progress(loaded.total)
    return loaded


def place(event: Readable, partitions: int) -> int:
    """The partition that an event goes to."""
    if event.topic == Topic.FEEDS:
        return 0
    # What has no key goes anywhere, but to the same place in every run.
    return partition_of(event.value if event.key is None else event.key, partitions)


class _Loading:
    """The batches under way."""

    def __init__(self, settings: Settings, gate: Callable[[], Awaitable[None]] | None) -> None:
        self._settings = settings
        self._gate = gate
        self._filling: dict[tuple[str, int], BatchBuilder] = {}
        self._flying: deque[asyncio.Future[Any]] = deque()

    async def __aenter__(self) -> Self:
        self._producer = AIOKafkaProducer(
            **connection(self._settings),
            enable_idempotence=True,
            max_batch_size=BATCH_BYTES,
            transactional_id=f"{self._settings.topic_prefix}load" if self._gate else None,
            transaction_timeout_ms=GATE_MS_MAX,
        )
        try:
            await self._producer.start()
            if self._gate:
                await self._producer.begin_transaction()
        except (KafkaError, OSError) as away:
            await self._producer.stop()
            raise self._unavailable(away) from away
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        try:
            if kind is None:
                for place in list(self._filling):
                    await self._send(place)
                await self._landed(0)
                if self._gate:
                    await self._gate()
                    await self._producer.commit_transaction()
        finally:
            for late in self._flying:
                late.cancel()
            await self._producer.stop()

    async def add(self, event: Readable, at_ms: int) -> None:
        """Put an event into the batch of its partition; send that when it is full."""
        to = event.topic, place(event, self._settings.partitions)
        value = event.value[: RECORD_BYTES_MAX - len(event.key or b"")]  # What is cut off is too large in any case.
        batch = self._filling.get(to)
        if batch is None or batch.append(timestamp=at_ms, key=event.key, value=value) is None:
            if batch is not None:
                await self._send(to)
            batch = self._filling[to] = self._producer.create_batch()
            batch.append(timestamp=at_ms, key=event.key, value=value)

    async def _send(self, place: tuple[str, int]) -> None:
        topic, partition = place
        name = topic_name(self._settings, topic)
        try:
            self._flying.append(await self._producer.send_batch(self._filling.pop(place), name, partition=partition))
        except (KafkaError, OSError) as refused:
            raise self._unavailable(refused) from refused
        await self._landed(FLYING_MAX)

    async def _landed(self, flying_max: int) -> None:
        """Wait until at most so many are under way."""
        while len(self._flying) > flying_max:
            try:
                await self._flying.popleft()
            except (KafkaError, OSError) as refused:
                raise self._unavailable(refused) from refused

    def _unavailable(self, failed: Exception) -> Unavailable:
        servers = self._settings.bootstrap_servers
        return Unavailable(f"Kafka at {servers} did not take the events ({type(failed).__name__}): look at its log")
