"""The loop that every subscriber runs in: poll, read, dead-letter what cannot be read, hand over, go on.

Offsets come from the subscriber's database, not from the group, which only shares out partitions. A subscriber writes
what a record did and the offset behind it in one transaction; so whatever dies when, nothing is lost or done twice.
While the database or Kafka is away the loop waits, with growing pauses, and commits nothing.

    AlertLoop(settings, subscriber, metrics, stop)                       # of alerts
    TopicLoop(settings, subscriber, metrics, stop, bare_topic="contacts", read=read)
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

import structlog
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError
from structlog.contextvars import bound_contextvars
from tenacity import (
    AsyncRetrying,
    RetryCallState,
    retry_if_exception_type,
    stop_when_event_set,
    wait_exponential_jitter,
)

from schemas.codec import InvalidEvent
from schemas.topics import ALERTS
from streams.consumers.alerts import read_alert
from streams.consumers.dead_letters import DeadLetters
from streams.errors import Misconfigured, Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import NOT_ALLOWED, refusal
from streams.stores.offsets import OffsetMovedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from aiokafka import ConsumerRecord

    from schemas.alerts import Alert
    from streams.metrics import Metrics
    from streams.settings import Settings

log = structlog.get_logger(__name__)

Result = TypeVar("Result")
Fact = TypeVar("Fact")
Fact_co = TypeVar("Fact_co", covariant=True)

POLL_MS = 300
BATCH_RECORDS_MAX = 500
RETRY_SECONDS_FIRST = 0.2
RETRY_SECONDS_MAX = 30.0
STOP_SECONDS_MAX = 10.0
"""How long Kafka may take to let a process go that is to stop."""
MEASURE_SECONDS_MAX = 1.0
"""How long the lag may hold up the records."""


@dataclass(frozen=True, slots=True)
class Batch(Generic[Fact]):
    """What was read of one partition in order, and the offsets that it moves the consumer from and to.

    Records that are nothing to the subscriber are left out, so it may be empty; its offsets count all the same.
    """

    topic: str
    partition: int
    start: int
    end: int
    facts: tuple[Fact, ...]


class Reader(Protocol[Fact_co]):
    """What a record's key and value say."""

    def __call__(self, key: bytes | None, value: bytes | None, /) -> Fact_co | None:
        """The fact, or None for one that is nothing to us. Raises InvalidEvent for one that is a dead letter."""
        ...


class Subscriber(Protocol[Fact]):
    """Who acts on a topic. Both methods may block: they are called in a thread, one at a time."""

    @property
    def name(self) -> str:
        """What the group and the metrics call it."""
        ...

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition that it has seen. Raises Unavailable."""
        ...

    def take(self, batch: Batch[Fact]) -> None:
        """Act on the facts and move the offset, all or nothing. Raises Unavailable or OffsetMovedError."""
        ...


class TopicLoop(ConsumerRebalanceListener, Generic[Fact]):  # type: ignore[misc]  # aiokafka has no types
    """One subscriber of one topic on one Kafka consumer, until `stop` is set."""

    def __init__(
        self,
        settings: Settings,
        subscriber: Subscriber[Fact],
        metrics: Metrics,
        stop: asyncio.Event,
        *,
        bare_topic: str,
        read: Reader[Fact],
    ) -> None:
        self._settings = settings
        self._subscriber = subscriber
        self._metrics = metrics
        self._stop = stop
        self._topic = topic_name(settings, bare_topic)
        self._read_fact = read
        self._letters = DeadLetters(settings, metrics, bare_topic)
        self._next: dict[TopicPartition, int] = {}
        self._reassigned = True
        self._held_up = False
        self._joined_without = False
        self._behind: dict[TopicPartition, int] = {}
        self.has_been_level = False
        """All that was on our partitions when we came has been taken."""
        self.partitions: frozenset[int] = frozenset()
        """The partitions that are ours now and whose positions are known."""

    @property
    def ready(self) -> bool:
        """The positions of all partitions that are ours are known, and nothing that is needed is away."""
        return not self._reassigned and not self._held_up

    async def run(self) -> None:
        """Take records until `stop` is set. Raises Misconfigured, or Unavailable if Kafka is not there at the start."""
        consumer = self._consumer()
        try:
            await _started(consumer, self._settings)
            await self._letters.start()
            consumer.subscribe([self._topic], listener=self)
            while not self._stop.is_set():
                await self._turn(consumer)
        finally:
            await self._let_go(consumer)

    async def _let_go(self, consumer: AIOKafkaConsumer) -> None:
        """Leave the group, within a bound: everything that matters is committed."""
        try:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await self._letters.stop()
                await consumer.stop()
        except TimeoutError:
            log.warning("kafka_not_left", consumer=self._subscriber.name, seconds=STOP_SECONDS_MAX)

    async def on_partitions_revoked(self, revoked: Sequence[TopicPartition]) -> None:
        """What was ours may be somebody else's from now on."""
        log.debug("partitions_revoked", consumer=self._subscriber.name, partitions=_numbers(revoked))
        self._reassigned = True

    async def on_partitions_assigned(self, assigned: Sequence[TopicPartition]) -> None:
        """The loop reads the positions before it takes the next record."""
        log.debug("partitions_assigned", consumer=self._subscriber.name, partitions=_numbers(assigned))
        self._reassigned = True
        self._joined_without = not assigned

    async def _turn(self, consumer: AIOKafkaConsumer) -> None:
        if self._reassigned and consumer.assignment():
            await self._retrying(lambda: self._take_position(consumer))
        fetched = await consumer.getmany(timeout_ms=POLL_MS, max_records=BATCH_RECORDS_MAX)
        for partition, records in fetched.items():
            if self._reassigned or self._stop.is_set():
                return
            await self._take(partition, records)
        await self._measure(consumer)

    async def _take_position(self, consumer: AIOKafkaConsumer) -> None:
        """Go to where the database says that we are."""
        self._reassigned = False
        self.partitions = frozenset()
        mine = consumer.assignment()
        stored = await asyncio.to_thread(self._subscriber.positions, self._topic)
        wanted = {tp: stored.get(tp.partition, 0) for tp in mine}
        try:
            first, end = await consumer.beginning_offsets(mine), await consumer.end_offsets(mine)
        except KafkaError as away:
            self._reassigned = True
            raise Unavailable(f"Kafka does not say how long {self._topic} is ({type(away).__name__})") from away
        if self._reassigned:  # Partitions came or went in the meantime: ask again for those that are ours now.
            return
        for tp, offset in wanted.items():
            self._check_position(tp, offset, first[tp], end[tp])
            consumer.seek(tp, max(offset, first[tp]))
        self._next = wanted
        self.partitions = frozenset(tp.partition for tp in wanted)

    def _check_position(self, tp: TopicPartition, offset: int, first: int, end: int) -> None:
        where = f"{tp.topic}/{tp.partition}"
        if offset > end:
            raise Misconfigured(
                f"the database has read {where} up to offset {offset}, and Kafka has only {end}: "
                "it belongs to another cluster, so set EWS_DATABASE_URL (or EWS_TOPIC_PREFIX) to match"
            )
        if offset < first:
            log.error("records_deleted_unread", topic=tp.topic, partition=tp.partition, offset=offset, first=first)

    async def _take(self, partition: TopicPartition, records: Sequence[ConsumerRecord]) -> None:
        start = self._next[partition]
        fresh = [record for record in records if record.offset >= start]
        if len(fresh) < len(records):  # The topic was made anew under us, or a fetch was under way when we sought.
            self._reassigned = True
            return
        with bound_contextvars(
            topic=partition.topic, partition=partition.partition, first_offset=start, last_offset=fresh[-1].offset
        ):
            await self._act_on(partition, start, fresh)

    async def _act_on(self, partition: TopicPartition, start: int, fresh: Sequence[ConsumerRecord]) -> None:
        facts = [fact for record in fresh if (fact := await self._read(record)) is not None]
        batch = Batch(self._topic, partition.partition, start, fresh[-1].offset + 1, tuple(facts))
        try:
            await self._retrying(lambda: asyncio.to_thread(self._subscriber.take, batch))
        except OffsetMovedError:
            log.info("offset_moved_by_another", consumer=self._subscriber.name)
            self._reassigned = True
            return
        self._next[partition] = batch.end

    async def _read(self, record: ConsumerRecord) -> Fact | None:
        try:
            return self._read_fact(record.key, record.value)
        except InvalidEvent as fault:
            refused = fault
        await self._retrying(lambda: self._letters.send(record, refused))
        return None

    async def _retrying(self, attempt: Callable[[], Awaitable[Result]]) -> Result:
        """The result of the first attempt that Unavailable does not end. Gives up only when we are to stop."""

        async def once() -> Result:  # tenacity awaits only what it can see to be a coroutine function
            return await attempt()

        retrying = AsyncRetrying(
            retry=retry_if_exception_type(Unavailable),
            wait=wait_exponential_jitter(multiplier=RETRY_SECONDS_FIRST, max=RETRY_SECONDS_MAX),
            stop=stop_when_event_set(self._stop),  # type: ignore[arg-type]  # it only asks is_set()
            sleep=self._pause,
            before_sleep=self._say,
            reraise=True,
        )
        result: Result = await retrying(once)
        self._held_up = False
        return result

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    def _say(self, state: RetryCallState) -> None:
        self._held_up = True
        fault = state.outcome.exception() if state.outcome else None
        log.warning("waiting", consumer=self._subscriber.name, attempt=state.attempt_number, fault=str(fault))

    async def _measure(self, consumer: AIOKafkaConsumer) -> None:
        """Set the lag where it is known; a partition that is just going away has none."""
        with contextlib.suppress(KafkaError, TimeoutError):
            async with asyncio.timeout(MEASURE_SECONDS_MAX):
                await self._measure_lag(consumer)

    async def _measure_lag(self, consumer: AIOKafkaConsumer) -> None:
        for tp in self._next:
            if tp not in consumer.assignment():
                continue
            stable = consumer.last_stable_offset(tp)
            if stable is not None:
                behind = max(0, stable - max(self._next[tp], await consumer.position(tp)))
                self._behind[tp] = behind
                self._metrics.consumer_lag_records.labels(self._subscriber.name, str(tp.partition)).set(behind)
        known = self.ready and bool(self._next) and all(self._behind.get(tp) == 0 for tp in self._next)
        self.has_been_level = self.has_been_level or known or self._joined_without

    def _consumer(self) -> AIOKafkaConsumer:
        name = self._subscriber.name
        options: dict[str, Any] = {
            "group_id": f"{self._settings.app}-{self._settings.topic_prefix}{name}",
            "client_id": f"{self._settings.app}-{name}",
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            # Never committed, so never met: the loop seeks. Where it matters is a topic that was made anew.
            "auto_offset_reset": "earliest",
        }
        if self._settings.instance_id:
            options["group_instance_id"] = f"{self._settings.instance_id}-{name}"
        return AIOKafkaConsumer(**connection(self._settings), **options)


class AlertLoop(TopicLoop["Alert"]):
    """One subscriber of the alerts."""

    def __init__(
        self, settings: Settings, subscriber: Subscriber[Alert], metrics: Metrics, stop: asyncio.Event
    ) -> None:
        super().__init__(settings, subscriber, metrics, stop, bare_topic=ALERTS, read=read_alert)


def _numbers(partitions: Sequence[TopicPartition]) -> list[int]:
    return sorted(tp.partition for tp in partitions)


async def _started(consumer: AIOKafkaConsumer, settings: Settings) -> None:
    try:
        await consumer.start()
    except NOT_ALLOWED as refused:
        raise refusal(refused) from refused
    except (KafkaError, OSError) as away:
        raise Unavailable(
            f"Kafka at {settings.bootstrap_servers} cannot be reached ({type(away).__name__}): "
            "start it or set EWS_BOOTSTRAP_SERVERS"
        ) from away
