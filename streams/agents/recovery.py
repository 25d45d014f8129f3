"""The states, read back from the changelog by a reader of our own, and where Faust's recovery hands over to it.

Faust's own recovery waits for a record at the high watermark, where a transaction's end marker stands: for ever. And it
reads a record at a time and looks every five seconds whether it is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from faust.tables.manager import TableManager
from faust.tables.recovery import RebalanceAgain, Recovery

from streams.agents.clients import AIOKAFKA
from streams.kafka.topic_ids import topic_id

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from uuid import UUID

    from faust.types import TP

    from streams.agents.checkpointing import Checkpointing
    from streams.agents.checkpoints import Checkpoint
    from streams.agents.clients import Clients

    States = dict[bytes, bytes]

FETCH_BYTES = 8 * 2**20


class Ends:
    """Where partitions begin and end, asked on a connection of its own: behind a waiting fetch it would wait too."""

    def __init__(self, connection: Mapping[str, Any], names: Iterable[str], clients: Clients = AIOKAFKA) -> None:
        self._connection = connection
        self._clients = clients
        self._names = names
        self._consumer: Any = None

    async def start(self) -> None:
        """Connects, before there is anything to ask: it takes as long as joining the group."""
        self._consumer = self._clients.consumer(
            **self._connection, isolation_level="read_committed", enable_auto_commit=False, request_timeout_ms=10_000
        )
        await self._consumer.start()
        await self._consumer._client.set_topics(self._names)  # noqa: SLF001 - the first question would wait for it

    async def stop(self) -> None:
        """Closes the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def of(self, parts: Iterable[tuple[str, int]]) -> tuple[dict[TopicPartition, int], dict[TopicPartition, int]]:
        """The beginnings and the last stable offsets of these partitions."""
        asked = [TopicPartition(*part) for part in parts]
        begins, ends = await asyncio.gather(self._consumer.beginning_offsets(asked), self._consumer.end_offsets(asked))
        return begins, ends


class ChangelogReader:
    """Reads partitions of the changelog to their last stable offset, without a group.

    From a checkpoint on where there is one that is to be trusted, else from the beginning.
    """

    def __init__(
        self,
        connection: Mapping[str, Any],
        topic: str,
        ends: Ends,
        on_records: Callable[[int, int], None],
        clients: Clients = AIOKAFKA,
        *,
        checkpointing: Checkpointing | None = None,
    ) -> None:
        self._connection = connection
        self._clients = clients
        self.checkpointing = checkpointing
        self.from_checkpoints = 0
        """The states that the last recovery took from checkpoints."""
        self.records = 0
        """The records that it read."""
        self.topic = topic
        self._ends = ends
        self._on_records = on_records
        self._consumer: Any = None

    async def start(self) -> None:
        """Connects, before there is anything to read: it takes as long as joining the group."""
        self._consumer = self._clients.consumer(
            **self._connection,
            isolation_level="read_committed",
            enable_auto_commit=False,
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        await self._consumer.start()

    async def stop(self) -> None:
        """Closes the connection."""
        if self._consumer is not None:
            await self._consumer.stop()

    async def topic_id(self) -> UUID:
        """The id that Kafka gave the changelog when it was made. Raises KafkaError or Unavailable."""
        return await topic_id(self._consumer._client, self.topic)  # noqa: SLF001 - aiokafka asks for no ids

    async def read(self, partitions: Iterable[int]) -> tuple[dict[int, States], dict[int, int]]:
        """The states of each partition, and the offset after the last record that they hold.

        Call it when the lanes' producers have started: until then an older owner may still write.
        """
        consumer = self._consumer
        parts = [TopicPartition(self.topic, partition) for partition in partitions]
        if not parts:
            return {}, {}
        # Under read_committed this is the last stable offset, and what the fenced owner left open is aborted by now.
        begins, ends = await self._ends.of(parts)
        states, starts = await self._begun(parts, begins, ends)
        consumer.assign(parts)
        for part in parts:
            consumer.seek(part, starts[part])
        self.records = 0
        open_ = {part for part in parts if starts[part] < ends[part]}
        while open_:
            fetched = await consumer.getmany(*open_, timeout_ms=500)
            for part, records in fetched.items():
                _apply(states[part.partition], records)
            # The position, not the last record, says that it is done: markers take offsets too.
            left = {part: ends[part] - await consumer.position(part) for part in open_}
            read = sum(map(len, fetched.values()))
            self.records += read
            self._on_records(read, sum(left.values()))
            open_ = {part for part in open_ if left[part] > 0}
        # Paused and not unsubscribed: aiokafka's fetching task dies of that when it is between two assignments.
        consumer.pause(*parts)
        return states, {part.partition: end for part, end in ends.items()}

    async def _begun(
        self, parts: Sequence[TopicPartition], begins: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
    ) -> tuple[dict[int, States], dict[TopicPartition, int]]:
        """The states to begin with, and from where to read on."""
        found: Mapping[int, Checkpoint] = {}
        if self.checkpointing is not None:
            found = await self.checkpointing.load(
                {part.partition: begins[part] for part in parts}, {part.partition: ends[part] for part in parts}
            )
        self.from_checkpoints = sum(len(checkpoint.states) for checkpoint in found.values())
        states = {part.partition: found[part.partition].states if part.partition in found else {} for part in parts}
        starts = {part: found[part.partition].offset if part.partition in found else begins[part] for part in parts}
        return states, starts


def _apply(states: States, records: Iterable[Any]) -> None:
    for record in records:
        if record.value is None:
            states.pop(record.key, None)
        else:
            states[record.key] = record.value


class LaneRecovery(Recovery):
    """Faust says when; what is done is ours: `acquire` fences, reads and leaves Faust nothing to recover."""

    async def _wait(self, coro: Any, timeout: Any = None) -> None:  # noqa: ARG002, ASYNC109 - Faust's signature
        # Faust takes a time-out here for a stop: recovery would end without a word and the worker stand idle.
        await super()._wait(coro)

    async def _build_highwaters(self, consumer: Any, tps: set[TP], destination: Counter[TP], title: str) -> None:
        # The first step of a recovery, before any offset is looked at: the only place that may start producers.
        if title != "active":
            await super()._build_highwaters(consumer, tps, destination, title)
            return
        ends = await self._acquire(consumer)
        applied = {tp: ends[tp.partition] - 1 for tp in tps}
        destination.clear()
        # A retained partition would otherwise be read again from where the last recovery ended.
        for tp, offset in applied.items():
            destination[tp] = self.active_offsets[tp] = offset

    async def _acquire(self, consumer: Any) -> Mapping[int, int]:
        try:
            return await self.app.lanes.acquire(consumer.assignment())  # type: ignore[attr-defined, no-any-return]
        except asyncio.CancelledError:
            if self.should_stop:
                raise
            # The lanes were revoked meanwhile. Faust knows this exception and starts over with the next assignment.
            raise RebalanceAgain from None


class LaneTables(TableManager):
    """Faust's table manager with our recovery, started without its second of waiting."""

    @property
    def recovery(self) -> Recovery:
        """Our recovery in place of Faust's, which is named there and not a setting."""
        if self._recovery is None:
            self._recovery = LaneRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery

    async def on_start(self) -> None:
        """Faust sleeps a second here for tables that are declared late. There is one table and it is there."""
        await self._update_channels()
        await self.recovery.start()
