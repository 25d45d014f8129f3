"""What must be true of the log when a run is over, found out from the log alone and the engine."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson

from schemas.events import Topic
from schemas.topics import ALERTS, COHORTS, DEAD_LETTERS, LINKS, ORDER, SOURCES, STATE
from streams.engine.drain import LANE_KEY
from streams.engine.position import Position
from streams.history.order import LaneRepeat, differing, partition_in, read_order

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.engine.drain import Effects
    from streams.history.order import EngineOf, OrderRecord
    from tests.simulation.log import Entry, Topics

ALL = (*map(str, SOURCES), str(Topic.FEEDS))


class Broken(Exception):  # noqa: N818 - it names what is found
    """Something that must be true is not."""

    def __init__(self, assertion: str, detail: str) -> None:
        super().__init__(f"{assertion}: {detail}")
        self.assertion = assertion
        self.detail = detail


def states_of(topics: Topics, lane: int) -> dict[bytes, bytes]:
    """The committed states of a lane."""
    states: dict[bytes, bytes] = {}
    for entry in topics[STATE, lane].visible():
        if entry.value is None:
            states.pop(entry.key or b"", None)
        else:
            states[entry.key or b""] = entry.value
    return states


def position_in(states: Mapping[bytes, bytes]) -> Position:
    """The position record among states."""
    kept = states.get(LANE_KEY)
    return Position() if kept is None else msgspec.msgpack.decode(kept, type=Position)


class Verdict:
    """Repeats the order of every lane and compares."""

    def __init__(self, topics: Topics, lanes: int, engine_of: EngineOf, group: Mapping[Any, int]) -> None:
        self._topics = topics
        self._lanes = lanes
        self._engine_of = engine_of
        self._group = group
        self.states: list[dict[bytes, bytes]] = []
        """The repeated states of each lane."""
        self.expired = False
        """Whether the group's offsets were lost on the way."""
        self.alerts = 0
        self.applied = 0
        self.letters = 0
        self.outbound: Counter[tuple[str, int, bytes | None, bytes | None]] = Counter()

    def reached(self) -> None:
        """Raises Broken if something is not as it must be."""
        for lane in range(self._lanes):
            self._judge(lane)
        self._compare_outbound()

    def _judge(self, lane: int) -> None:
        records = [read_order(entry.value) for entry in self._topics[ORDER, lane].visible()]
        self._covers(lane, records)
        repeat = LaneRepeat(self._engine_of)
        effects = [repeat.apply(record, lambda *run: self._fetch(lane, *run)) for record in records]
        self._same_order(lane, records, effects)
        self._same_alerts(lane, effects)
        self._same_letters(lane, effects)
        for one in effects:
            self.outbound.update((x.topic, x.partition, x.key, x.value) for x in one.outbound)
        self._same_states(lane, repeat.states)
        self.states.append(repeat.states)

    def _fetch(self, lane: int, topic: str, first: int, next_: int) -> Sequence[Entry]:
        partition = self._topics[topic, partition_in(topic, lane)]
        return partition.read(first, 1 << 60)[0][: self._count(partition, first, next_)]

    @staticmethod
    def _count(partition: Any, first: int, next_: int) -> int:
        return sum(first <= entry.offset < next_ and entry.committed for entry in partition.entries)

    def _covers(self, lane: int, records: Sequence[OrderRecord]) -> None:
        """Every record of every source stands in the order once: runs join on to each other, from first to last."""
        runs: dict[str, list[tuple[int, int]]] = {topic: [] for topic in ALL}
        for record in records:
            for topic, first, next_ in record.runs():
                runs[topic].append((first, next_))
        for topic in ALL:
            offsets = [entry.offset for entry in self._topics[topic, partition_in(topic, lane)].visible()]
            at = 0
            for first, next_ in runs[topic]:
                here = [offset for offset in offsets if first <= offset < next_]
                if not here or here != offsets[at : at + len(here)] or first != here[0] or next_ != here[-1] + 1:
                    raise Broken(
                        "applied once", f"{topic}/{lane}: run {first}-{next_} does not join on to {at} records"
                    )
                at += len(here)
            if at != len(offsets) and topic != Topic.FEEDS:
                raise Broken("applied once", f"{topic}/{lane}: {len(offsets) - at} records were never applied")
            self.applied += at

    def _same_order(self, lane: int, records: Sequence[OrderRecord], effects: Sequence[Effects]) -> None:
        for at, (record, effect) in enumerate(zip(records, effects, strict=True)):
            if effect.order != record.value:
                raise Broken("same order", f"lane {lane}, record {at}: {differing(effect.order, record.value)}")

    def _same_alerts(self, lane: int, effects: Sequence[Effects]) -> None:
        ours = [alert for effect in effects for alert in effect.alerts]
        log = [(entry.key, entry.value) for entry in self._topics[ALERTS, lane].visible()]
        _same("same alerts", lane, ours, log)
        twice = [name for name, count in Counter(orjson.loads(value)["id"] for _, value in log).items() if count > 1]
        if twice:
            raise Broken("each alert once", f"lane {lane}: {len(twice)} alerts stand in the log more than once")
        self.alerts += len(log)

    def _same_letters(self, lane: int, effects: Sequence[Effects]) -> None:
        ours = [(letter.key, letter.value, tuple(letter.headers)) for one in effects for letter in one.dead_letters]
        log = [(entry.key, entry.value, tuple(entry.headers)) for entry in self._topics[DEAD_LETTERS, lane].visible()]
        _same("same dead letters", lane, ours, log)
        self.letters += len(log)

    def _same_states(self, lane: int, ours: Mapping[bytes, bytes]) -> None:
        theirs = states_of(self._topics, lane)
        if ours != theirs:
            differ = [key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key)]
            raise Broken("same states", f"lane {lane}: {len(differ)} of {len(ours)} differ")
        position = position_in(ours)
        for topic in SOURCES:
            at = self._group.get((str(topic), lane))
            if at != position.offsets.get(topic) and not (at is None and self.expired):
                raise Broken("same positions", f"{topic}/{lane}: group at {at}, lane at {position.offsets.get(topic)}")

    def _compare_outbound(self) -> None:
        there = Counter(
            (topic, lane, entry.key, entry.value)
            for topic in (COHORTS, LINKS)
            for lane in range(self._lanes)
            for entry in self._topics[topic, lane].visible()
        )
        if there != self.outbound:
            raise Broken(
                "same second hop", f"{there.total()} records in the log, {self.outbound.total()} in the repeat"
            )


def _same(assertion: str, lane: int, ours: Sequence[Any], log: Sequence[Any]) -> None:
    for at, (mine, there) in enumerate(zip(ours, log, strict=False)):
        if mine != there:
            raise Broken(assertion, f"lane {lane}, {at}: {differing(mine[1] or b'', there[1] or b'')}")
    if len(ours) != len(log):
        raise Broken(assertion, f"lane {lane}: {len(log)} in the log, {len(ours)} in the repeat")


def ticks_in_time(topics: Topics, lane: int, second_of: Callable[[int], float]) -> None:
    """No tick without a record came before what was there already by its time: silence waits for the sources.

    A tick that a record brings goes by its timestamp, and past what the worker could not know of.
    """
    entries = {topic: topics[topic, lane].visible() for topic in map(str, SOURCES)}
    at, now_ms = dict.fromkeys(entries, 0), 0
    for stored in topics[ORDER, lane].visible():
        steps = read_order(stored.value).steps
        driven = max((number for number, step in enumerate(steps) if step[0] == "run" and step[1] in at), default=-1)
        for number, step in enumerate(steps):
            if step[0] == "run" and step[1] in at:
                at[step[1]] += sum(step[2] <= entry.offset < step[3] for entry in entries[step[1]])
            elif step[0] == "tick" and number > driven and step[1] > now_ms:
                now_ms = step[1]
                for topic, found in entries.items():
                    left = found[at[topic]] if at[topic] < len(found) else None
                    if left is not None and left.stable_at < second_of(step[1]) and left.timestamp < step[1]:
                        raise Broken("ticks in time", f"lane {lane}: a tick went past offset {left.offset} of {topic}")
