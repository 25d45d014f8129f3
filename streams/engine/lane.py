"""A lane: one partition number of all source topics, its borrowers, its time and its order. Pure.

The owner of a lane decides once in which order its sources and ticks are applied, and writes that down; repeating the
order gives the same alerts byte for byte. Of the sources that have records the lowest record timestamp goes first (then
source and id); a source that is known to have more is waited for. A tick comes before the first record of its time.
"""

from __future__ import annotations

from collections import Counter, deque
from heapq import merge
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from schemas import events
from schemas.alerts import Alert, Mode
from schemas.codec import InvalidEvent, Reason, decode, encode
from schemas.events import Topic
from schemas.topics import SOURCES, partition_of
from streams.engine.borrower import Borrower, Waiting, restore, snapshot, wakeups_of
from streams.engine.calendar import DAY_MS, ms_of
from streams.engine.drain import LANE_KEY, DeadLetter, Effects, Inbox, SourceRecord
from streams.engine.engine import Engine, Origin, Outcome
from streams.engine.feeds import Feed, Feeds
from streams.engine.limits import Tally
from streams.engine.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence

WAKEUPS_MAX = 5_000
"""Wake-ups of one drain. A tick with more goes on in the next drain."""
ORDER_VERSION = 1
TICK = "tick"
Fact = events.Event | InvalidEvent
"""An event, or what is wrong with the bytes that should have been one."""


class LaneSettings(NamedTuple):
    """What decides a lane's order and time. It stands in every order record, so that a repeat needs nothing else."""

    partition: int
    partitions: int
    clock: str = "wall"
    step_ms: int = 60_000
    live_from_ms: int | None = None


class Position(msgspec.Struct, array_like=True):
    """The position record: state and positions cannot part, since they are committed together."""

    version: int = 1
    offsets: dict[str, int] = {}
    now_ms: int = 0
    feeds: dict[str, Feed] = {}
    tallies: dict[str, Tally] = {}
    unfinished: bool = False
    """Whether the tick of `now_ms` had more to wake than one drain may: the next drain goes on with it."""


class _Poison(Exception):  # noqa: N818 - it names the record, not a failure to report
    def __init__(self, at: tuple[object, ...], cause: Exception) -> None:
        super().__init__(f"{at}: {cause!r}")
        self.at = at
        self.cause = cause


class Lane:
    """The state and the order of one lane. See `streams.engine.drain.LaneLogic` for who calls what when."""

    def __init__(self, engine: Engine, settings: LaneSettings, states: MutableMapping[bytes, bytes]) -> None:
        self._engine = engine
        self._settings = settings
        self._states = states
        self._poison: dict[tuple[object, ...], str] = {}
        self._load()

    # -- what is kept -----------------------------------------------------------------------------------------------

    def _load(self) -> None:
        """Start from what is committed."""
        kept = self._states.get(LANE_KEY)
        self._position = Position() if kept is None else msgspec.msgpack.decode(kept, type=Position)
        policy = self._engine.policy
        self._feeds = Feeds(self._position.feeds, policy.feeds, from_file=self._settings.clock == "event")
        kept_wakeups = ((token, wakeups_of(value)) for token, value in self._states.items() if token != LANE_KEY)
        self._wakeups = Wakeups(kept_wakeups, self._feeds.through)
        self._heartbeats: deque[SourceRecord] = deque()
        self._begin()

    def _begin(self) -> None:
        self._touched: dict[bytes, Borrower] = {}
        self._dirty: dict[bytes, bool] = {}
        self._steps: list[list[Any]] = []
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._effects = Effects(counts=self._counts)

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic that was ever applied."""
        return self._position.offsets

    @property
    def now_ms(self) -> int:
        """The latest tick."""
        return self._position.now_ms

    def due_ms(self) -> int | None:
        """When the next wake-up is due."""
        return self._wakeups.next_ms()

    def committed(self, effects: Effects) -> None:
        """Take committed effects into the states."""
        for key, value in effects.states.items():
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        self._begin()

    # -- one drain --------------------------------------------------------------------------------------------------

    def drain(self, inbox: Inbox) -> Effects | None:
        """Apply what may be applied. A record on which our own code fails is a dead letter; then all is done again."""
        return self._without_poison(self._drain, inbox)

    def play(
        self, batch: Sequence[tuple[str, SourceRecord, Fact]], feeds: Sequence[SourceRecord], until_ms: int | None
    ) -> Effects | None:
        """Apply records that are in order already (a file), and let time come to `until_ms` if that is given."""
        return self._without_poison(self._play, batch, feeds, until_ms)

    def _without_poison(self, apply: Callable[..., None], *args: Any) -> Effects | None:
        while True:
            try:
                apply(*args)
            except _Poison as poison:
                self._poison[poison.at] = type(poison.cause).__name__
                self._load()
            else:
                return self._finish()

    def _play(
        self, batch: Sequence[tuple[str, SourceRecord, Fact]], feeds: Sequence[SourceRecord], until_ms: int | None
    ) -> None:
        self._await_ticks(feeds)
        for topic, record, event in batch:
            while not self._advance(self._grid(record.timestamp)):
                pass
            self._take(topic, record, event)
        while until_ms is not None and not self._settle_time(until_ms):
            pass

    def _await_ticks(self, feeds: Sequence[SourceRecord]) -> None:
        """Heartbeats are taken up with the first tick after them."""
        start = self._position.offsets.get(Topic.FEEDS, 0)
        self._heartbeats = deque(record for record in feeds if record.offset >= start)

    def _drain(self, inbox: Inbox) -> None:
        self._await_ticks(inbox.feeds)
        runs = [self._run(topic, inbox) for topic in SOURCES]
        for timestamp, _, _, topic, record, event in merge(*runs, key=_merge_key):
            if record is None or not self._advance(self._grid(timestamp)):
                return
            self._take(topic, record, event)
        if inbox.horizon_ms is not None:
            self._settle_time(inbox.horizon_ms)

    def _settle_time(self, horizon_ms: int) -> bool:
        """Everything is applied: time may go on. A clock of event time ends exactly at its horizon."""
        if not self._advance(self._grid(horizon_ms)):
            return False
        return self._settings.clock != "event" or self._advance(horizon_ms)

    def _run(self, topic: str, inbox: Inbox) -> Iterator[tuple[int, str, str, str, SourceRecord | None, Any]]:
        """The records of a topic, each decoded when it is reached; at the end of one that has more, a sign to stop."""
        start, stamp = self._position.offsets.get(topic, 0), 0
        for record in inbox.records.get(topic, ()):
            if record.offset >= start:
                stamp, event = record.timestamp, read(record.value)
                source, identity = (event.source, event.id) if isinstance(event, events.Event) else ("", "")
                yield stamp, source, identity, topic, record, event
        if topic in inbox.behind:
            yield -1, "", "", topic, None, None

    def _grid(self, moment_ms: int) -> int:
        return moment_ms - moment_ms % self._settings.step_ms

    def _finish(self) -> Effects | None:
        if not self._steps:
            return None
        effects = self._effects
        for token, borrower in self._touched.items():
            if token in self._dirty:
                effects.states[token] = snapshot(borrower) if self._dirty[token] else None
        effects.states[LANE_KEY] = msgspec.msgpack.encode(self._position)
        effects.positions = {
            step[1]: self._position.offsets[step[1]]
            for step in self._steps
            if step[0] == "run" and step[1] != Topic.FEEDS
        }
        effects.order = orjson.dumps({"v": ORDER_VERSION, "lane": self._settings._asdict(), "steps": self._steps})
        effects.now_ms = self.now_ms
        return effects

    # -- records ----------------------------------------------------------------------------------------------------

    def _take(self, topic: str, record: SourceRecord, event: Fact) -> None:
        """Apply one record of a source topic."""
        self._note_run(topic, record.offset)
        key = record.key or b""
        try:
            if isinstance(event, InvalidEvent):
                raise event
            self._check(topic, key, event, record.offset)
            outcome = self._on_event(topic, key, record, event)
        except InvalidEvent as error:
            self._reject(record.key, record.value, error.reason, error.detail, topic, record.offset, record.timestamp)
            self._tally(topic).bad(topic, self._settings.partition)
            self._counts["event", topic, "dead_letter"] += 1
        else:
            self._feeds.saw(event.source, record.timestamp)
            if (tally := self._position.tallies.get(topic)) is not None:
                tally.good()
            if outcome.changed and (behind_ms := self._touched[key].last_ms - ms_of(event.time)) > 0:
                self._effects.lateness_ms.append(behind_ms)
            self._settle(key, self._touched[key], outcome)
            self._counts["event", topic, _word(outcome)] += 1

    def _on_event(self, topic: str, key: bytes, record: SourceRecord, event: events.Event) -> Outcome:
        borrower = self._borrower(key)
        origin = Origin(topic, record.offset, record.timestamp, record.value or b"")
        try:
            return self._engine.on_event(
                event.subject, borrower, event, origin, now_ms=self.now_ms, through=self._feeds.through
            )
        except InvalidEvent:
            raise
        except Exception as cause:
            raise _Poison((topic, record.offset), cause) from cause

    def _check(self, topic: str, key: bytes, event: events.Event, offset: int) -> None:
        if event.topic != topic:
            raise InvalidEvent(Reason.WRONG_TOPIC, f"belongs into {event.topic}")
        if key != event.subject.encode():
            raise InvalidEvent(Reason.WRONG_KEY, "the record's key is not the event's subject")
        settings = self._settings
        if key not in self._states and partition_of(key, settings.partitions) != settings.partition:
            raise InvalidEvent(Reason.WRONG_PARTITION, "the key belongs to another partition by murmur2")
        if (topic, offset) in self._poison:
            raise InvalidEvent(Reason.CRASHED, f"the engine failed on it: {self._poison[topic, offset]}")

    def _reject(
        self,
        key: bytes | None,
        value: bytes | None,
        reason: Reason,
        detail: str,
        topic: str,
        offset: int,
        timestamp: int,
    ) -> None:
        where = {"reason": reason.value, "detail": detail[:500], "topic": topic, "partition": self._settings.partition}
        headers = {**where, "offset": offset, "timestamp": timestamp}
        self._effects.dead_letters.append(DeadLetter(key, value, [(k, str(v).encode()) for k, v in headers.items()]))
        self._counts["dead_letter", reason.value] += 1

    def _tally(self, topic: str) -> Tally:
        return self._position.tallies.setdefault(topic, Tally())

    def _note_run(self, topic: str, offset: int) -> None:
        last = self._steps[-1] if self._steps else None
        if last is not None and last[0] == "run" and last[1] == topic:
            last[3] = offset + 1
        else:
            self._steps.append(["run", topic, offset, offset + 1])
        self._position.offsets[topic] = offset + 1

    # -- borrowers --------------------------------------------------------------------------------------------------

    def _borrower(self, token: bytes) -> Borrower:
        borrower = self._touched.get(token)
        if borrower is None:
            borrower = self._touched[token] = restore(self._states.get(token))
        return borrower

    def _settle(self, token: bytes, borrower: Borrower, outcome: Outcome) -> None:
        """Note what an outcome changed, and when its borrower wants to be woken."""
        for alert in outcome.alerts:
            self._emit(alert)
        for waiting, reason, detail in outcome.rejected:
            self._reject_waiting(token, waiting, reason, detail)
        if outcome.forget:
            self._touched[token] = Borrower()
            self._dirty[token] = False
            self._wakeups.plan(token, {}, self.now_ms)
        elif outcome.changed:
            self._dirty[token] = True
            self._wakeups.plan(token, borrower.earliest(), self.now_ms)

    def _reject_waiting(self, token: bytes, waiting: Waiting, reason: Reason, detail: str) -> None:
        self._reject(token, waiting.value, reason, detail, waiting.topic, waiting.offset, waiting.timestamp)

    def _emit(self, alert: Alert) -> None:
        data = alert.data
        self._effects.alerts.append((alert.subject.encode(), encode(alert)))
        self._counts["alert", data.detector, data.severity.value, data.status.value, data.mode.value] += 1

    # -- time -------------------------------------------------------------------------------------------------------

    def _advance(self, target_ms: int) -> bool:
        """Tick up to an instant, stopping where something is due. False if there was too much for one drain."""
        while self._position.unfinished or self.now_ms < target_ms:
            stop = self.now_ms if self._position.unfinished else self._next_stop(target_ms)
            while self._heartbeats and self._heartbeats[0].timestamp < stop:
                self._take_heartbeat(self._heartbeats.popleft())
            if not self._tick(stop):
                return False
        return True

    def _next_stop(self, target_ms: int) -> int:
        """The next instant of the grid at which a wake-up, a heartbeat or a stale source is due, at most the target."""
        if not self.now_ms:
            return target_ms
        due = [self._wakeups.next_ms(), self._feeds.next_stale_ms(self._owned())]
        due.append(self._heartbeats[0].timestamp + 1 if self._heartbeats else None)
        first = min((at for at in due if at is not None), default=target_ms)
        return min(target_ms, self._grid(max(first, self.now_ms + 1) + self._settings.step_ms - 1))

    def _tick(self, now_ms: int) -> bool:
        """Time comes to `now_ms`: wake who is due. False if some are left for another tick of the same time."""
        policy = self._engine.policy.version
        self._steps.append([TICK, now_ms, policy])
        self._counts[TICK,] += 1
        self._position.now_ms = now_ms
        self._feeds.advance(now_ms)
        for alert in self._feeds.alerts(self._owned(), now_ms, policy, self._mode()):
            self._emit(alert)
        for woken, token in enumerate(self._wakeups.due(now_ms), start=1):
            self._wake(token, now_ms)
            if woken >= WAKEUPS_MAX:
                self._position.unfinished = True
                return False
        self._position.unfinished = False
        return True

    def _wake(self, token: bytes, now_ms: int) -> None:
        """Judge one borrower by silence. One on which our own code fails is left as it was until its next event."""
        if (TICK, now_ms, token) in self._poison:
            self._counts["crashed", TICK] += 1
            self._wakeups.plan(token, {}, now_ms)
            return
        borrower = self._borrower(token)
        try:
            outcome = self._engine.on_tick(token.decode(), borrower, now_ms, self._feeds.through)
        except Exception as cause:
            raise _Poison((TICK, now_ms, token), cause) from cause
        self._counts["timer",] += 1
        self._settle(token, borrower, outcome)
        if not outcome.changed:
            self._wakeups.plan(token, borrower.earliest(), now_ms)

    def _mode(self) -> Mode:
        live_from = self._settings.live_from_ms
        return Mode.HISTORY if live_from is not None and self.now_ms < live_from else Mode.LIVE

    def _owned(self) -> list[str]:
        """The sources of which this lane tells whether they are stale: each is told by one lane."""
        count, own = self._settings.partitions, self._settings.partition
        return sorted(s for s in self._feeds.known if partition_of(s.encode(), count) == own)

    def _take_heartbeat(self, record: SourceRecord) -> None:
        """Take up one heartbeat. A broken one is a dead letter of lane 0, since every lane reads it."""
        self._note_run(Topic.FEEDS, record.offset)
        event = read(record.value)
        if isinstance(event, events.FeedHeartbeat):
            ahead = ms_of(event.data.complete_through) - max(self.now_ms, record.timestamp)
            if ahead <= self._engine.policy.limits.future_days * DAY_MS:
                self._feeds.beat(event.data.source, ms_of(event.data.complete_through))
                return
            event = InvalidEvent(Reason.FUTURE_DATED, "complete_through is in the future")
        error = event if isinstance(event, InvalidEvent) else InvalidEvent(Reason.WRONG_TOPIC, "not a heartbeat")
        if self._settings.partition == 0:
            self._reject(
                record.key, record.value, error.reason, error.detail, Topic.FEEDS, record.offset, record.timestamp
            )

    # -- repeating --------------------------------------------------------------------------------------------------

    def repeat(
        self, steps: Sequence[list[Any]], fetch: Callable[[str, int, int], Sequence[SourceRecord]]
    ) -> Effects | None:
        """Do again what an order record says, with the records that `fetch(topic, first, next)` gives."""
        return self._without_poison(self._repeat, steps, fetch)

    def _repeat(self, steps: Sequence[list[Any]], fetch: Callable[[str, int, int], Sequence[SourceRecord]]) -> None:
        for step in steps:
            if step[0] == TICK:
                self._tick(step[1])
                continue
            for record in fetch(step[1], step[2], step[3]):
                if step[1] == Topic.FEEDS:
                    self._take_heartbeat(record)
                else:
                    self._take(step[1], record, read(record.value))


def read(value: bytes | None) -> Fact:
    """The event of a record's bytes, or what is wrong with it."""
    try:
        return decode(value)
    except InvalidEvent as error:
        return error


def _merge_key(entry: tuple[int, str, str, str, SourceRecord | None, Any]) -> tuple[int, str, str]:
    return entry[0], entry[1], entry[2]


def _word(outcome: Outcome) -> str:
    if not outcome.changed:
        return "duplicate"
    if outcome.waits:
        return "waiting"
    return "late" if outcome.late else "applied"
