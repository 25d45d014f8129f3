"""What a lane does: it applies one record, one heartbeat or one tick, and gathers the effects of a drain. Pure.

In which order it does so is the lane's business.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from schemas import events
from schemas.alerts import Alert, Mode
from schemas.codec import InvalidEvent, Reason, decode, encode
from schemas.events import Topic
from schemas.topics import partition_of
from streams.engine.borrower import Borrower, restore, snapshot, wakeups_of
from streams.engine.calendar import DAY_MS, ms_of
from streams.engine.change import SWEEP_MAX, Roll, Sweep, changed, next_full_ms, tell, warm_up
from streams.engine.drain import LANE_KEY, DeadLetter, Effects, SourceRecord
from streams.engine.engine import Origin, Outcome
from streams.engine.feeds import Feeds
from streams.engine.limits import Tally
from streams.engine.portfolio.contributions import NOTHING
from streams.engine.portfolio.telling import Telling, passed_day
from streams.engine.position import ORDER_VERSION, STATE, TICK, Fact, LaneSettings, Poison, Position, Refused
from streams.engine.wakeups import Wakeups

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.engine.engine import Engine

    Engines = Callable[[str], Engine | None]
    """The engine of a version of the policy, None if it is not known."""

WAKEUPS_MAX = 5_000
"""Wake-ups of one drain. A tick with more goes on in the next drain."""
AT_HAND_MAX = 2_000
"""Borrowers whose states are kept readable from one drain to the next."""
STATE_BYTES_MAX = 900_000
"""The largest state of a borrower: it must fit a record. Events of a drain that would exceed it are dead letters."""


class Work:
    """The borrowers, sources and wake-ups of a lane from the kept states on, and what a drain has changed so far.

    `poison` says on what our own code has failed before, by `Poison.at`.
    """

    def __init__(
        self,
        engine: Engine,
        settings: LaneSettings,
        states: Mapping[bytes, bytes],
        poison: Mapping[tuple[object, ...], str],
        engines: Engines,
        *,
        limited: bool = True,
    ) -> None:
        self.limited = limited
        self._settings = settings
        self._states = states
        self._poison = poison
        kept = states.get(LANE_KEY)
        self.position = Position() if kept is None else msgspec.msgpack.decode(kept, type=Position)
        self._engines = engines
        self._use(engines(self.position.policy) or engine)
        self._wanted = engine.policy.version
        self._roll: Roll | None = None
        kept_wakeups = ((token, wakeups_of(value)) for token, value in states.items() if token != LANE_KEY)
        self.wakeups = Wakeups(kept_wakeups, lambda source: self.feeds.through(source))  # noqa: PLW0108 - a policy replaces them
        self._touched: dict[bytes, Borrower] = {}
        self.begin()

    def begin(self) -> None:
        """A new drain: nothing has changed yet. Who was touched lately is kept at hand: to read a state costs more."""
        while len(self._touched) > AT_HAND_MAX:
            del self._touched[next(iter(self._touched))]
        self._dirty: dict[bytes, bool] = {}
        self._steps: list[list[Any]] = []
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._effects = Effects(counts=self._counts)
        self._telling = Telling(self._settings.partition, self._settings.partitions)
        self._passed = self._passed_day()

    def _passed_day(self) -> int:
        """The last day of which the second hop has been told everything."""
        return passed_day(self.now_ms, unfinished=self.position.unfinished)

    @property
    def now_ms(self) -> int:
        """The latest tick."""
        return self.position.now_ms

    def next_due_ms(self) -> list[int | None]:
        """When the next wake-up is due, a source becomes stale or is seen to be no longer, or a measure is full."""
        feeds_ms = self.feeds.next_change_ms(self._owned(), self.now_ms)
        return [self.wakeups.next_ms(self.now_ms), feeds_ms, next_full_ms(self.position.warming)]

    def finish(self) -> Effects | None:
        """The effects of this drain, or None if it did nothing."""
        if not self._steps:
            return None
        effects = self._effects
        for token, kept in self._dirty.items():
            effects.states[token] = self._snapshot(token) if kept else None
        effects.states[LANE_KEY] = msgspec.msgpack.encode(self.position)
        passed = self._passed_day()
        effects.outbound += self._telling.records(passed if passed > self._passed else None)
        effects.positions = {
            step[1]: self.position.offsets[step[1]]
            for step in self._steps
            if step[0] == "run" and step[1] != Topic.FEEDS
        }
        effects.order = orjson.dumps({"v": ORDER_VERSION, "lane": self._settings._asdict(), "steps": self._steps})
        effects.now_ms, effects.policy = self.now_ms, self.position.policy
        return effects

    def _snapshot(self, token: bytes) -> bytes:
        value = snapshot(self._touched[token])
        if len(value) > STATE_BYTES_MAX:
            raise Poison((STATE, token), OverflowError(f"{len(value)} bytes of state"))
        return value

    def take(self, topic: str, record: SourceRecord, event: Fact) -> None:
        """Apply one record of a source topic."""
        self._note_run(topic, record.offset)
        key = record.key or b""
        try:
            if isinstance(event, InvalidEvent):
                raise event
            self._check(topic, key, event, record.offset)
            outcome = self._on_event(topic, key, record, event)
        except InvalidEvent as error:
            self._reject(_refused(topic, record), error)
            self._tally(topic).bad(topic, self._settings.partition, limited=self.limited)
            self._counts["event", topic, "dead_letter"] += 1
        else:
            self.feeds.saw(event.source, record.timestamp)
            if (tally := self.position.tallies.get(topic)) is not None:
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
                event.subject, borrower, event, origin, now_ms=self.now_ms, through=self.feeds.through
            )
        except InvalidEvent:
            raise
        except Exception as cause:
            raise Poison((topic, record.offset), cause) from cause

    def _check(self, topic: str, key: bytes, event: events.Event, offset: int) -> None:
        if event.topic != topic:
            raise InvalidEvent(Reason.WRONG_TOPIC, f"belongs into {event.topic}")
        if key != event.subject.encode():
            raise InvalidEvent(Reason.WRONG_KEY, "the record's key is not the event's subject")
        settings = self._settings
        if key not in self._states and partition_of(key, settings.partitions) != settings.partition:
            raise InvalidEvent(Reason.WRONG_PARTITION, "the key belongs to another partition by murmur2")
        if self._poison:
            if (topic, offset) in self._poison:
                self._counts["crashed", "record"] += 1
                raise InvalidEvent(Reason.CRASHED, f"the engine failed on it: {self._poison[topic, offset]}")
            if (STATE, key) in self._poison:
                raise InvalidEvent(Reason.STATE_FULL, f"the borrower's state would exceed {STATE_BYTES_MAX} bytes")

    def _reject(self, refused: Refused, error: InvalidEvent) -> None:
        headers = {
            "reason": error.reason.value, "detail": error.detail[:500], "topic": refused.topic,
            "partition": self._settings.partition, "offset": refused.offset, "timestamp": refused.timestamp,
        }  # fmt: skip
        letter = DeadLetter(refused.key, refused.value, [(name, str(x).encode()) for name, x in headers.items()])
        self._effects.dead_letters.append(letter)
        self._counts["dead_letter", error.reason.value] += 1

    def _tally(self, topic: str) -> Tally:
        return self.position.tallies.setdefault(topic, Tally())

    def _note_run(self, topic: str, offset: int) -> None:
        last = self._steps[-1] if self._steps else None
        if last is not None and last[0] == "run" and last[1] == topic:
            last[3] = offset + 1
        else:
            self._steps.append(["run", topic, offset, offset + 1])
        self.position.offsets[topic] = offset + 1

    def _borrower(self, token: bytes) -> Borrower:
        borrower = self._touched.pop(token, None)
        if borrower is None:
            borrower = restore(self._states.get(token))
        self._touched[token] = borrower  # Last in line to be put away.
        return borrower

    def _settle(self, token: bytes, borrower: Borrower, outcome: Outcome) -> None:
        """Note what an outcome changed, and when its borrower wants to be woken."""
        for alert in outcome.alerts:
            self._emit(alert)
        for waiting, reason, detail in outcome.rejected:
            refused = Refused(token, waiting.value, waiting.topic, waiting.offset, waiting.timestamp)
            self._reject(refused, InvalidEvent(reason, detail))
        if outcome.told is not NOTHING:
            self._telling.add(self.now_ms, token.decode(), outcome.told)
        if outcome.forget:
            self._touched[token] = Borrower()
            self._dirty[token] = False
            self.wakeups.plan(token, {}, self.now_ms)
        elif outcome.changed:
            self._dirty[token] = True
            self.wakeups.plan(token, borrower.earliest(), self.now_ms)

    def _emit(self, alert: Alert) -> None:
        data = alert.data
        self._effects.alerts.append((alert.subject.encode(), encode(alert)))
        self._counts["alert", data.detector, data.severity.value, data.status.value, data.mode.value] += 1

    def tick(self, now_ms: int, version: str | None = None) -> bool:
        """Time comes to `now_ms`: wake who is due. False if some are left for another tick of the same time.

        It carries the version that is in force, or (a repeat) the one that is given. A tick at which time stands still
        takes a change of the policy further on its way, so that a drain with many ticks does not do so with each.
        """
        policy, stands = version or self._wanted, now_ms == self.now_ms
        self._change(policy, now_ms)
        self._steps.append([TICK, now_ms, policy])
        self._counts[TICK,] += 1
        self.position.now_ms = now_ms
        self.feeds.advance(now_ms)
        for alert in self.feeds.alerts(self._owned(), now_ms, policy, self._mode()):
            self._emit(alert)
        for alert in tell(self.position.warming, now_ms, policy, self._mode()):
            self._emit(alert)
        for woken, token in enumerate(self.wakeups.due(now_ms), start=1):
            self._wake(token, now_ms)
            if woken >= WAKEUPS_MAX:
                self.position.unfinished = True
                return False
        self.position.unfinished = False
        if stands:
            self._sweep(now_ms)
        return True

    def _wake(self, token: bytes, now_ms: int) -> None:
        """Judge one borrower by silence. One on which our own code fails is left as it was until its next event."""
        if (TICK, now_ms, token) in self._poison or (STATE, token) in self._poison:
            self._counts["crashed", TICK] += 1
            self.wakeups.plan(token, {}, now_ms)
            return
        borrower = self._borrower(token)
        try:
            outcome = self._engine.on_tick(token.decode(), borrower, now_ms, self.feeds.through)
        except Exception as cause:
            raise Poison((TICK, now_ms, token), cause) from cause
        self._counts["timer",] += 1
        self._settle(token, borrower, outcome)
        if not outcome.changed:
            self.wakeups.plan(token, borrower.earliest(), now_ms)

    # -- policies ---------------------------------------------------------------------------------------------------

    @property
    def must_tick(self) -> bool:
        """Whether a policy waits for a tick, to come into force or to reach more borrowers."""
        return bool(self.now_ms) and (self._wanted != self.position.policy or self.position.sweep is not None)

    def follow(self, version: str) -> None:
        """This version is in force: ticks carry it from now on. One that is not known changes nothing."""
        engine = self._engines(version)
        if engine is None:
            return
        self._wanted = version
        if not self.position.policy:  # There was no tick that another one could have carried.
            self._use(engine)

    def _use(self, engine: Engine) -> None:
        self._engine = engine
        self.feeds = Feeds(self.position.feeds, engine.policy.feeds, from_file=self._settings.clock == "event")

    def _change(self, version: str, now_ms: int) -> None:
        """Take up the policy of a tick if it is another one than that of the tick before."""
        position = self.position
        if version == position.policy:
            return
        engine = self._engines(version)
        assert engine is not None, f"the policy {version} is not known"
        if position.policy:
            old = self._engines(position.policy)
            keys = changed(old, engine) | set(position.sweep.keys if position.sweep else ())
            position.sweep = Sweep(sorted(keys)) if keys else None
            if old is not None and self._settings.partition == 0:
                warm_up(position.warming, old, engine, now_ms)
        position.policy = version
        self._use(engine)

    def _sweep(self, now_ms: int) -> None:
        """Judge the next borrowers anew by the detectors that a change of the policy concerns."""
        sweep = self.position.sweep
        if sweep is None:
            return
        if self._roll is None:
            self._roll = Roll(self._states)
        tokens = self._roll.after(sweep.after, SWEEP_MAX)
        for token in tokens:
            self._judge_anew(token, now_ms, sweep.keys)
            sweep.after = token
        if len(tokens) < SWEEP_MAX:
            self.position.sweep = self._roll = None

    def _judge_anew(self, token: bytes, now_ms: int, keys: list[str]) -> None:
        if self._dirty.get(token) is False:
            return  # Forgotten in this drain.
        if (TICK, now_ms, token) in self._poison or (STATE, token) in self._poison:
            self._counts["crashed", TICK] += 1
            return
        borrower = self._borrower(token)
        try:
            outcome = self._engine.on_policy(token.decode(), borrower, keys, now_ms, self.feeds.through)
        except Exception as cause:
            raise Poison((TICK, now_ms, token), cause) from cause
        self._counts["judged_anew",] += 1
        if outcome.alerts or token in self._dirty or snapshot(borrower) != self._states[token]:
            self._settle(token, borrower, outcome)

    def took(self, states: Mapping[bytes, bytes | None]) -> None:
        """These states are committed: a change on its way finds the borrowers that came, and not those that went."""
        if self._roll is not None:
            self._roll.took(states)

    def _mode(self) -> Mode:
        live_from = self._settings.live_from_ms
        return Mode.HISTORY if live_from is not None and self.now_ms < live_from else Mode.LIVE

    def _owned(self) -> list[str]:
        """The sources of which this lane tells whether they are stale: each is told by one lane."""
        count, own = self._settings.partitions, self._settings.partition
        return sorted(s for s in self.feeds.known if partition_of(s.encode(), count) == own)

    def beat(self, record: SourceRecord) -> None:
        """Take up one heartbeat. A broken one is a dead letter of lane 0, since every lane reads it."""
        self._note_run(Topic.FEEDS, record.offset)
        event = read(record.value)
        if isinstance(event, events.FeedHeartbeat):
            ahead = ms_of(event.data.complete_through) - max(self.now_ms, record.timestamp)
            if ahead <= self._engine.policy.limits.future_days * DAY_MS:
                self.feeds.beat(event.data.source, ms_of(event.data.complete_through))
                return
            event = InvalidEvent(Reason.FUTURE_DATED, "complete_through is in the future")
        error = event if isinstance(event, InvalidEvent) else InvalidEvent(Reason.WRONG_TOPIC, "not a heartbeat")
        if self._settings.partition == 0:
            self._reject(_refused(Topic.FEEDS, record), error)


def read(value: bytes | None) -> Fact:
    """The event of a record's bytes, or what is wrong with it."""
    try:
        return decode(value)
    except InvalidEvent as error:
        return error


def _refused(topic: str, record: SourceRecord) -> Refused:
    return Refused(record.key, record.value, topic, record.offset, record.timestamp)


def _word(outcome: Outcome) -> str:
    if not outcome.changed:
        return "erased" if outcome.erased else "duplicate"
    if outcome.waits:
        return "waiting"
    return "late" if outcome.late else "applied"
