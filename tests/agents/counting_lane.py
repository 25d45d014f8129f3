"""A small lane that counts: the double for the product's, so that the shell's tests test the shell.

It keeps a count for each key and raises an alert at every n-th event of a key; the alert names key and count, so that a
doubled or lost event shows in the alerts as well as in the counts. Values that begin with `!` do something special.
"""

from __future__ import annotations

import threading
from collections import Counter
from typing import TYPE_CHECKING

import orjson

from streams.engine.drain import LANE_KEY, DeadLetter, Effects
from streams.errors import DeadLetterLimit

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping, Sequence

    from streams.engine.drain import CohortFigures, Inbox, SourceRecord

TOO_LARGE = 3_000_000


class CountingLane:
    """Counts events by key."""

    def __init__(
        self,
        partition: int,
        states: MutableMapping[bytes, bytes],
        *,
        alert_every: int = 5,
        dead_letters_max: int = 10,
        step_ms: int = 60_000,
    ) -> None:
        self.partition = partition
        self.states = states
        self.alert_every = alert_every
        self.dead_letters_max = dead_letters_max
        self.step_ms = step_ms
        record = orjson.loads(states.get(LANE_KEY, b'{"positions": {}, "now": 0, "refused": 0}'))
        self._positions: dict[str, int] = record["positions"]
        self._now: int = record["now"]
        self._refused: int = record["refused"]

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic."""
        return self._positions

    def due_ms(self) -> int | None:
        """Nothing waits for a time here."""
        return None

    def held(self) -> int:
        """Nothing waits for a source either."""
        return 0

    def figures(self) -> Sequence[CohortFigures]:
        """There are no cohorts."""
        return ()

    def drain(self, inbox: Inbox) -> Effects | None:
        """Applies what is there in the order of timestamps, and a tick at the end."""
        self._effects = Effects(now_ms=self._now, counts=Counter())
        self._steps: list[list[object]] = []
        self._drained = dict(self._positions)
        waiting = self._apply(inbox)
        if not waiting and inbox.horizon_ms is not None and inbox.horizon_ms >= self._effects.now_ms + self.step_ms:
            self._effects.now_ms = inbox.horizon_ms
            self._steps.append(["tick", inbox.horizon_ms, "1"])
        fresh = [record for record in inbox.feeds if record.offset >= self._drained.get("feeds", 0)]
        if fresh:
            self._run("feeds", fresh[0].offset, fresh[-1].offset + 1)
        if not self._steps:
            return None
        effects = self._effects
        effects.positions = {t: o for t, o in self._drained.items() if self._positions.get(t) != o}
        effects.order = orjson.dumps({"v": 1, "steps": self._steps})
        effects.states[LANE_KEY] = orjson.dumps(
            {"positions": self._drained, "now": effects.now_ms, "refused": self._refused}
        )
        return effects

    def committed(self, effects: Effects) -> None:
        """Takes the effects into the states."""
        for key, value in effects.states.items():
            if value is not None:
                self.states[key] = value
        self._positions = self._drained
        self._now = effects.now_ms

    def _apply(self, inbox: Inbox) -> bool:
        """Applies records until there are none, or one of a source that is behind must be waited for."""
        rest = {
            topic: [r for r in records if r.offset >= self._drained.get(topic, 0)]
            for topic, records in inbox.records.items()
        }
        at = dict.fromkeys(rest, 0)
        while True:
            heads = {t: records[at[t]] for t, records in rest.items() if at[t] < len(records)}
            if any(topic not in heads for topic in inbox.behind):
                return True
            if not heads:
                return False
            topic = min(heads, key=lambda t: (heads[t].timestamp, t))
            if heads[topic].value == b"!stuck":  # It never gets on, as behind a source that brings nothing.
                return True
            self._event(topic, heads[topic])
            at[topic] += 1

    def _event(self, topic: str, record: SourceRecord) -> None:
        self._run(topic, record.offset, record.offset + 1)
        assert self._effects.counts is not None
        if record.value is not None and record.value.startswith(b"!"):
            self._special(topic, record)
            return
        self._refused = 0
        self._effects.counts["event", topic, "applied"] += 1
        key = record.key or b""
        seen = int(self._effects.states.get(key) or self.states.get(key, b"0")) + 1
        self._effects.states[key] = b"%d" % seen
        if seen % self.alert_every == 0:
            self._effects.alerts.append((key, b"%s %d" % (key, seen)))

    def _special(self, topic: str, record: SourceRecord) -> None:
        if record.value == b"!large":
            self._effects.alerts.append((record.key or b"", b"x" * TOO_LARGE))
        elif record.value == b"!hang":
            threading.Event().wait()
        elif record.value == b"!crash":
            raise ZeroDivisionError("on purpose")
        else:
            self._refused += 1
            if self._refused > self.dead_letters_max:
                raise DeadLetterLimit(topic, self.partition, f"{self._refused} in a row")
            self._effects.dead_letters.append(DeadLetter(record.key, record.value, [("reason", b"invalid")]))

    def _run(self, topic: str, first: int, next_: int) -> None:
        last = self._steps[-1] if self._steps else None
        if last is not None and last[:2] == ["run", topic]:
            last[3] = next_
        else:
            self._steps.append(["run", topic, first, next_])
        self._drained[topic] = next_
