"""aiokafka's producer and consumer as far as a worker uses them, over the simulated cluster.

Each object belongs to the process that made it and dies with it. What aiokafka does by itself is done here too: it asks
again when the coordinator is busy, flushes before a commit, and lets a commit succeed after a produce that failed.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import ConcurrentTransactions, InvalidProducerEpoch, KafkaTimeoutError, ProducerFenced

from tests.simulation.log import Written
from tests.simulation.loop import PROCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from tests.simulation.cluster import Cluster
    from tests.simulation.log import Entry

BACKOFF_SECONDS = 0.02


class Batch:
    """Records that are sent together."""

    def __init__(self, size_max: int) -> None:
        self._left = size_max
        self.records: list[Written] = []
        self.timestamp = 0

    def append(
        self, *, timestamp: int, key: bytes | None, value: bytes | None, headers: list[tuple[str, bytes]]
    ) -> object:
        """Takes a record up, or returns None if it does not fit."""
        size = len(key or b"") + len(value or b"") + 64
        if self.records and size > self._left:
            return None
        self._left -= size
        self.timestamp = timestamp
        self.records.append(Written(key, value, tuple(headers)))
        return self

    def record_count(self) -> int:
        """How many there are."""
        return len(self.records)


class Producer:
    """A transactional producer."""

    def __init__(self, cluster: Cluster, *, transactional_id: str, max_batch_size: int, **options: Any) -> None:
        self._cluster = cluster
        self._process = PROCESS.get()
        self._name = transactional_id
        self._batch_bytes = max_batch_size
        self._timeout = options["transaction_timeout_ms"] / 1000
        self._epoch = -1
        self._sending: list[asyncio.Future[None]] = []
        self._last: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._fatal: type[Exception] | None = None
        self._began = False

    async def _ask(self, kind: str, apply: Callable[[], Any]) -> Any:
        while True:
            try:
                return await self._cluster.network.ask(self._process, kind, apply)
            except ConcurrentTransactions:
                await asyncio.sleep(BACKOFF_SECONDS)
            except InvalidProducerEpoch:
                self._fatal = ProducerFenced
                raise ProducerFenced from None

    async def start(self) -> None:
        """Gets an epoch, which fences older producers of this id."""
        transactions = self._cluster.transactions
        _, self._epoch = await self._ask("init", lambda: transactions.init(self._name, self._timeout))

    async def stop(self) -> None:
        """Sends what waits."""
        await self._flush()

    async def partitions_for(self, topic: str) -> set[int]:  # noqa: ARG002 - aiokafka's signature
        """Known at once."""
        return set(range(self._cluster.partitions))

    async def begin_transaction(self) -> None:
        """Says nothing to the cluster."""
        self._raise()
        assert not self._began, "a transaction is under way"
        self._began = True
        self._sending, self._last = [], {}

    def _raise(self) -> None:
        if self._fatal is not None:
            raise self._fatal

    def create_batch(self) -> Batch:
        """An empty one."""
        return Batch(self._batch_bytes)

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        """Queues it. The future says what became of it."""
        self._raise()
        part = (topic, partition)
        delivery = asyncio.ensure_future(self._deliver(part, batch, self._last.get(part)))
        self._last[part] = delivery
        self._sending.append(delivery)
        return delivery

    async def _deliver(self, part: tuple[str, int], batch: Batch, before: asyncio.Future[None] | None) -> None:
        if before is not None:
            await asyncio.wait([before])
        partition = self._cluster.topics[part]
        txn = await self._ask("add", lambda: self._cluster.transactions.add(self._name, self._epoch, partition))
        await self._ask("produce", lambda: partition.append(batch.timestamp, batch.records, txn))

    async def _flush(self) -> None:
        if self._sending:
            await asyncio.wait(self._sending)
            for one in self._sending:
                if not one.cancelled():
                    one.exception()

    async def send_offsets_to_transaction(self, offsets: Mapping[TopicPartition, int], group: str) -> None:
        """Adds them to the transaction."""
        self._raise()
        plain = {(part[0], part[1]): offset for part, offset in offsets.items()}
        transactions = self._cluster.transactions
        await self._ask("offsets", lambda: transactions.add_offsets(self._name, self._epoch, group, plain))

    async def commit_transaction(self) -> None:
        """Sends what waits, and commits whatever became of it, unless the producer is fenced."""
        await self._flush()
        self._raise()
        await self._ask("commit", lambda: self._cluster.transactions.end(self._name, self._epoch, "commit"))
        self._began = False


class _State:
    """Where a consumer stands in one partition."""

    def __init__(self) -> None:
        self.position = 0
        self.has_valid_position = False
        self.lso: int | None = None
        self.highwater: int | None = None
        self.paused = False


class Consumer:
    """A consumer, with the parts of aiokafka's inside that the worker's transport reads."""

    def __init__(self, cluster: Cluster, **options: Any) -> None:
        self._cluster = cluster
        self._process = PROCESS.get()
        self._committed = options.get("isolation_level") == "read_committed"
        self._parts: dict[TopicPartition, _State] = {}
        self._closed = False
        self._client = SimpleNamespace(set_topics=_nothing)
        self._coordinator = SimpleNamespace(member_id="", generation=-1)
        subscription = SimpleNamespace(
            assignment=SimpleNamespace(tps=self._parts, state_value=self._parts.__getitem__), fetch_context=_context
        )
        self._subscription = SimpleNamespace(subscription=subscription)
        self._fetcher = SimpleNamespace(_closed=False, _subscriptions=subscription, fetched_records=self.fetched)

    async def _ask(self, kind: str, apply: Callable[[], Any]) -> Any:
        return await self._cluster.network.ask(self._process, kind, apply)

    async def start(self) -> None:
        """Connects."""

    async def stop(self) -> None:
        """Disconnects."""
        self._closed = True

    def assign(self, parts: Iterable[TopicPartition]) -> None:
        """Takes these partitions in place of those before."""
        self._parts.clear()
        self._parts.update({TopicPartition(*part): _State() for part in sorted(parts)})

    def assignment(self) -> set[TopicPartition]:
        """Those that are assigned."""
        return set(self._parts)

    def seek(self, part: TopicPartition, offset: int) -> None:
        """Goes to an offset."""
        state = self._parts[TopicPartition(*part)]
        state.position, state.has_valid_position = offset, True

    def pause(self, *parts: TopicPartition) -> None:
        """Fetches no more of these."""
        for part in parts:
            self._parts[TopicPartition(*part)].paused = True

    async def position(self, part: TopicPartition) -> int:
        """Where the next fetch begins."""
        return self._parts[TopicPartition(*part)].position

    async def beginning_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """Where the partitions begin."""
        topics = self._cluster.topics
        return await self._ask("begins", lambda: {TopicPartition(*part): topics[part].begin for part in parts})

    async def end_offsets(self, parts: Iterable[TopicPartition]) -> dict[TopicPartition, int]:
        """The last stable offsets under read_committed, else the high watermarks."""
        return await self._ask("ends", lambda: {TopicPartition(*part): self._end(part) for part in parts})

    def _end(self, part: TopicPartition) -> int:
        partition = self._cluster.topics[part]
        return partition.stable_end if self._committed else partition.end

    async def getmany(self, *parts: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Entry]]:
        """Records of these partitions, or of all."""
        return await self.fetched(parts or self._parts, timeout_ms / 1000)

    async def fetched(
        self,
        parts: Iterable[TopicPartition],
        timeout: float,  # noqa: ASYNC109 - aiokafka asks so
        max_records: int | None = None,
    ) -> dict[TopicPartition, list[Entry]]:
        """Records, when there are some or when time is up. Positions move when they are handed over."""
        wanted = sorted(part for part in parts if part in self._parts and not self._parts[part].paused)
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            here = (TopicPartition(*part) for part in wanted if part in self._parts)
            asked = {part: self._parts[part].position for part in here}
            fetch = partial(self._cluster.fetch, asked, max_records, committed=self._committed)
            answers = await self._ask("fetch", fetch)
            found = self._hand_over(asked, answers)
            left = deadline - asyncio.get_running_loop().time()
            if found or left <= 0 or self._closed:
                return found
            await self._cluster.news(wanted, left)

    def _hand_over(
        self, asked: dict[TopicPartition, int], answers: dict[Any, Any]
    ) -> dict[TopicPartition, list[Entry]]:
        found = {}
        for part, (records, position, stable, high) in answers.items():
            state = self._parts.get(part)
            if state is None or state.position != asked[part]:
                continue  # It was sought elsewhere meanwhile.
            state.position, state.lso, state.highwater = position, stable, high
            if records:
                found[part] = records
        return found


async def _nothing(*_: object) -> None:
    """Does nothing."""


@contextlib.contextmanager
def _context() -> Iterator[None]:
    yield


def timed_out() -> Exception:
    """What aiokafka raises when a question found no answer in time."""
    return KafkaTimeoutError()
