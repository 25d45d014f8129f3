"""A lane: one partition number of all source topics, its borrowers, its time and its order. Pure.

The owner of a lane decides once in which order its sources and ticks are applied, and writes that down; repeating the
order gives the same alerts byte for byte. Of the sources that have records the lowest record timestamp goes first (then
source and id); a source that is known to have more is waited for. A tick comes before the first record of its time.
"""

from __future__ import annotations

from bisect import bisect_left
from heapq import merge
from typing import TYPE_CHECKING, Any

from schemas.events import Event, Topic
from schemas.topics import SOURCES
from streams.engine.position import ORDER_VERSION, STATE, TICK, Fact, LaneSettings, Poison, Position
from streams.engine.work import Work, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

    from streams.engine.drain import CohortFigures, Effects, Inbox, SourceRecord
    from streams.engine.engine import Engine
    from streams.engine.work import Engines

__all__ = ["ORDER_VERSION", "Fact", "Lane", "LaneSettings", "Position", "read"]


class Lane:
    """The state and the order of one lane. See `streams.engine.drain.LaneLogic` for who calls what when."""

    def __init__(
        self,
        engine: Engine,
        settings: LaneSettings,
        states: MutableMapping[bytes, bytes],
        engines: Engines | None = None,
        *,
        limited: bool = True,
    ) -> None:
        """A lane that goes by `engine` until it is told of another policy: `engines` has those of all versions.

        `limited`: whether too many dead letters are DeadLetterLimit. What was applied already is repeated without.
        """
        self._limited = limited
        self._engine = engine
        self._engines = engines or {engine.policy.version: engine}.get
        self._settings = settings
        self._states = states
        self._poison: dict[tuple[object, ...], str] = {}
        self._load()

    def _load(self) -> None:
        """Start from what is committed."""
        self._work = Work(
            self._engine, self._settings, self._states, self._poison, self._engines, limited=self._limited
        )
        self._heartbeats = _Queue((), 0)

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic that was ever applied."""
        return self._work.position.offsets

    @property
    def now_ms(self) -> int:
        """The latest tick."""
        return self._work.now_ms

    @property
    def policy(self) -> str:
        """The version of the policy that the latest tick carried; '' before the first."""
        return self._work.position.policy

    def due_ms(self) -> int | None:
        """When the next wake-up is due."""
        return self._work.wakeups.next_ms(self.now_ms)

    def held(self) -> int:
        """How many wake-ups wait for a source that is not complete."""
        return self._work.wakeups.held()

    def figures(self) -> Sequence[CohortFigures]:
        """None: cohorts are the second hop's."""
        return ()

    def through(self, source: str) -> int:
        """The instant through which a source is complete, as of the latest tick."""
        return self._work.feeds.through(source)

    def committed(self, effects: Effects) -> None:
        """Take committed effects into the states."""
        for key, value in effects.states.items():
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        for at in [at for at in self._poison if at[0] == STATE]:  # It is judged by each drain anew.
            del self._poison[at]
        self._work.took(effects.states)
        self._work.begin()

    # -- one drain --------------------------------------------------------------------------------------------------

    def drain(self, inbox: Inbox) -> Effects | None:
        """Apply what may be applied. A record on which our own code fails is a dead letter; then all is done again."""
        return self._without_poison(self._drain, inbox)

    def play(
        self,
        batch: Sequence[tuple[str, SourceRecord, Fact]],
        feeds: Sequence[SourceRecord],
        until_ms: int | None,
        policy: str | None = None,
    ) -> Effects | None:
        """Apply records that are in order already (a file), and let time come to `until_ms` if that is given.

        `policy` is the version in force, as in an Inbox.
        """
        return self._without_poison(self._play, batch, feeds, until_ms, policy)

    def _without_poison(self, apply: Callable[..., None], *args: Any) -> Effects | None:
        while True:
            try:
                apply(*args)
                return self._work.finish()
            except Poison as poison:
                self._poison[poison.at] = type(poison.cause).__name__
                self._load()

    def _play(
        self,
        batch: Sequence[tuple[str, SourceRecord, Fact]],
        feeds: Sequence[SourceRecord],
        until_ms: int | None,
        policy: str | None,
    ) -> None:
        self._await_ticks(feeds)
        self._work.follow(policy or self._engine.policy.version)
        while self._work.must_tick:
            self._work.tick(self.now_ms)
        for topic, record, event in batch:
            while not self._advance(self._grid(record.timestamp)):
                pass
            self._work.take(topic, record, event)
        while until_ms is not None and not self._settle_time(until_ms):
            pass

    def _await_ticks(self, feeds: Sequence[SourceRecord]) -> None:
        """Heartbeats are taken up with the first tick after them."""
        start = self._work.position.offsets.get(Topic.FEEDS, 0)
        first = bisect_left(feeds, start, key=_offset)
        self._heartbeats = _Queue(feeds, first)

    def _take_up(self, policy: str | None) -> bool:
        """Bring another policy into force, or further on its way. False if that was too much for one drain."""
        self._work.follow(policy or self._engine.policy.version)
        # It does not wait for other work: events are judged by it from this very drain on.
        return not self._work.must_tick or self._work.tick(self.now_ms)

    def _drain(self, inbox: Inbox) -> None:
        self._await_ticks(inbox.feeds)
        if not self._take_up(inbox.policy):
            return
        runs = [self._run(topic, inbox) for topic in SOURCES]
        for timestamp, _, _, topic, record, event in merge(*runs, key=_merge_key):
            moment = timestamp if inbox.latest_ms is None else min(timestamp, inbox.latest_ms)
            if record is None or not self._advance(self._grid(moment)):
                return
            self._work.take(topic, record, event)
        if inbox.horizon_ms is not None:
            self._settle_time(inbox.horizon_ms)

    def _settle_time(self, horizon_ms: int) -> bool:
        """Everything is applied: time may go on. A clock of event time ends exactly at its horizon."""
        if not self._advance(self._grid(horizon_ms)):
            return False
        return self._settings.clock != "event" or self._advance(horizon_ms)

    def _run(self, topic: str, inbox: Inbox) -> Iterator[tuple[int, str, str, str, SourceRecord | None, Any]]:
        """The records of a topic, each decoded when it is reached; at the end of one that has more, a sign to stop."""
        start, stamp = self._work.position.offsets.get(topic, 0), 0
        for record in inbox.records.get(topic, ()):
            if record.offset >= start:
                stamp, event = record.timestamp, read(record.value)
                source, identity = (event.source, event.id) if isinstance(event, Event) else ("", "")
                yield stamp, source, identity, topic, record, event
        if topic in inbox.behind:
            yield -1, "", "", topic, None, None

    def _grid(self, moment_ms: int) -> int:
        return moment_ms - moment_ms % self._settings.step_ms

    # -- time -------------------------------------------------------------------------------------------------------

    def _advance(self, target_ms: int) -> bool:
        """Tick up to an instant, stopping where something is due. False if there was too much for one drain."""
        while self._work.position.unfinished or self.now_ms < target_ms:
            stop = self.now_ms if self._work.position.unfinished else self._next_stop(target_ms)
            while (at := self._heartbeats.next_ms()) is not None and at < stop:
                self._work.beat(self._heartbeats.take())
            if not self._work.tick(stop):
                return False
        return True

    def _next_stop(self, target_ms: int) -> int:
        """The next instant of the grid at which a wake-up, a heartbeat or a stale source is due, at most the target."""
        if not self.now_ms:
            return target_ms
        beat = self._heartbeats.next_ms()
        due = [*self._work.next_due_ms(), None if beat is None else beat + 1]
        first = min((at for at in due if at is not None), default=target_ms)
        return min(target_ms, self._grid(max(first, self.now_ms + 1) + self._settings.step_ms - 1))

    # -- repeating --------------------------------------------------------------------------------------------------

    def repeat(
        self, steps: Sequence[list[Any]], fetch: Callable[[str, int, int], Sequence[SourceRecord]]
    ) -> Effects | None:
        """Do again what an order record says, with the records that `fetch(topic, first, next)` gives."""
        return self._without_poison(self._repeat, steps, fetch)

    def _repeat(self, steps: Sequence[list[Any]], fetch: Callable[[str, int, int], Sequence[SourceRecord]]) -> None:
        for step in steps:
            if step[0] == TICK:
                self._work.tick(step[1], step[2])
                continue
            for record in fetch(step[1], step[2], step[3]):
                if step[1] == Topic.FEEDS:
                    self._work.beat(record)
                else:
                    self._work.take(step[1], record, read(record.value))


class _Queue:
    """Records that wait for a tick, taken from the front of a sequence that is not copied."""

    def __init__(self, records: Sequence[SourceRecord], first: int) -> None:
        self._records = records
        self._first = first

    def next_ms(self) -> int | None:
        """The timestamp of the next one, None if there is none."""
        return self._records[self._first].timestamp if self._first < len(self._records) else None

    def take(self) -> SourceRecord:
        """The next one."""
        self._first += 1
        return self._records[self._first - 1]


def _offset(record: SourceRecord) -> int:
    return record.offset


def _merge_key(entry: tuple[int, str, str, str, SourceRecord | None, Any]) -> tuple[int, str, str]:
    return entry[0], entry[1], entry[2]
