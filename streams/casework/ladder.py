"""The ladder: which stage a case stands at, by days past due and severity, and how soon somebody must act.

The steps and times are assumptions that practice uses without a citable source, so each is a field of `CaseRules`. The
hard stages are only marked: they wait for a supervisor.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.alerts import Severity
from streams.stores.case import Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.stores.case import Episode

SPOKEN = {
    Stage.REMINDER: "reminder",
    Stage.CALL: "call",
    Stage.COLLECTOR: "collector",
    Stage.LAWYERS_LETTER: "lawyer's letter",
    Stage.LITIGATION: "litigation",
}


def _stages() -> Mapping[int, Stage]:
    return {5: Stage.CALL, 15: Stage.COLLECTOR, 61: Stage.LAWYERS_LETTER, 91: Stage.LITIGATION}


def _floors() -> Mapping[Severity, Stage]:
    return {Severity.HIGH: Stage.CALL, Severity.CRITICAL: Stage.COLLECTOR}


def _hours() -> Mapping[Severity, int]:
    return {Severity.INFO: 168, Severity.WATCH: 72, Severity.HIGH: 24, Severity.CRITICAL: 4}


@dataclass(frozen=True, slots=True)
class CaseRules:
    """What decides when a case opens, where it stands and when it is due."""

    opens_from: Severity = Severity.HIGH
    attaches_from: Severity = Severity.WATCH
    stage_from_days: Mapping[int, Stage] = field(default_factory=_stages)
    """The stage from so many days past due on; below the first one it is a reminder."""
    stage_floor: Mapping[Severity, Stage] = field(default_factory=_floors)
    """The mildest stage of a severity, whatever the days past due."""
    due_hours: Mapping[Severity, int] = field(default_factory=_hours)

    def stage(self, days_past_due: int, severity: Severity) -> Stage:
        """The stage of a case: the harder one of what its days past due and its severity say."""
        by_days = [stage for days, stage in self.stage_from_days.items() if days_past_due >= days]
        floor = self.stage_floor.get(severity, Stage.REMINDER)
        return max([floor, *by_days], key=lambda stage: stage.rank)

    def due_within(self, severity: Severity) -> timedelta:
        """How long a case of this severity may wait for the next step."""
        return timedelta(hours=self.due_hours[severity])


def leading(episodes: Iterable[Episode]) -> Episode:
    """The open episode that says what to do next: the most severe one, then the furthest, then the latest."""
    return max(episodes, key=lambda e: (e.severity.rank, e.step, e.changed_at, e.episode_id))


def next_step(stage: Stage, first_step: str) -> str:
    """What to do next, for a person. A hard stage waits for a supervisor and says so."""
    return f"Ask a supervisor to approve: {SPOKEN[stage]}. Until then: {first_step}" if stage.hard else first_step
