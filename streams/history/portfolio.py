"""The second hop in one process: what a replay's lane tells goes through the same lane of cohorts and links."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from schemas.topics import COHORTS, LINKS
from streams.engine.calendar import HOUR_MS
from streams.engine.drain import Inbox
from streams.engine.lane import LaneSettings
from streams.engine.portfolio.lane import PortfolioLane

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from streams.engine.drain import Outbound
    from streams.engine.portfolio.judging import Rules


class _Record(NamedTuple):
    """What was told, as the record that the worker would have written of it."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


class SecondHop:
    """One lane of the second hop behind one borrower lane, without topics in between."""

    def __init__(self, rules: Rules, live_from_ms: int | None, alert: Callable[[bytes], object]) -> None:
        settings = LaneSettings(0, 1, clock="event", step_ms=HOUR_MS, live_from_ms=live_from_ms)
        self._lane = PortfolioLane(rules, settings, {})
        self._alert = alert
        self._offsets: Counter[str] = Counter()
        self.alerts = 0
        """How many it has raised."""

    def take(self, told: Sequence[Outbound]) -> None:
        """Take up what a borrower lane has told, and judge the days that it has passed."""
        records: dict[str, list[_Record]] = {COHORTS: [], LINKS: []}
        for topic, _, key, value in told:
            records[topic].append(_Record(self._offsets[topic], 0, key, value))
            self._offsets[topic] += 1
        while (effects := self._lane.drain(Inbox(records, frozenset(), None))) is not None:
            for outbound in effects.outbound:
                self._alert(outbound.value)
            self.alerts += len(effects.outbound)
            self._lane.committed(effects)
