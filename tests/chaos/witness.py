"""Reads everything that is committed while it comes, as a subscriber does, and holds it to what must be so.

It looks at bytes and offsets and knows nothing of the engine; `ews replay --order` says at the end if they are right.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.topics import ALERTS, COHORTS, DEAD_LETTERS, LINKS, ORDER, PORTFOLIO_ORDER, SOURCES
from streams import clock
from tests.chaos.load import digest
from tests.chaos.system import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self

    from streams.settings import Settings

READ = (*map(str, SOURCES), ORDER, ALERTS, DEAD_LETTERS, COHORTS, LINKS, PORTFOLIO_ORDER)
LOOK_SECONDS_MAX = 60.0
FAULTS_MAX = 50

Ends = dict[tuple[str, int], int]


class Witness:
    """A reader of committed records. An async context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.ends: Ends = {}
        """The offset after the last record of each partition."""
        self.applied: Ends = {}
        """The offset after the last one that an order says was applied."""
        self.records: Counter[str] = Counter()
        self.runs: Counter[str] = Counter()
        """Records of each source that the orders say were applied."""
        self.sources: dict[tuple[str, int, int], bytes] = {}
        self.alerts: set[str] = set()
        self.letters: dict[tuple[str, int, int], tuple[str, bytes]] = {}
        self.faults: list[str] = []
        self._parts = [TopicPartition(topic, n) for topic in READ for n in range(PARTITIONS)]

    async def __aenter__(self) -> Self:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=self._settings.bootstrap_servers,
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=100,
        )
        await self._consumer.start()
        self._consumer.assign(self._parts)
        for part in self._parts:
            self._consumer.seek(part, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(KafkaError, OSError, TimeoutError):
            async with asyncio.timeout(5):
                await self._consumer.stop()

    async def look(self) -> None:
        """Read on to what is committed now. Raises TimeoutError if the cluster does not bring it in time."""
        async with asyncio.timeout(LOOK_SECONDS_MAX):
            goals = await self._goals()
            while [part for part in self._parts if await self._consumer.position(part) < goals[part]]:
                for part, records in (await self._consumer.getmany(timeout_ms=200)).items():
                    for record in records:
                        self._take(part.topic, part.partition, record)

    async def _goals(self) -> Mapping[TopicPartition, int]:
        while True:
            try:
                ends: Mapping[TopicPartition, int] = await self._consumer.end_offsets(self._parts)
            except KafkaError:
                await asyncio.sleep(0.2)
            else:
                return ends

    async def drained(self, goal: Ends, seconds: float) -> float:
        """Wait until all below these ends is applied; how long it took. Raises TimeoutError."""
        began = clock.monotonic()
        async with asyncio.timeout(seconds):
            while any(self.applied.get(place, 0) < end for place, end in goal.items()):
                await self.look()
        return clock.monotonic() - began

    def source_ends(self, *topics: str) -> Ends:
        """The ends of these sources as they were last seen."""
        return {place: end for place, end in self.ends.items() if place[0] in topics}

    def _take(self, topic: str, partition: int, record: Any) -> None:
        self.records[topic] += 1
        self.ends[topic, partition] = record.offset + 1
        match topic:
            case "order" | "portfolio-order":
                self._take_order(topic, partition, record)
            case "alerts":
                self._take_alert(record)
            case "dead-letters":
                self._take_letter(record)
            case "cohorts" | "links":
                pass
            case _:
                self.sources[topic, partition, record.offset] = digest(record.value)

    def _take_order(self, topic: str, partition: int, record: Any) -> None:
        for step in orjson.loads(record.value)["steps"]:
            if step[0] != "run":
                continue
            place = step[1], partition
            at = self.applied.get(place, 0)
            # Between what transactions tell the second stage lie their markers, which are no records.
            joins = at == step[2] if topic == ORDER and step[1] != "feeds" else at <= step[2]
            if not joins:
                self._fault(f"{topic}/{partition}/{record.offset}: {step[1]} goes on at {step[2]} after {at}")
            self.applied[place] = step[3]
            self.runs[step[1]] += step[3] - step[2]

    def _take_alert(self, record: Any) -> None:
        identity = orjson.loads(record.value)["id"]
        if identity in self.alerts:
            self._fault(f"alert {identity} stands there twice")
        self.alerts.add(identity)

    def _take_letter(self, record: Any) -> None:
        headers = {name: value.decode() for name, value in record.headers}
        place = headers["topic"], int(headers["partition"]), int(headers["offset"])
        if place in self.letters:
            self._fault(f"the dead letter of {place} stands there twice")
        self.letters[place] = headers["reason"], digest(record.value)

    def _fault(self, sentence: str) -> None:
        if len(self.faults) < FAULTS_MAX:
            self.faults.append(sentence)
