"""One transaction per drain: what a lane changed moves whole or not at all, fenced by the lane's transactional id."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import InvalidProducerEpoch, ProducerFenced
from aiokafka.producer import sender

from schemas import topics
from streams import clock
from streams.agents.clients import AIOKAFKA
from streams.agents.exits import Exit, leave, leave_on
from streams.agents.stage import BORROWERS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiokafka.producer.message_accumulator import BatchBuilder

    from streams.agents.clients import Clients
    from streams.agents.stage import Stage
    from streams.engine.drain import Effects

TRANSACTION_TIMEOUT_MS = 10_000
"""How long a dead owner's open transaction may block readers if no successor starts: the coordinator ends it then."""
DEADLINE_SECONDS = 8.0
"""A transaction that is not committed by then ends the process, before the coordinator would abort it in silence."""
STOP_SECONDS = 3.0
RECORD_BYTES_MAX = 1_048_588
"""The largest batch that a broker takes by default; dead letters have their own limit (schemas.topics)."""
BATCH_BYTES = 512 * 1024
_OVERHEAD = 512
"""A batch's header and a record's own lengths, rounded up."""

# Between transactions aiokafka waits 20 ms for the coordinator to finish the last one: small transactions then take
# 25 ms instead of 6. The coordinator of a busy lane is done within a millisecond or two.
sender.BACKOFF_OVERRIDE = 0.002

Record = tuple[bytes | None, bytes | None, list[tuple[str, bytes]]]


class LaneProducer:
    """The one producer of a lane. To start it fences every older one of that lane, so start it first and only once."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        *,
        group: str,
        partition: int,
        topic: Callable[[str], str],
        agent: str,
        stage: Stage = BORROWERS,
        clients: Clients = AIOKAFKA,
    ) -> None:
        self._clients = clients
        self._stage = stage
        self.group = group
        self.partition = partition
        self._topic = topic
        self._connection = connection
        self._transactional_id = f"{group}-{agent}-{partition}"
        self._producer: Any = None
        self.changelog_next: int | None = None
        """The offset after the last state that was committed; None before the first commit."""

    async def start(self) -> None:
        """Aborts what a dead owner left open, fences a paused one, and learns where the topics are."""
        self._producer = self._clients.producer(
            **self._connection,
            transactional_id=self._transactional_id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            max_batch_size=BATCH_BYTES,
            retry_backoff_ms=20,
            request_timeout_ms=TRANSACTION_TIMEOUT_MS,
        )
        await self._producer.start()
        for name in self._stage.written:
            await self._producer.partitions_for(self._topic(name))

    async def stop(self) -> None:
        """Closes the connections. Nothing may be in flight."""
        if self._producer is not None:
            async with asyncio.timeout(STOP_SECONDS):
                await self._producer.stop()

    async def commit(self, effects: Effects, positions: Mapping[str, int]) -> int:
        """Writes the effects and the source positions in one transaction and returns the number of records.

        It returns only when they are committed. All else ends the process: what the broker did with the transaction is
        then known to nobody but the log.
        """
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                return await self._commit(effects, positions)
        except TimeoutError:
            leave(Exit.TRANSACTION_DEADLINE, f"not committed in {DEADLINE_SECONDS} s", lane=self.partition)
        except (ProducerFenced, InvalidProducerEpoch):
            leave(Exit.FENCED, "a younger worker owns the lane", lane=self.partition)
        except Exception as error:  # noqa: BLE001 - whatever it is, nothing may go on after it
            leave_on(error, Exit.TRANSACTION_FAILED)

    async def _commit(self, effects: Effects, positions: Mapping[str, int]) -> int:
        producer = self._producer
        batches = [(to, self._batches(to[0], records)) for to, records in self._records(effects).items()]
        await producer.begin_transaction()
        delivered = [
            await producer.send_batch(batch, self._topic(topic), partition=partition)
            for (topic, partition), filled in batches
            for batch in filled
        ]
        # A failed produce does not fail the transaction: without this the record is gone and the commit succeeds.
        written = await asyncio.gather(*delivered)
        if positions:
            offsets = {TopicPartition(self._topic(topic), self.partition): next_ for topic, next_ in positions.items()}
            await producer.send_offsets_to_transaction(offsets, self.group)
        await producer.commit_transaction()
        self._note_changelog([(to, batch) for to, filled in batches for batch in filled], written)
        return sum(batch.record_count() for _, filled in batches for batch in filled)

    def _note_changelog(self, batches: list[tuple[tuple[str, int], BatchBuilder]], written: list[Any]) -> None:
        for (to, batch), where in zip(batches, written, strict=True):
            if to == (self._stage.state, self.partition) and where is not None:
                self.changelog_next = where.offset + batch.record_count()

    def _records(self, effects: Effects) -> dict[tuple[str, int], list[Record]]:
        """The records by topic and partition: the lane's own, and what other lanes are told."""
        found: dict[tuple[str, int], list[Record]] = {}
        own: list[tuple[str, Iterable[Record]]] = [
            (self._stage.order, [(None, effects.order, [])] if effects.order else []),
            (topics.ALERTS, ((key, value, []) for key, value in effects.alerts)),
            (topics.DEAD_LETTERS, ((letter.key, letter.value, letter.headers) for letter in effects.dead_letters)),
            (self._stage.state, ((key, value, []) for key, value in effects.states.items())),
        ]
        for topic, records in own:
            if kept := list(records):
                found[topic, self.partition] = kept
        for topic, partition, key, value in effects.outbound:
            found.setdefault((topic, partition), []).append((key, value, []))
        return found

    def _batches(self, topic: str, records: Iterable[Record]) -> list[BatchBuilder]:
        """The records in as few batches as their size allows. `send` would cost 9 us a record, this 1.5."""
        limit = int(topics.LAYOUTS[topic].config.get("max.message.bytes", RECORD_BYTES_MAX))
        timestamp = clock.now_ms()
        batches: list[BatchBuilder] = []
        for key, value, headers in records:
            if _size(key, value, headers) > limit:
                leave(Exit.RECORD_TOO_LARGE, f"{_size(key, value, headers)} bytes, {limit} fit", topic=topic)
            if not batches or batches[-1].append(timestamp=timestamp, key=key, value=value, headers=headers) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(timestamp=timestamp, key=key, value=value, headers=headers)
        return batches


def _size(key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]) -> int:
    size = _OVERHEAD + len(key or b"") + len(value or b"")
    return size + sum(len(name.encode()) + len(content) + 8 for name, content in headers) if headers else size
