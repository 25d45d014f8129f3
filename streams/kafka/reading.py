"""Reading a topic as it stands: each partition to its last stable offset, without a group, in bounded memory."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError, OffsetOutOfRangeError

from streams import clock
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import NOT_ALLOWED, refusal

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from aiokafka import ConsumerRecord

    from streams.settings import Settings

FETCH_BYTES = 4 * 2**20
"""What is fetched of a partition at a time: what reading holds in memory, twice."""
POLL_MS = 500
STALL_SECONDS = 30.0
"""So long a broker may bring nothing of what it says that it has."""


class Partition:
    """One partition from where it begins to where it ended when it was opened."""

    def __init__(self, consumer: AIOKafkaConsumer, part: TopicPartition, begin: int, end: int) -> None:
        self._consumer = consumer
        self._part = part
        self.begin = begin
        """The first offset that retention has left."""
        self.end = end
        """The last stable offset: what lies below is committed or aborted, and only the committed is read."""

    async def batch(self) -> Sequence[ConsumerRecord]:
        """The next records; none at the end. Raises Unavailable."""
        deadline = clock.monotonic() + STALL_SECONDS
        with _answering():
            # The position, not the last record, says that it is done: a transaction's markers take offsets too.
            while await self._consumer.position(self._part) < self.end:
                fetched = await self._consumer.getmany(self._part, timeout_ms=POLL_MS)
                if records := [r for r in fetched.get(self._part, ()) if r.offset < self.end]:
                    return records
                if clock.monotonic() > deadline:
                    raise Unavailable(f"Kafka brought nothing of {self._part.topic} for {STALL_SECONDS:.0f} s")
        return ()

    async def records(self) -> AsyncIterator[ConsumerRecord]:
        """Every record up to the end. Raises Unavailable."""
        while batch := await self.batch():
            for record in batch:
                yield record

    async def extend(self) -> None:
        """Move the end to where the partition ends now. Raises Unavailable."""
        with _answering():
            self.end = (await self._consumer.end_offsets([self._part]))[self._part]


class TopicReader:
    """Opens the partitions of one topic, one at a time.

    All of them are assigned once, and those that are not open are paused: a consumer of aiokafka that is stopped soon
    after its assignment has changed does not end, since its fetcher takes the cancellation for that of a fetch.
    """

    def __init__(self, consumer: AIOKafkaConsumer, topic: str) -> None:
        self._consumer = consumer
        self._topic = topic

    async def assign(self) -> None:
        """Take all partitions, and fetch none of them yet."""
        first = TopicPartition(self._topic, 0)
        await self._consumer.beginning_offsets([first])  # Until then the consumer does not know the partitions.
        parts = [TopicPartition(self._topic, n) for n in sorted(self._consumer.partitions_for_topic(self._topic))]
        self._consumer.assign(parts)
        for part in parts:
            self._consumer.seek(part, 0)
        self._consumer.pause(*parts)

    async def open(self, number: int, start: int = 0) -> Partition:
        """A partition from `start` on, or from its beginning. Closes the one before. Raises Unavailable."""
        part = TopicPartition(self._topic, number)
        with _answering():
            begin = (await self._consumer.beginning_offsets([part]))[part]
            end = (await self._consumer.end_offsets([part]))[part]
            self._consumer.pause(*self._consumer.assignment())
            self._consumer.seek(part, max(begin, start))
            self._consumer.resume(part)
        return Partition(self._consumer, part, begin, end)

    async def offset_at(self, number: int, since_ms: int) -> int:
        """Where the records of a partition with a timestamp from `since_ms` on begin. Raises Unavailable."""
        part = TopicPartition(self._topic, number)
        with _answering():
            found = (await self._consumer.offsets_for_times({part: since_ms}))[part]
            if found is not None:
                return int(found.offset)
            return int((await self._consumer.end_offsets([part]))[part])


@contextlib.asynccontextmanager
async def reading(settings: Settings, bare: str) -> AsyncIterator[TopicReader]:
    """A reader of a topic of `schemas.topics`, which must be there. Raises Unavailable."""
    topic = topic_name(settings, bare)
    options: dict[str, Any] = connection(settings) | {
        "isolation_level": "read_committed",
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "fetch_max_wait_ms": 100,
        "max_partition_fetch_bytes": FETCH_BYTES,
    }
    consumer = AIOKafkaConsumer(**options)
    try:
        with _answering():
            await consumer.start()
            reader = TopicReader(consumer, topic)
            await reader.assign()
        yield reader
    finally:
        await consumer.stop()


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except OffsetOutOfRangeError as gone:
        raise Unavailable("records were deleted by retention while they were read: start again") from gone
    except NOT_ALLOWED as refused:
        raise refusal(refused) from refused
    except (KafkaError, OSError) as away:
        raise Unavailable(f"Kafka does not answer any more ({type(away).__name__}): start again") from away
