"""Spoiled records through decode and the whole engine, beside borrowers who must not notice."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, NamedTuple
from unittest import mock

import orjson

from schemas.codec import Reason
from schemas.events import Topic
from schemas.topics import SOURCES
from streams.engine import limits
from streams.engine.calendar import DAY_MS, moment_of
from streams.engine.drain import LANE_KEY, Inbox
from streams.engine.lane import Lane, LaneSettings
from tests.builders import at, engine_of
from tests.fuzzing.mutations import Raw, spoiled
from tests.simulation.lives import DAYS, lives

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.engine.drain import DeadLetter, Effects

BEGIN_MS = int(at(0, 0).timestamp() * 1000)
STEP_MS = 3_600_000
NEIGHBOURS = 6
BATCH = 400


class Record(NamedTuple):
    """A record as a lane sees it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


@dataclass(slots=True)
class Outcome:
    """What a lane made of what it was given."""

    records: int = 0
    applied: Counter[str] = field(default_factory=Counter)
    """Records of sources by what became of them."""
    rejected: Counter[str] = field(default_factory=Counter)
    """Dead letters by reason."""
    alerts: list[tuple[bytes, bytes]] = field(default_factory=list)
    states: int = 0
    wrong: list[str] = field(default_factory=list)
    """What must not be."""


class Fuzzed:
    """One lane and its topics, over one portfolio's time."""

    def __init__(self) -> None:
        self._engine = engine_of()
        self._states: dict[bytes, bytes] = {}
        settings = LaneSettings(partition=0, partitions=1, clock="wall", step_ms=STEP_MS)
        self._lane = Lane(self._engine, settings, self._states)
        self._settings = settings
        self._topics: dict[str, list[Record]] = {str(topic): [] for topic in (*SOURCES, Topic.FEEDS)}
        self._taken: Counter[str] = Counter()
        self.outcome = Outcome()

    def feed(self, raws: Iterable[Raw], until_ms: int) -> None:
        """Writes records and drains them, up to a time of day."""
        for raw in raws:
            records = self._topics[raw.topic]
            records.append(Record(len(records), raw.timestamp, raw.key, raw.value))
            self.outcome.records += 1
        shown = {topic: records[self._taken[topic] :] for topic, records in self._topics.items()}
        for topic, records in shown.items():
            self._taken[topic] += len(records)
        feeds = self._topics[Topic.FEEDS]
        inbox = Inbox({topic: shown[topic] for topic in map(str, SOURCES)}, frozenset(), until_ms, feeds, until_ms)
        while (effects := self._lane.drain(inbox)) is not None:
            self._commit(effects)

    def _commit(self, effects: Effects) -> None:
        outcome = self.outcome
        for letter in effects.dead_letters:
            self._check(letter)
        for (what, *labels), count in (effects.counts or {}).items():
            if what == "event":
                outcome.applied[labels[-1]] += count
            if what == "crashed":
                outcome.wrong.append(f"the engine failed {count} times")
        outcome.alerts += effects.alerts
        self._lane.committed(effects)

    def _check(self, letter: DeadLetter) -> None:
        """A letter says why, where from, and holds the bytes as they were."""
        said = {name: value.decode() for name, value in letter.headers}
        self.outcome.rejected[said["reason"]] += 1
        if said["reason"] not in set(Reason) or said["reason"] == Reason.CRASHED:
            self.outcome.wrong.append(f"rejected for {said['reason']}: {said['detail']}")
        there = self._topics[said["topic"]][int(said["offset"])]
        if (there.key, there.value) != (letter.key, letter.value):
            self.outcome.wrong.append(f"the letter of {said['topic']} {said['offset']} holds other bytes")

    def restart(self) -> None:
        """A lane made anew from what is kept: what was let in must be readable."""
        self._lane = Lane(self._engine, self._settings, self._states)
        self.outcome.states = len(self._states) - (LANE_KEY in self._states)


def _neighbours() -> list[Raw]:
    told = sorted(message for life in lives()[:NEIGHBOURS] for message in life)
    return [Raw(message.topic, message.key, message.value, message.known_ms) for message in told]


def campaign(seed: int, messages: int) -> Outcome:
    """So many spoiled records among the lives of a few good borrowers."""
    dice = Random(seed)  # noqa: S311 - nothing secret
    with mock.patch.multiple(limits, IN_A_ROW_MAX=1 << 60, RECENT_MAX=1 << 60):
        alone, among = _played(dice, 0, seed), _played(dice, messages, seed)
    outcome = among.outcome
    before, after = _of_neighbours(alone.outcome), _of_neighbours(outcome)
    if before != after:
        outcome.wrong.append(f"the neighbours have {len(after)} alerts, and {len(before)} without the spoiled records")
    judged = sum(outcome.applied.values())
    if judged + outcome.rejected["feeds"] > outcome.records:
        outcome.wrong.append(f"{judged} judged of {outcome.records} records")
    return outcome


def _played(dice: Random, messages: int, seed: int) -> Fuzzed:
    lane, good = Fuzzed(), _neighbours()
    batches = max(1, messages // BATCH)
    span, at_good = DAYS * DAY_MS // batches if messages else DAY_MS, 0
    for number in range(batches if messages else DAYS):
        until = BEGIN_MS + (number + 1) * span
        raws = [_spoiled(dice, seed, until - dice.randrange(span)) for _ in range(BATCH if messages else 0)]
        while at_good < len(good) and good[at_good].timestamp < until:
            raws.append(good[at_good])
            at_good += 1
        lane.feed(sorted(raws, key=lambda raw: raw.timestamp), until)
        if number % 20 == 19:
            lane.restart()
    lane.feed((), BEGIN_MS + (DAYS + 5) * DAY_MS)
    lane.restart()
    return lane


def _spoiled(dice: Random, seed: int, timestamp: int) -> Raw:
    subject = f"f-{seed}-{dice.randrange(200)}"
    return spoiled(dice, subject, moment_of(timestamp - dice.randrange(3 * DAY_MS)).isoformat(), timestamp)


def _of_neighbours(outcome: Outcome) -> list[bytes]:
    return [value for key, value in outcome.alerts if key.startswith(b"b-0")]


def summary(outcome: Outcome) -> bytes:
    """For people and machines."""
    return orjson.dumps(
        {
            "records": outcome.records,
            "judged": dict(sorted(outcome.applied.items())),
            "rejected": dict(sorted(outcome.rejected.items())),
            "alerts": len(outcome.alerts),
            "borrowers kept": outcome.states,
            "wrong": outcome.wrong[:20],
        },
        option=orjson.OPT_INDENT_2,
    )
