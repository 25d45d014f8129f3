"""A lane that drains what a test lets it see, and all that it wrote: the double for a worker with its topics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from schemas.events import Topic
from schemas.topics import SOURCES
from streams.bootstrap.policy_book import PolicyBook
from streams.engine.drain import DeadLetter, Effects, Inbox
from streams.engine.lane import Lane, LaneSettings
from streams.engine.policy import Policy
from streams.history.files import read_events

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from random import Random

HOUR_MS = 3_600_000
OFFSET = attrgetter("offset")


class Record(NamedTuple):
    """A Kafka record as far as a lane looks at it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def topics_of(file: Path, dice: Random) -> dict[str, list[Record]]:
    """The events of a file as the topics of one partition, with a gap in the offsets now and then (a marker)."""
    topics: dict[str, list[Record]] = {topic: [] for topic in (*SOURCES, Topic.FEEDS)}
    for event in read_events([file]):
        records = topics[event.topic]
        offset = (records[-1].offset + 1 if records else 0) + (dice.random() < 0.01)
        records.append(Record(offset, event.available_ms, event.key, event.value))
    return topics


class RecordedLane:
    """Drains in random pieces, restarts at random moments, and keeps what a worker would have written."""

    def __init__(self, topics: dict[str, list[Record]], settings: LaneSettings, book: PolicyBook | None = None) -> None:
        self.topics = topics
        self.settings = settings
        self.until_ms = max(records[-1].timestamp for records in topics.values() if records)
        self.order: list[bytes] = []
        self.alerts: list[tuple[bytes, bytes]] = []
        self.dead_letters: list[DeadLetter] = []
        self.states: dict[bytes, bytes] = {}
        self.restarts = 0
        self.book = book or PolicyBook(Policy())
        self.policy: str | None = None
        """The version that is in force, None for the one that the book begins with."""
        self._start()

    def _start(self) -> None:
        live_from_ms = self.settings.live_from_ms
        base = self.book.engine(self.book.base.version, live_from_ms)
        assert base is not None
        self.lane = Lane(base, self.settings, self.states, lambda version: self.book.engine(version, live_from_ms))

    def run(
        self,
        size: Callable[[], int],
        restarts: Callable[[], bool],
        policies: Callable[[], str | None] = lambda: None,
    ) -> RecordedLane:
        """Drain all, so many records of each source at a time at most. `policies` says what is in force at a drain."""
        seen: Counter[str] = Counter()
        while not self._finished():
            for topic in SOURCES:
                seen[topic] = max(seen[topic], self._applied(topic)) + size()
            self.policy = policies()
            effects = self.lane.drain(self._inbox(seen))
            if effects is not None and restarts():
                self.restarts += 1
                self._start()  # Killed before the commit: what it drained never happened.
            elif effects is not None:
                self._commit(effects)
        while (effects := self.lane.drain(self._inbox(seen))) is not None:
            self._commit(effects)
        return self

    def _finished(self) -> bool:
        return all(self._applied(topic) >= len(self.topics[topic]) for topic in SOURCES)

    def _applied(self, topic: str) -> int:
        return bisect_left(self.topics[topic], self.lane.positions.get(topic, 0), key=OFFSET)

    def _inbox(self, seen: Counter[str]) -> Inbox:
        shown = {topic: self.topics[topic][self._applied(topic) : seen[topic]] for topic in SOURCES}
        behind = frozenset(topic for topic in SOURCES if seen[topic] < len(self.topics[topic]))
        return Inbox(shown, behind, self.until_ms, self.topics[Topic.FEEDS], policy=self.policy)

    def _commit(self, effects: Effects) -> None:
        self.order.append(effects.order)
        self.alerts += effects.alerts
        self.dead_letters += effects.dead_letters
        self.lane.committed(effects)

    def fetch(self, topic: str, first: int, next_: int) -> Sequence[Record]:
        """The records of a run."""
        records = self.topics[topic]
        return records[bisect_left(records, first, key=OFFSET) : bisect_left(records, next_, key=OFFSET)]
