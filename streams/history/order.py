"""Repeating one lane's order: the same engine, told what was applied when, gives the same bytes again. No Kafka here.

An order record holds the lane's settings and its steps, so that a repeat needs the records of the sources, the policy
and nothing else. What the repeat gives is compared with what the log holds; the first difference ends the lane's
comparison, since everything after it may follow from it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
import orjson

from schemas.events import Topic
from streams.engine.drain import LANE_KEY
from streams.engine.lane import ORDER_VERSION, Lane, LaneSettings, Position
from streams.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from streams.engine.drain import Effects, SourceRecord
    from streams.engine.engine import Engine

    EngineOf = Callable[[str, int | None], Engine | None]
    """The engine of a version of the policy that goes live at an instant (milliseconds), or was from the beginning.

    None for a version that is not known.
    """

RUN, TICK = "run", "tick"
FIELDS_SHOWN = 6


class OrderRecord(NamedTuple):
    """What one transaction of a lane applied, in order."""

    settings: LaneSettings
    steps: Sequence[Sequence[Any]]
    value: bytes

    def runs(self) -> Iterator[tuple[str, int, int]]:
        """Its runs of offsets: topic, first, next."""
        for step in self.steps:
            if step[0] == RUN:
                yield step[1], step[2], step[3]

    def policies(self) -> list[str]:
        """The versions of the policies that its ticks carried, each once, in order."""
        return list(dict.fromkeys(self.carried()))

    def carried(self) -> Iterator[str]:
        """The version that each of its ticks carried."""
        return (step[2] for step in self.steps if step[0] == TICK)


def read_order(value: bytes | None) -> OrderRecord:
    """The order record of a value. Raises Misconfigured for one of another release."""
    try:
        raw = orjson.loads(value or b"")
        if raw["v"] == ORDER_VERSION:
            return OrderRecord(LaneSettings(**raw["lane"]), raw["steps"], value or b"")
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise Misconfigured(f"an order record was not written by this release ({type(error).__name__})") from error
    raise Misconfigured(f"an order record has version {raw['v']}; this release reads {ORDER_VERSION}")


class LaneRepeat:
    """One lane, done again from its beginning."""

    def __init__(self, engine_of: EngineOf) -> None:
        self._engine_of = engine_of
        self._settings: LaneSettings | None = None
        self.lane: Lane | None = None
        self.states: dict[bytes, bytes] = {}

    def apply(self, record: OrderRecord, fetch: Callable[[str, int, int], Sequence[SourceRecord]]) -> Effects:
        """The effects of an order record, taken into the states. Raises Misconfigured if its policy is not known."""
        lane = self._lane_of(record)
        effects = lane.repeat([list(step) for step in record.steps], fetch)
        assert effects is not None, "an order record has steps"
        lane.committed(effects)
        return effects

    def _lane_of(self, record: OrderRecord) -> Lane:
        if self.lane is None or record.settings != self._settings:
            # A worker with other settings took the lane over: it began with the states, as this one does.
            live_from_ms = record.settings.live_from_ms
            # What a lane begins with is the policy of its first tick, since nothing comes before that.
            first = (self._known(version, live_from_ms) for version in record.policies())
            engine = next(first, None) or self._known(_position(self.states).policy, live_from_ms)
            self.lane = Lane(
                engine,
                record.settings,
                self.states,
                lambda version: self._engine_of(version, live_from_ms),
                limited=False,
            )
            self._settings = record.settings
        for version in record.policies():
            self._known(version, record.settings.live_from_ms)
        return self.lane

    def _known(self, version: str, live_from_ms: int | None) -> Engine:
        engine = self._engine_of(version, live_from_ms)
        if engine is None:
            raise Misconfigured(
                f"the order was made with the policy {version}, which is neither in the topic `policies` nor given: "
                "give its file (--policy FILE)"
            )
        return engine


class Held:
    """Records of one source that are read and not yet repeated, and whether all of them were applied."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._records: list[SourceRecord] = []

    @property
    def last(self) -> int:
        """The highest offset here, -1 if there is none."""
        return self._records[-1].offset if self._records else -1

    def extend(self, records: Iterable[SourceRecord]) -> None:
        """Take up what was read."""
        self._records.extend(records)

    def run(self, first: int, next_: int) -> Sequence[SourceRecord]:
        """The records of a run. Raises Unavailable if its first or last is gone."""
        begin, end = self._find(first), self._find(next_)
        found = self._records[begin:end]
        if not found or found[0].offset != first or found[-1].offset != next_ - 1:
            raise Unavailable(
                f"{self._name} does not hold offsets {first} to {next_ - 1} any more, which were applied: "
                "retention deleted them, or the topic was made anew; without them the order cannot be repeated"
            )
        return found

    def done(self, next_: int, applied: int) -> str | None:
        """Drop what lies below `next_`, of which so many were applied. A sentence if some were not."""
        gone = self._find(next_)
        first = self._records[0].offset if gone else next_
        del self._records[:gone]
        if gone == applied:
            return None
        return f"{gone - applied} of the {gone} records of {self._name} from offset {first} on were never applied"

    def _find(self, offset: int) -> int:
        low, high = 0, len(self._records)
        while low < high:
            middle = (low + high) // 2
            if self._records[middle].offset < offset:
                low = middle + 1
            else:
                high = middle
        return low


def compare_states(ours: Mapping[bytes, bytes], theirs: Mapping[bytes, bytes]) -> str | None:
    """The first difference between repeated states and the changelog's. Raises Unavailable if that has moved on."""
    if ours.get(LANE_KEY) != theirs.get(LANE_KEY):
        mine, other = _position(ours), _position(theirs)
        if other.now_ms > mine.now_ms or any(at > mine.offsets.get(name, 0) for name, at in other.offsets.items()):
            raise Unavailable("the worker went on while its order was repeated: stop it, or repeat again")
    for key in sorted(ours.keys() | theirs.keys()):
        if ours.get(key) != theirs.get(key):
            return f"state of {_named(key)}: {_whose(ours.get(key), theirs.get(key))}"
    return None


def _position(states: Mapping[bytes, bytes]) -> Position:
    kept = states.get(LANE_KEY)
    return Position() if kept is None else msgspec.msgpack.decode(kept, type=Position)


def _named(key: bytes) -> str:
    return "the lane's position" if key == LANE_KEY else key.decode(errors="replace")


def _whose(ours: bytes | None, theirs: bytes | None) -> str:
    if ours is None or theirs is None:
        return "only in the log" if ours is None else "only in the repeat"
    return f"{len(theirs)} bytes in the log, {len(ours)} other ones in the repeat"


def differing(ours: bytes, theirs: bytes) -> str:
    """The fields in which two JSON documents differ, for a person who looks for the reason."""
    try:
        mine, other = _flat(orjson.loads(ours)), _flat(orjson.loads(theirs))
    except orjson.JSONDecodeError:
        return "bytes that are no JSON"
    names = [name for name in mine | other if mine.get(name) != other.get(name)]
    return ", ".join(names[:FIELDS_SHOWN]) or "the order of fields"


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if not isinstance(value, dict):
        return {path: value}
    return {name: one for key, sub in value.items() for name, one in _flat(sub, f"{path}.{key}".strip(".")).items()}


def partition_in(topic: str, lane: int) -> int:
    """The partition of a source that a lane reads: its own, but there is one of heartbeats for all."""
    return 0 if topic == Topic.FEEDS else lane
