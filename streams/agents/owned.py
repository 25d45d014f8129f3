"""One lane that this worker owns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.events import Topic
from streams import clock
from streams.agents.buffers import LaneBuffer
from streams.agents.said import say

if TYPE_CHECKING:
    import asyncio
    from collections.abc import MutableMapping

    from streams.agents.feeds import Feeds, NoFeeds
    from streams.agents.gauges import Gauges
    from streams.agents.policies import Policies
    from streams.agents.transactions import LaneProducer
    from streams.engine.drain import Effects, LaneLogic


class OwnedLane:
    """One lane: its logic, what is fetched for it, its producer. At most one drain of it is anywhere at any time."""

    def __init__(
        self, logic: LaneLogic, states: MutableMapping[bytes, bytes], producer: LaneProducer, gauges: Gauges
    ) -> None:
        self.partition = producer.partition
        self.changelog_next = 0
        """All records of the changelog below it are in the states, and no others."""
        self.logic = logic
        self.states = states
        self.producer = producer
        self.buffer = LaneBuffer({})
        self.horizon_ms: int | None = None
        self.wall = False
        """Whether time is the wall clock's, which no record's timestamp may run ahead of."""
        self.policies: Policies | None = None
        """Where it stands which policy is in force; None for the one that the logic began with."""
        self.now_ms = 0
        self.busy = False
        """From when Faust is given the drain until its transaction is committed."""
        self.closed = False
        self.task: asyncio.Task[None] | None = None
        self.progressed = clock.monotonic()
        """When something was last committed, or nothing waited."""
        self.oldest_ms: int | None = None
        """The Kafka timestamp of the oldest record in the drain under way."""
        self.first_ms: int | None = None
        """That of the first drain of this owner, for the progress."""
        self.fetched: float | None = None
        """When the buffer was last found empty before a fetch."""
        self._gauges = gauges
        self._seen: object = None

    def signature(self, feeds: Feeds | NoFeeds) -> object:
        """What a drain depends on: while it stays the same, a drain that had nothing to do will have nothing to do."""
        return self.buffer.version, self.buffer.behind, self.horizon_ms, feeds.end, self._policy

    @property
    def committing(self) -> bool:
        """Whether a drain's transaction is under way."""
        return self.task is not None and not self.task.done()

    @property
    def _policy(self) -> str | None:
        return None if self.policies is None else self.policies.in_force

    def wants(self, feeds: Feeds | NoFeeds) -> bool:
        """Whether a drain may find something to do."""
        return not self.busy and not self.closed and self.buffer.known and self._seen != self.signature(feeds)

    @property
    def settled(self) -> bool:
        """Whether the last drain had all there is and found nothing to do: all events applied, all ticks done."""
        return self._seen is not None and not self.busy and self.buffer.known and self.buffer.lag == 0

    def progress(self, until_ms: int) -> float:
        """How far the lane has come on its way to where time ends, 1 only when nothing is left to do."""
        if self.settled:
            return 1.0
        if self.first_ms is None or until_ms <= self.first_ms:
            return 0.0
        return min(0.999, max(0.0, (self.now_ms - self.first_ms) / (until_ms - self.first_ms)))

    def drain(self, feeds: Feeds | NoFeeds) -> Effects | None:
        """The effects of what is here, or None if there is nothing to do until something changes."""
        signature = self.signature(feeds)
        began = clock.monotonic()
        heartbeats = feeds.since(self.logic.positions.get(Topic.FEEDS, 0))
        inbox = self.buffer.inbox(self.horizon_ms, heartbeats)._replace(
            latest_ms=clock.now_ms() if self.wall else None, policy=self._policy
        )
        cut = self.buffer.cut
        effects = self.logic.drain(inbox)
        took = clock.monotonic() - began
        self.buffer.took(took, cut=cut)
        if effects is None:
            self.busy = False
            self._seen = signature
            return None
        self._seen = None
        self.oldest_ms = self._gauges.drained(inbox, took)
        if self.first_ms is None:
            self.first_ms = self.oldest_ms
        return effects

    async def commit(self, effects: Effects) -> None:
        """Commits them, then takes them into the states."""
        began = clock.monotonic()
        positions = {topic: next_ for topic, next_ in effects.positions.items() if topic != Topic.FEEDS}
        records = await self.producer.commit(effects, positions)
        self.logic.committed(effects)
        self.changelog_next = self.producer.changelog_next or self.changelog_next
        self.buffer.applied(self.logic.positions)
        self.progressed = clock.monotonic()
        self.now_ms = effects.now_ms
        self._gauges.committed(self, effects, records, self.progressed - began)
        say(effects, self.partition)
        self.fetched = None if self.buffer.empty else self.progressed
        self.busy = False
