"""Replay: the same engine over event files, without a broker and with a clock of its own.

One lane holds all borrowers. Time ticks once an hour of event time and ends at the last event or at `until`.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from schemas.alerts import Alert, AlertData
from schemas.events import Topic
from streams.engine.calendar import HOUR_MS
from streams.engine.lane import Fact, Lane, LaneSettings, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from streams.engine.drain import DeadLetter, Effects, Outbound
    from streams.engine.engine import Engine
    from streams.history.files import FileEvent

BATCH = 2_000


class FileRecord(NamedTuple):
    """A line of a file as the record that a producer would have written of it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class Episode(NamedTuple):
    """Where an episode stood in the end."""

    episode_id: str
    detector: str
    borrower: str
    loan: str | None
    onset: str
    status: str
    step: int
    severity: str
    revision: int


@dataclass
class Replayed:
    """What a replay did."""

    events: Counter[str] = field(default_factory=Counter)
    alerts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    dead_letters: Counter[str] = field(default_factory=Counter)
    after_until: int = 0
    borrowers: int = 0
    now_ms: int = 0
    portfolio: int = 0
    """Alerts of the second hop, where there was one."""


class Sink(NamedTuple):
    """Where the results of a replay go."""

    alert: Callable[[bytes], None]
    dead_letter: Callable[[DeadLetter], None]
    progress: Callable[[int, int], None]
    """Called with the number of lines read since the last call and the event time reached."""
    told: Callable[[Sequence[Outbound]], None] | None = None
    """Called with what the second hop is told."""


class PolicyChange(NamedTuple):
    """From an instant on another policy is in force: what became known at that instant is judged by it already."""

    at_ms: int
    engine: Engine


def replay(
    engine: Engine,
    lines: Iterable[FileEvent],
    sink: Sink,
    *,
    until_ms: int | None = None,
    live_from_ms: int | None = None,
    changes: Sequence[PolicyChange] = (),
) -> Replayed:
    """Play the lines, which come in order, and let time come to its end. Policies change on the way, in their order."""
    done = Replayed()
    states: dict[bytes, bytes] = {}
    settings = LaneSettings(0, 1, clock="event", step_ms=HOUR_MS, live_from_ms=live_from_ms)
    engines = {one.policy.version: one for one in (engine, *(change.engine for change in changes))}
    lane = Lane(engine, settings, states, engines.get)
    policy, ahead = engine.policy.version, list(changes)
    offsets: Counter[str] = Counter()
    heartbeats: list[FileRecord] = []
    lines = iter(lines)
    last_ms = 0
    while batch := list(islice(lines, BATCH)):
        played = [line for line in batch if until_ms is None or line.available_ms <= until_ms]
        done.after_until += len(batch) - len(played)
        last_ms = max([last_ms, *(line.available_ms for line in played)])
        while ahead and last_ms >= ahead[0].at_ms:
            before = [line for line in played if line.available_ms < ahead[0].at_ms]
            played = played[len(before) :]
            records = list(_records(before, offsets, heartbeats))
            _take(lane, lane.play(records, heartbeats, ahead[0].at_ms, policy), done, sink)
            policy = ahead.pop(0).engine.policy.version
        records = list(_records(played, offsets, heartbeats))
        _take(lane, lane.play(records, heartbeats, None, policy), done, sink)
        taken = lane.positions.get(Topic.FEEDS, 0)
        heartbeats = [record for record in heartbeats if record.offset >= taken]
        sink.progress(len(batch), lane.now_ms)
    end_ms = last_ms if until_ms is None else until_ms
    for change in (change for change in ahead if change.at_ms <= end_ms):
        _take(lane, lane.play([], heartbeats, change.at_ms, policy), done, sink)
        policy = change.engine.policy.version
    _take(lane, lane.play([], heartbeats, end_ms, policy), done, sink)
    done.borrowers, done.now_ms = len(states) - bool(states), lane.now_ms
    return done


def _records(
    lines: list[FileEvent], offsets: Counter[str], heartbeats: list[FileRecord]
) -> Iterator[tuple[str, FileRecord, Fact]]:
    for line in lines:
        record = FileRecord(offsets[line.topic], line.available_ms, line.key, line.value)
        offsets[line.topic] += 1
        if line.topic is Topic.FEEDS:
            heartbeats.append(record)
        else:
            yield line.topic, record, read(line.value)


def _take(lane: Lane, effects: Effects | None, done: Replayed, sink: Sink) -> None:
    if effects is None:
        return
    for _, value in effects.alerts:
        sink.alert(value)
    for letter in effects.dead_letters:
        sink.dead_letter(letter)
    if sink.told is not None and effects.outbound:
        sink.told(effects.outbound)
    for what, count in (effects.counts or {}).items():
        if what[0] == "event":
            done.events[f"{what[1]}.{what[2]}"] += count
        elif what[0] == "alert":
            done.alerts[what[1:]] += count
        elif what[0] == "dead_letter":
            done.dead_letters[what[1]] += count
    lane.committed(effects)


def final_episodes(alerts: Iterable[bytes]) -> list[Episode]:
    """The last revision of each episode, in the order of their ids."""
    last: dict[str, AlertData] = {}
    for value in alerts:
        data = Alert.model_validate_json(value).data
        known = last.get(str(data.episode_id))
        if known is None or data.revision > known.revision:
            last[str(data.episode_id)] = data
    return [
        Episode(
            key,
            d.detector,
            d.borrower,
            d.loan,
            d.onset.isoformat(),
            d.status.value,
            d.step,
            d.severity.value,
            d.revision,
        )
        for key, d in sorted(last.items())
    ]
