"""The relay: takes events out of the outbox to Kafka, in order for each key, until Kafka has them.

At least once: killed between Kafka's answer and the mark in the database, it publishes a row again. Such a repeat has
the same bytes, so the same source and id, by which the engine drops it (`docs/publishing.md`). A row of a key waits for
the one before it, so that a repeat never comes with something of its key left out. One process relays at a time; one
that was held up past its lease can repeat what another has published and mark nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import groupby
from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import Topic
from schemas.topics import ALERT_OUTCOMES, partition_of
from streams.consumers.waits import Waits
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import partition_counts
from streams.stores.leases import RENEW_SECONDS, LeaseLost
from streams.stores.outbox import RELAY

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from datetime import datetime

    from streams.metrics import Metrics
    from streams.settings import Settings
    from streams.stores.leases import Leases
    from streams.stores.outbox import Outbox, Waiting

log = structlog.get_logger(__name__)

PUBLISHED = (Topic.REPAYMENTS, Topic.CONTACTS, ALERT_OUTCOMES)
"""The topics that our own events go to."""
BATCH_ROWS = 500
"""Rows that are read at a time; those of different keys are in flight together."""
POLL_SECONDS = 0.5
"""How often an empty outbox is looked into: the most that an event waits while nothing is wrong."""
SEND_SECONDS_MAX = 10
"""How long one send may take before it counts as failed; well below the lease."""
KEEP_DAYS = 14
"""How long published rows stay, for people who ask what went out."""
PRUNE_SECONDS = 3_600.0


@dataclass(slots=True)
class _Sent:
    """What came of a batch: the numbers that Kafka has, and what stood in the way of the others."""

    topics: dict[int, str] = field(default_factory=dict)
    fault: str = ""


class Relay:
    """Publishes the outbox of one database, while it holds the lease."""

    def __init__(
        self,
        settings: Settings,
        outbox: Outbox,
        leases: Leases,
        metrics: Metrics,
        stop: asyncio.Event,
        *,
        holder: str,
        now: Callable[[], datetime],
    ) -> None:
        for topic in PUBLISHED:
            metrics.outbox_published.labels(topic)  # From 0 on: a rate is seen from the first event.
        self._settings = settings
        self._outbox = outbox
        self._leases = leases
        self._metrics = metrics
        self._holder = holder
        self._now = now
        self._waits = Waits(stop)
        self._producer: AIOKafkaProducer | None = None
        self._partitions: dict[str, int] = {}
        self._renew_at = self._prune_at = now()

    async def run(self) -> None:
        """Publish until the stop. Neither Kafka nor the database being away ends it: what waits is kept."""
        try:
            while not self._waits.stopped:
                await self._turn()
        finally:
            await self._disconnect()
            await self._give_back()

    async def _turn(self) -> None:
        try:
            more = await self._holds() and await self._publish()
        except LeaseLost:
            log.info("outbox_lease_lost")
            self._renew_at = self._now()
        except Unavailable as away:
            log.warning("outbox_waits", fault=str(away))
            await self._disconnect()
            await self._waits.longer()
        else:
            self._waits.reset()
            if not more:
                await self._waits.pause(POLL_SECONDS)

    async def _holds(self) -> bool:
        """Whether we are the one who relays; asks the database only when a third of the lease has passed."""
        now = self._now()
        if now < self._renew_at:
            return True
        if not await asyncio.to_thread(self._leases.take, RELAY, self._holder, now):
            self._metrics.outbox_waiting.set(0)  # Whoever holds it says how many wait.
            return False
        self._renew_at = now + timedelta(seconds=RENEW_SECONDS)
        return True

    async def _publish(self) -> bool:
        """Publish the oldest rows and mark them; whether there were any. Raises Unavailable or LeaseLost."""
        rows = await asyncio.to_thread(self._outbox.waiting, BATCH_ROWS)
        await self._measure(rows)
        if not rows:
            await self._prune()
            return False
        sent = await self._send(rows)
        await asyncio.to_thread(self._outbox.mark, list(sent.topics), holder=self._holder, at=self._now())
        for topic, number in Counter(sent.topics.values()).items():
            self._metrics.outbox_published.labels(topic).inc(number)
        if sent.fault:
            raise Unavailable(f"Kafka does not take what is to be published ({sent.fault})")
        return True

    async def _measure(self, rows: Sequence[Waiting]) -> None:
        """A batch that is not full is all that waits; else it is counted."""
        waiting = len(rows)
        if waiting == BATCH_ROWS:
            waiting = (await asyncio.to_thread(self._outbox.backlog)).rows
        self._metrics.outbox_waiting.set(waiting)

    async def _send(self, rows: Sequence[Waiting]) -> _Sent:
        """Send the rows of every key one after the other, all keys together."""
        producer = await self._connected({row.topic for row in rows})
        by_key = sorted(rows, key=lambda row: (row.topic, row.key, row.number))
        sent = _Sent()
        async with asyncio.TaskGroup() as tasks:
            for _, own in groupby(by_key, key=lambda row: (row.topic, row.key)):
                tasks.create_task(self._send_key(producer, list(own), sent))
        return sent

    async def _send_key(self, producer: AIOKafkaProducer, rows: Sequence[Waiting], sent: _Sent) -> None:
        for row in rows:
            key = row.key.encode()
            partition = partition_of(key, self._partitions[row.topic])
            try:
                await producer.send_and_wait(
                    topic_name(self._settings, row.topic), row.value, key=key, partition=partition
                )
            except (KafkaError, OSError) as away:
                sent.fault = type(away).__name__
                return
            sent.topics[row.number] = row.topic

    async def _connected(self, topics: Collection[str]) -> AIOKafkaProducer:
        if unknown := set(topics) - self._partitions.keys():
            self._partitions |= await partition_counts(self._settings, sorted(unknown))
        if self._producer is None:
            producer = AIOKafkaProducer(
                **connection(self._settings), enable_idempotence=True, request_timeout_ms=SEND_SECONDS_MAX * 1_000
            )
            try:
                await producer.start()
            except (KafkaError, OSError) as away:
                await producer.stop()
                raise Unavailable(f"Kafka does not answer ({type(away).__name__})") from away
            self._producer = producer
        return self._producer

    async def _disconnect(self) -> None:
        """After a fault the next try begins with a new connection, so that no send of the old one is under way."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                await producer.stop()
        except TimeoutError:
            log.warning("kafka_not_left", consumer=RELAY, seconds=SEND_SECONDS_MAX)

    async def _prune(self) -> None:
        now = self._now()
        if now >= self._prune_at:
            self._prune_at = now + timedelta(seconds=PRUNE_SECONDS)
            while await asyncio.to_thread(self._outbox.prune, now - timedelta(days=KEEP_DAYS)):
                continue

    async def _give_back(self) -> None:
        try:
            await asyncio.to_thread(self._leases.release, RELAY, self._holder)
        except Unavailable as away:
            log.warning("lease_not_given_back", fault=str(away))
