"""A lane of the second hop: one partition of `cohorts` and `links`, judged a day at a time. Pure.

What is told of a day waits until every borrower lane has passed that day on both topics. So nothing depends on how the
records of different lanes lie between each other, and neither does it on how many partitions there are.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from schemas.alerts import Mode
from schemas.codec import InvalidEvent, encode
from schemas.portfolio import DayPassed, decode_cohort, decode_link
from schemas.topics import ALERTS, COHORTS, LINKS, partition_of
from streams.engine.calendar import DAY_MS, day_of
from streams.engine.drain import LANE_KEY, DeadLetter, Effects, Outbound
from streams.engine.portfolio.cohort import Cohort, Kept
from streams.engine.portfolio.figures import shown
from streams.engine.portfolio.judging import Close, judge_cohort, judge_link
from streams.engine.portfolio.link import Link
from streams.engine.position import ORDER_VERSION, TICK

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping, Sequence

    from schemas.alerts import Alert
    from schemas.portfolio import Told
    from streams.engine.drain import CohortFigures, Inbox, SourceRecord
    from streams.engine.portfolio.judging import Rules
    from streams.engine.position import LaneSettings

SOURCES = (COHORTS, LINKS)
JUDGED_MAX = 5_000
"""Cohorts and links that one drain judges. A day with more goes on in the next drain."""
_DECODE: dict[str, Callable[[bytes | None], Told]] = {COHORTS: decode_cohort, LINKS: decode_link}
_PREFIX = {COHORTS: b"c:", LINKS: b"l:"}
_KINDS: dict[bytes, type[Cohort | Link]] = {b"c:": Cohort, b"l:": Link}


class Position(msgspec.Struct, array_like=True):
    """The position record of a lane: how far its topics are applied, and which days have passed."""

    version: int = 1
    offsets: dict[str, int] = {}
    passed: dict[str, dict[int, int]] = {}
    """By topic and borrower lane, the last day that this lane has passed."""
    first: int | None = None
    """The first day of which anything was told."""
    closed: int | None = None
    """The last day that was judged."""
    closing: int | None = None
    """The day that is being judged, where one drain was not enough for it."""
    after: bytes = b""
    """The last cohort or link of that day that was judged."""


class PortfolioLane:
    """See `streams.engine.drain.LaneLogic` for who calls what when."""

    def __init__(
        self,
        rules: Rules,
        settings: LaneSettings,
        states: MutableMapping[bytes, bytes],
        rules_of: Callable[[str], Rules | None] = lambda _: None,
    ) -> None:
        """`rules_of` gives the rules of the other policies that there are, by version."""
        self._base = self._rules = rules
        self._rules_of = rules_of
        self._settings = settings
        self._states = states
        kept = states.get(LANE_KEY)
        self._position = Position() if kept is None else msgspec.msgpack.decode(kept, type=Position)
        self._lively: set[bytes] = set()
        self._waiting: dict[int, set[bytes]] = {}
        for key, value in states.items():
            if key != LANE_KEY:
                self._index(key, msgspec.msgpack.decode(value, type=Kept))
        self._begin()

    def _index(self, key: bytes, kept: Kept | Cohort | Link) -> None:
        (self._lively.add if kept.lively else self._lively.discard)(key)
        for day in kept.pending:
            self._waiting.setdefault(day, set()).add(key)

    def _begin(self) -> None:
        self._touched: dict[bytes, Cohort | Link] = {}
        self._steps: list[list[Any]] = []
        self._room = JUDGED_MAX
        self._counts: Counter[tuple[str, ...]] = Counter()
        self._effects = Effects(counts=self._counts)

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic."""
        return self._position.offsets

    @property
    def now_ms(self) -> int:
        """The end of the last day that was judged."""
        return 0 if self._position.closed is None else (self._position.closed + 1) * DAY_MS

    def due_ms(self) -> int | None:
        """Nothing waits for a time here: days pass by records."""
        return None

    def held(self) -> int:
        """None: the same."""
        return 0

    def figures(self) -> Sequence[CohortFigures]:
        """The largest of this lane's cohorts that may be shown to anybody."""
        cohorts = ((key, value) for key, value in self._states.items() if key.startswith(_PREFIX[COHORTS]))
        return shown((key[2:].decode(), value) for key, value in cohorts)

    def committed(self, effects: Effects) -> None:
        """Take committed effects into the states."""
        for key, value in effects.states.items():
            if value is None:
                self._states.pop(key, None)
            else:
                self._states[key] = value
        self._begin()

    def drain(self, inbox: Inbox) -> Effects | None:
        """Take up what is there, and judge the days that all lanes have passed."""
        for topic in SOURCES:
            start = self._position.offsets.get(topic, 0)
            for record in inbox.records.get(topic, ()):
                if record.offset >= start:
                    self._take(topic, record)
        self._go_by(inbox.policy)
        while self._room > 0 and (day := self._next_day()) is not None:
            self._close(day)
        return self._finish()

    def _go_by(self, version: str | None) -> None:
        """The policy of the days that are judged next: the one in force, as far as it is known."""
        rules = self._base if version in {None, self._base.version} else self._rules_of(str(version))
        self._rules = rules or self._rules

    def repeat(
        self, steps: Sequence[list[Any]], fetch: Callable[[str, int, int], Sequence[SourceRecord]]
    ) -> Effects | None:
        """Do again what an order record says, with the records that `fetch(topic, first, next)` gives."""
        for step in steps:
            if step[0] == TICK:
                self._go_by(step[2])
                self._close(step[1] // DAY_MS - 1)
            else:
                for record in fetch(step[1], step[2], step[3]):
                    self._take(step[1], record)
        return self._finish()

    # -- records ----------------------------------------------------------------------------------------------------

    def _take(self, topic: str, record: SourceRecord) -> None:
        self._note_run(topic, record.offset)
        try:
            told = _DECODE[topic](record.value)
        except InvalidEvent as error:
            self._reject(topic, record, error)
            return
        self._counts["event", topic, "applied"] += 1
        day = day_of(told.day)
        if isinstance(told, DayPassed):
            lanes = self._position.passed.setdefault(topic, {})
            lanes[told.lane] = max(day, lanes.get(told.lane, day))
            return
        position = self._position
        if position.closed is not None:
            day = max(day, position.closed + 1)
        position.first = day if position.first is None else min(position.first, day)
        self._keep(topic, day, told)

    def _keep(self, topic: str, day: int, told: Told) -> None:
        key = _PREFIX[topic] + (told.link if topic == LINKS else told.cohort).encode()  # type: ignore[union-attr]
        kept = self._state(key)
        if isinstance(kept, Cohort):
            kept.add(day, told.outstanding_minor, told.loans)  # type: ignore[union-attr]
        else:
            kept.add(day, told.borrower, told.bucket)  # type: ignore[union-attr]
        self._waiting.setdefault(day, set()).add(key)

    def _state(self, key: bytes) -> Any:
        kept = self._touched.get(key)
        if kept is None:
            kind, value = _KINDS[key[:2]], self._states.get(key)
            kept = self._touched[key] = kind() if value is None else msgspec.msgpack.decode(value, type=kind)
        return kept

    def _note_run(self, topic: str, offset: int) -> None:
        last = self._steps[-1] if self._steps else None
        if last is not None and last[1] == topic:
            last[3] = offset + 1
        else:
            self._steps.append(["run", topic, offset, offset + 1])
        self._position.offsets[topic] = offset + 1

    def _reject(self, topic: str, record: SourceRecord, error: InvalidEvent) -> None:
        headers = {
            "reason": error.reason.value, "detail": error.detail[:500], "topic": topic,
            "partition": self._settings.partition, "offset": record.offset, "timestamp": record.timestamp,
        }  # fmt: skip
        letter = DeadLetter(record.key, record.value, [(name, str(x).encode()) for name, x in headers.items()])
        self._effects.dead_letters.append(letter)
        self._counts["dead_letter", error.reason.value] += 1
        self._counts["event", topic, "dead_letter"] += 1

    # -- days -------------------------------------------------------------------------------------------------------

    def _next_day(self) -> int | None:
        """The day to judge next, or None while a lane has not passed it."""
        position, lanes = self._position, self._settings.partitions
        if position.closing is not None:
            return position.closing
        passed = [position.passed.get(topic, {}) for topic in SOURCES]
        if any(len(of_lanes) < lanes for of_lanes in passed):
            return None
        complete = min(min(of_lanes.values()) for of_lanes in passed)
        if position.closed is not None:
            return position.closed + 1 if position.closed < complete else None
        return complete if position.first is None else min(position.first, complete)

    def _close(self, day: int) -> None:
        """Judge a day, or as much of it as there is room for in this drain."""
        self._steps.append([TICK, (day + 1) * DAY_MS, self._rules.version])
        self._counts[TICK,] += 1
        position, close = self._position, Close(day, self._mode((day + 1) * DAY_MS))
        waiting = [told for at, told in self._waiting.items() if at <= day]
        left = sorted(key for key in self._lively.union(*waiting) if key > position.after)
        for key in left[: self._room]:
            self._judge(key, close)
            for told in waiting:
                told.discard(key)
        if len(left) > self._room:
            position.closing, position.after = day, left[self._room - 1]
        else:
            position.closed, position.closing, position.after = day, None, b""
            self._waiting = {at: told for at, told in self._waiting.items() if told}
        self._room -= len(left)

    def _judge(self, key: bytes, close: Close) -> None:
        kept, name = self._state(key), key[2:].decode()
        judge = judge_cohort if isinstance(kept, Cohort) else judge_link
        for alert in judge(self._rules, name, kept, close):
            self._emit(alert)
        (self._lively.add if kept.lively else self._lively.discard)(key)

    def _emit(self, alert: Alert) -> None:
        data, key = alert.data, alert.subject.encode()
        partition = partition_of(key, self._settings.partitions)
        self._effects.outbound.append(Outbound(ALERTS, partition, key, encode(alert)))
        self._counts["alert", data.detector, data.severity.value, data.status.value, data.mode.value] += 1

    def _mode(self, now_ms: int) -> Mode:
        live_from = self._settings.live_from_ms
        return Mode.HISTORY if live_from is not None and now_ms < live_from else Mode.LIVE

    def _finish(self) -> Effects | None:
        if not self._steps:
            return None
        effects = self._effects
        for key, kept in self._touched.items():
            value = None if kept.is_empty else msgspec.msgpack.encode(kept)
            if value != self._states.get(key):
                effects.states[key] = value
        effects.states[LANE_KEY] = msgspec.msgpack.encode(self._position)
        offsets = self._position.offsets
        effects.positions = {step[1]: offsets[step[1]] for step in self._steps if step[0] == "run"}
        effects.order = orjson.dumps({"v": ORDER_VERSION, "lane": self._settings._asdict(), "steps": self._steps})
        effects.now_ms, effects.policy = self.now_ms, self._rules.version
        return effects
