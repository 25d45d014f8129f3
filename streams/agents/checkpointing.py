"""When a worker's lanes are written into checkpoints, and read back from them at recovery."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import KafkaError

from streams import clock
from streams.agents.checkpoints import Checkpoint, CheckpointFiles, Discarded, Origin
from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from uuid import UUID

    from streams.agents.owned import OwnedLane

log = structlog.get_logger(__name__)


class Checkpointing:
    """The checkpoints of the lanes that this worker owns. It never stands in the way: what fails is logged."""

    def __init__(self, files: CheckpointFiles, topic: str, every_seconds: float) -> None:
        self._files = files
        self._topic = topic
        self._every_seconds = every_seconds
        self._topic_id: UUID | None = None
        self._task: asyncio.Task[None] | None = None
        self._saved: dict[int, int] = {}
        """Up to where the changelog of each lane is in its file."""

    async def start(
        self, topic_id: Callable[[], Awaitable[UUID]], owned: Callable[[], Mapping[int, OwnedLane]]
    ) -> None:
        """Learns which topic the changelog is, and begins to save the lanes that are owned."""
        try:
            self._topic_id = await topic_id()
        except (KafkaError, Unavailable) as nameless:
            log.warning("checkpoint.off", reason=str(nameless))
            return
        self._task = asyncio.create_task(self._save_all(owned))

    async def stop(self) -> None:
        """Saves no more. What is being written is finished or thrown away whole."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def load(self, begins: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, Checkpoint]:
        """The checkpoints, by partition, of those partitions that have one which is to be trusted."""
        partitions = sorted(ends)
        found = await asyncio.gather(
            *(asyncio.to_thread(self._load, number, begins[number], ends[number]) for number in partitions)
        )
        loaded = {number: one for number, one in zip(partitions, found, strict=True) if one is not None}
        self._saved = {number: one.offset for number, one in loaded.items()}
        return loaded

    def _load(self, partition: int, begin: int, end: int) -> Checkpoint | None:
        if self._topic_id is None:
            return None
        try:
            return self._files.load(self._origin(partition), begin, end, clock.now_ms())
        except Discarded as reason:
            log.warning("checkpoint.discarded", lane=partition, reason=str(reason))
            return None

    def _origin(self, partition: int) -> Origin:
        return Origin(self._topic, str(self._topic_id), partition)

    async def _save_all(self, owned: Callable[[], Mapping[int, OwnedLane]]) -> None:
        while True:
            await asyncio.sleep(self._every_seconds)
            for lane in list(owned().values()):
                if not lane.closed and lane.changelog_next != self._saved.get(lane.partition):
                    await self.save(lane)

    async def save(self, lane: OwnedLane) -> None:
        """Writes a lane's states as they are committed now."""
        # States and offset are taken in one go: no drain is taken into the states in between.
        states, offset, at_ms, began = list(lane.states.items()), lane.changelog_next, clock.now_ms(), clock.monotonic()
        try:
            size = await asyncio.to_thread(self._files.save, self._origin(lane.partition), states, offset, at_ms)
        except OSError as failed:
            log.warning("checkpoint.failed", lane=lane.partition, reason=failed.strerror)
            return
        self._saved[lane.partition] = offset
        took = round(clock.monotonic() - began, 3)
        log.info("checkpoint.saved", lane=lane.partition, offset=offset, states=len(states), bytes=size, seconds=took)
