"""The product as the benchmark runs it: a worker that says when it is warm and when all events are committed.

`python -m streams.bootstrap.bench_worker rules|catalogue BOOTSTRAP PREFIX PARTITIONS EVENTS UNTIL`, where EVENTS is the
number of all events, or, for several workers, those of each partition, separated by commas.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import orjson

from streams import clock
from streams.bootstrap.worker import lane_factory, run
from streams.local import reference
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from streams.engine.drain import Effects, LaneLogic


WARM_SHARE = 5
"""The clock starts when a fifth of the events is committed, for the peers as for us."""


class Timed:
    """A lane that says how many events of all lanes are committed: once when it is warm, once when it is through."""

    done = 0

    def __init__(self, lane: LaneLogic, expected: int) -> None:
        self._lane = lane
        self._expected = expected
        self._before = dict(lane.positions)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._lane, name)

    def committed(self, effects: Effects) -> None:
        """Counts what is committed."""
        self._lane.committed(effects)
        before = Timed.done
        for topic, position in effects.positions.items():
            Timed.done += position - self._before.get(topic, 0)
            self._before[topic] = position
        if before < self._expected // WARM_SHARE <= Timed.done:
            say("began", Timed.done)
        if before < self._expected <= Timed.done:
            say("seen", Timed.done)


class Counted(Timed):
    """A lane that says when it begins and when its own events are committed, where several workers share the lanes."""

    def __init__(self, lane: LaneLogic, expected: int) -> None:
        super().__init__(lane, expected)
        self._mine = sum(self._before.values())
        say("lane", 0)

    def committed(self, effects: Effects) -> None:
        """Counts what is committed."""
        self._lane.committed(effects)
        before = self._mine
        for topic, position in effects.positions.items():
            self._mine += position - self._before.get(topic, 0)
            self._before[topic] = position
        if before < self._expected <= self._mine:
            say("seen", self._expected)


def say(what: str, events: int) -> None:
    """A line for the benchmark."""
    line = {"what": what, "at_ns": clock.now_ms() * 1_000_000, "cpu_seconds": time.process_time(), "events": events}
    sys.stdout.buffer.write(orjson.dumps(line) + b"\n")
    sys.stdout.buffer.flush()


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(0)


def main() -> int:
    """A worker of one of the two kinds, until it is killed. Time ends at UNTIL where the kind has a clock."""
    kind, bootstrap, prefix, partitions, expected, until = sys.argv[1:]
    threading.Thread(target=_end_with_parent, daemon=True).start()
    settings = load(
        bootstrap_servers=bootstrap,
        topic_prefix=prefix,
        partitions=int(partitions),
        clock="event",
        clock_until=until or None,
    )
    product = lane_factory(settings)

    def lane(partition: int, states: MutableMapping[bytes, bytes]) -> Any:
        logic: Any = reference.RulesLane(states) if kind == "rules" else product(partition, states)
        counts = list(map(int, expected.split(",")))
        return Timed(logic, counts[0]) if len(counts) == 1 else Counted(logic, counts[partition])

    return run(settings, lane)


if __name__ == "__main__":
    sys.exit(main())
