"""The lanes that this worker owns: taken over in the order that fencing needs, drained one at a time, given back."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import structlog

from schemas import topics
from schemas.events import Topic
from streams import clock
from streams.agents.buffers import LaneBuffer, Pull
from streams.agents.exits import Exit, leave, leave_on
from streams.agents.owned import OwnedLane
from streams.engine.drain import LANE_KEY
from streams.errors import DeadLetterLimit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, MutableMapping

    from faust.types import TP

    from streams.agents.feeds import Feeds, NoFeeds
    from streams.agents.gauges import Gauges
    from streams.agents.policies import Policies
    from streams.agents.recovery import ChangelogReader, Ends
    from streams.agents.transactions import LaneProducer
    from streams.engine.drain import Effects, LaneLogic

    LaneFactory = Callable[[int, MutableMapping[bytes, bytes]], LaneLogic]

READY_LAG_MAX = 1_000
"""Records that a lane of a ready worker may be behind."""

log = structlog.get_logger(__name__)


class Lanes:
    """All lanes of this worker. The transport feeds them, the agent drains them, Faust's rebalances move them."""

    def __init__(
        self,
        *,
        sources: Mapping[str, str],
        factory: LaneFactory,
        new_producer: Callable[[int], LaneProducer],
        ends: Ends,
        changelog: ChangelogReader,
        feeds: Feeds | NoFeeds,
        gauges: Gauges,
        until_ms: int | None,
        wall: bool,
        policies: Policies | None = None,
    ) -> None:
        self.sources = sources
        """The topics on the cluster by the names that the logic knows."""
        self.names = {topic: name for name, topic in sources.items()}
        self.topic = next(iter(sources.values()))
        """Under whose name Faust is handed the drains of a lane."""
        self.recovered = False
        """Whether the lanes of the present assignment are here, be they none."""
        self.changed = clock.monotonic()
        """When lanes were last given or taken, or recovery last got on."""
        self.owned: dict[int, OwnedLane] = {}
        self.feeds = feeds
        self.policies = policies
        """Where changes of the policy are heard of; None where the logic has none."""
        self.gauges = gauges
        self.offer: Callable[[OwnedLane], None] = lambda _: None
        """Set by the transport: hands a lane to Faust as an event."""
        self._factory = factory
        self._new_producer = new_producer
        self.ends = ends
        self.changelog = changelog
        self._until_ms = until_ms
        self._wall = wall
        self._acquiring: asyncio.Task[Mapping[int, int]] | None = None
        self._starting: list[LaneProducer] = []

    async def acquire(self, assignment: Iterable[TP]) -> Mapping[int, int]:
        """Takes over the lanes of an assignment: fence, then read back. Returns the changelogs' ends.

        Cancelled if they are revoked meanwhile.
        """
        await self.release()
        # (1) Buffers and guards went with the lanes that are released.
        self._acquiring = asyncio.create_task(self._acquire(self._complete(assignment)))
        return await self._acquiring

    async def release(self) -> None:
        """Finishes what is in flight, then stops the producers, so that a successor finds nothing open."""
        if self._acquiring is not None and not self._acquiring.done():
            self._acquiring.cancel()
            await asyncio.wait([self._acquiring])
        owned, self.owned, self.recovered = self.owned, {}, False
        self.changed = clock.monotonic()
        for lane in owned.values():
            lane.closed = True
        await asyncio.gather(*[lane.task for lane in owned.values() if lane.task is not None])
        producers, self._starting = [*self._starting, *(lane.producer for lane in owned.values())], []
        await asyncio.gather(*(producer.stop() for producer in producers), return_exceptions=True)
        self.gauges.revoked(owned)

    async def connect(self) -> None:
        """Opens the connections that reading needs, before there is anything to read."""
        await asyncio.gather(*(one.start() for one in self._readers()))
        if self.changelog.checkpointing is not None:
            await self.changelog.checkpointing.start(self.changelog.topic_id, lambda: self.owned)

    async def disconnect(self) -> None:
        """Closes them."""
        if self.changelog.checkpointing is not None:
            await self.changelog.checkpointing.stop()
        await asyncio.gather(*(one.stop() for one in self._readers()))

    def _readers(self) -> Iterable[Ends | ChangelogReader | Feeds | NoFeeds | Policies]:
        yield from (self.ends, self.changelog, self.feeds)
        if self.policies is not None:
            yield self.policies

    def starts(self) -> dict[tuple[str, int], int | None]:
        """Where each source partition is to be read from: the position record, or None for the beginning."""
        return {
            (topic, lane.partition): lane.logic.positions.get(name)
            for lane in self.owned.values()
            for name, topic in self.sources.items()
        }

    def begin(self, starts: Mapping[TP, int], asked_ms: int, ends: Mapping[TP, int]) -> None:
        """The sources stand at these offsets, and their ends are known: from now on fetches are taken up."""
        for lane in self.owned.values():
            mine = {self.names[tp.topic]: at for tp, at in starts.items() if tp.partition == lane.partition}
            lane.buffer = LaneBuffer(mine)
            lane.progressed = clock.monotonic()
        self.probed(asked_ms, ends)

    def recovering(self, records: int, left: int) -> None:
        """Recovery got on by so many records, and has so many offsets before it."""
        self.changed = clock.monotonic()
        self.gauges.read_back(records, left)

    def take(self, tp: TP, pull: Pull) -> None:
        """Takes up a fetch."""
        lane = self.owned[tp.partition]
        if lane.buffer.empty:
            lane.fetched = clock.monotonic()
        lane.buffer.extend(self.names[tp.topic], pull)

    def heard(self, tp: TP, stable_end: int, high_watermark: int) -> None:
        """Notes what a fetch said about the end of a partition."""
        lane = self.owned.get(tp.partition)
        source = lane.buffer.sources.get(self.names.get(tp.topic, "")) if lane is not None else None
        if source is not None:
            source.heard(stable_end)
            source.unstable = max(0, high_watermark - stable_end)

    def room(self, tp: TP) -> bool:
        """Whether more of this source may be fetched."""
        lane = self.owned.get(tp.partition)
        source = lane.buffer.sources.get(self.names.get(tp.topic, "")) if lane is not None else None
        return source is not None and not source.full

    def probed(self, asked_ms: int, ends: Mapping[TP, int]) -> None:
        """The last stable offsets as they stood at `asked_ms` or later."""
        for lane in self.owned.values():
            if not lane.buffer.sources:  # Of a rebalance on the heels of another: its sources stand nowhere yet.
                continue
            mine = {self.names[tp.topic]: end for tp, end in ends.items() if tp.partition == lane.partition}
            for name, end in mine.items():
                lane.buffer.sources[name].heard(end)
            if self._wall and lane.buffer.reached(mine):
                lane.horizon_ms = asked_ms
            elif not self._wall:
                lane.horizon_ms = self._until_ms
            self.gauges.stands(lane, self._until_ms)
        if self._until_ms is not None and self.owned:
            self.gauges.progress(min(lane.progress(self._until_ms) for lane in self.owned.values()))
        self.offer_all()

    @property
    def ready(self) -> bool:
        """Whether every lane is recovered and close behind its sources."""
        return self.recovered and all(
            lane.buffer.known and lane.buffer.lag <= READY_LAG_MAX for lane in self.owned.values()
        )

    def offer_all(self) -> None:
        """Hands every lane that may have something to do to Faust."""
        for lane in self.owned.values():
            if lane.wants(self.feeds):
                lane.busy = True
                self.offer(lane)

    def stalled_since(self) -> float | None:
        """Since when nothing has moved although something waits; None if all is well. Asked once a second."""
        if not self.recovered:
            return self.changed
        waiting = []
        for lane in self.owned.values():
            if lane.buffer.lag > 0 or lane.busy:
                waiting.append(lane.progressed)
            else:
                lane.progressed = clock.monotonic()
        return min(waiting, default=None)

    def drain(self, lane: OwnedLane) -> None:
        """Drains a lane and starts the commit, which overlaps with the drains and commits of other lanes."""
        # Faust hands an event over a second time now and then: what it stands for is done, or on its way.
        if lane.closed or not lane.busy or lane.committing:
            return
        try:
            effects = lane.drain(self.feeds)
        except DeadLetterLimit as limit:
            leave(Exit.DEAD_LETTER_LIMIT, str(limit), topic=limit.topic, partition=limit.partition)
        except Exception as error:  # noqa: BLE001 - it would reach Faust, which acknowledges and goes on
            leave_on(error)
        if effects is not None:
            lane.task = asyncio.create_task(self._commit(lane, effects))

    async def _commit(self, lane: OwnedLane, effects: Effects) -> None:
        try:
            await lane.commit(effects)
        except Exception as error:  # noqa: BLE001 - a task's exception would be noticed by nobody
            leave_on(error)
        if lane.wants(self.feeds):
            lane.busy = True
            self.offer(lane)

    def _complete(self, assignment: Iterable[TP]) -> list[int]:
        """The partition numbers of an assignment. Each must come with all sources and its changelog."""
        topics_of: dict[int, set[str]] = {}
        for tp in assignment:
            topics_of.setdefault(tp.partition, set()).add(tp.topic)
        wanted = {*self.sources.values(), self.changelog.topic}
        for partition, present in topics_of.items():
            if present != wanted:
                leave(Exit.LANE_INCOMPLETE, f"assigned without {sorted(wanted - present)}", lane=partition)
        return sorted(topics_of)

    async def _acquire(self, partitions: list[int]) -> Mapping[int, int]:
        began = clock.monotonic()
        self.gauges.recovering(len(partitions))
        self._starting = [self._new_producer(partition) for partition in partitions]
        try:
            # The youngest start of a producer wins: first all of them, then the ends, then what lies below.
            await asyncio.gather(*(producer.start() for producer in self._starting))
            fenced = clock.monotonic()
            if self.policies is not None:  # Before the logic is made: it may go by one of them.
                await self.policies.read()
            states, ends = await self.changelog.read(partitions)
            lanes = {
                producer.partition: OwnedLane(
                    self._factory(producer.partition, states[producer.partition]),
                    states[producer.partition],
                    producer,
                    self.gauges,
                )
                for producer in self._starting
            }
            await self.feeds.need(min((lane.logic.positions.get(Topic.FEEDS, 0) for lane in lanes.values()), default=0))
        except Exception as error:  # noqa: BLE001 - Faust would log it and stand idle
            leave_on(error, Exit.RECOVERY_FAILED)
        for lane in lanes.values():
            lane.wall, lane.policies, lane.changelog_next = self._wall, self.policies, ends[lane.partition]
        gc.freeze()  # Millions of wake-ups: to look through them for cycles, of which there are none, takes seconds.
        self._starting, self.owned, self.recovered = [], lanes, True
        took = clock.monotonic() - began
        self.gauges.recovered(took)
        log.info(
            "worker.recovered",
            lanes=partitions,
            states=sum(len(s) - (LANE_KEY in s) for s in states.values()),
            from_checkpoints=self.changelog.from_checkpoints,
            read=self.changelog.records,
            fence_seconds=round(fenced - began, 3),
            seconds=round(took, 3),
        )
        return ends


def source_names(topic: Callable[[str], str], sources: Iterable[str] = topics.SOURCES) -> dict[str, str]:
    """The sources by name, with their topics on the cluster."""
    return {str(name): topic(name) for name in sources}
