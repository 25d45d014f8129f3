"""The ladder: which stage a case stands at, what to do there, and how soon somebody must act.

Its numbers stand in `ladder.toml`, each with its source. Hard steps are off; one that is switched on still waits for a
supervisor.
"""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.alerts import Severity
from streams.errors import Misconfigured
from streams.stores.case import Stage
from streams.stores.work import HardStep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from streams.stores.case import Case, Episode

SPOKEN = {
    Stage.REMINDER: "reminder",
    Stage.CALL: "call",
    Stage.COLLECTOR: "collector",
    Stage.LAWYERS_LETTER: "lawyer's letter",
    Stage.LITIGATION: "litigation",
}
STEP_OF = {Stage.LAWYERS_LETTER: HardStep.LAWYERS_LETTER, Stage.LITIGATION: HardStep.LITIGATION}
"""The hard step that a stage of the ladder is."""
STAGE_OF = {step: stage for stage, step in STEP_OF.items()}

Days = Annotated[int, Field(ge=0, le=3_650)]
Hours = Annotated[int, Field(ge=1, le=8_760)]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class Floors(_Rules):
    """The mildest stage of a severity and of a risk tier, whatever the days past due."""

    severity: dict[Severity, Stage] = {}
    tier: dict[str, Stage] = {}


class StanceRule(_Rules):
    """What a borrower's stance changes."""

    harshest: Stage
    """The stage that the ladder ends at."""
    offer: Annotated[str, Field(min_length=1, max_length=200)]
    """What to offer first."""


class PromiseRules(_Rules):
    """Which promises are taken, and how long they are waited for."""

    days_max: Days
    grace_days: Days
    open_max: Annotated[int, Field(ge=1, le=100)]


class HoldRules(_Rules):
    """How long a person may stop a case."""

    days_max: Days


class DeceasedRule(_Rules):
    """Which alert says that the borrower has died."""

    detector: str
    step: Annotated[int, Field(ge=0)]


class HardSteps(_Rules):
    """The hard steps that are switched on."""

    on: frozenset[HardStep] = frozenset()


class Ladder(_Rules):
    """What decides when a case opens, where it stands, what comes next and when it is due."""

    opens_from: Severity
    attaches_from: Severity
    stages: dict[Stage, Days]
    """The days past due from which on each stage holds."""
    floors: Floors = Floors()
    stances: dict[str, StanceRule] = {}
    due_hours: dict[Severity, Hours]
    promises: PromiseRules
    holds: HoldRules
    deceased: DeceasedRule
    hard_steps: HardSteps = HardSteps()

    @field_validator("stages")
    @classmethod
    def _goes_up(cls, stages: dict[Stage, int]) -> dict[Stage, int]:
        days = [stages[stage] for stage in Stage if stage in stages]
        if len(days) != len(Stage) or days != sorted(set(days)) or days[0] != 0:
            raise ValueError("every stage has its days past due, more than the stage before; the first one has 0")
        return stages

    @field_validator("due_hours")
    @classmethod
    def _has_every_severity(cls, hours: dict[Severity, int]) -> dict[Severity, int]:
        if set(hours) != set(Severity):
            raise ValueError("every severity has its hours")
        return hours

    @classmethod
    def standard(cls) -> Ladder:
        """The one of this release, with every hard step off."""
        return _standard()

    def with_hard_steps(self, names: str) -> Self:
        """The same with these hard steps switched on, as EWS_HARD_STEPS names them. Raises Misconfigured."""
        wanted = [name for name in names.split(",") if name]
        known = [step.value for step in HardStep]
        unknown = sorted(set(wanted) - set(known))
        if unknown:
            raise Misconfigured(f"EWS_HARD_STEPS: there is no {', '.join(unknown)}; there are {', '.join(known)}")
        return self.model_copy(update={"hard_steps": HardSteps(on=frozenset(map(HardStep, wanted)))})

    def stage(
        self, days_past_due: int, severity: Severity, *, tier: str | None = None, stance: str | None = None
    ) -> Stage:
        """The hardest of what days past due, severity and tier say, and no harder than the stance allows."""
        called = self.called_for(days_past_due, severity, tier=tier)
        rule = self.stances.get(stance or "")
        return min(called, rule.harshest, key=lambda stage: stage.rank) if rule else called

    def called_for(self, days_past_due: int, severity: Severity, *, tier: str | None = None) -> Stage:
        """The stage before the stance is looked at."""
        by_days = [stage for stage, days in self.stages.items() if days_past_due >= days]
        floors = (self.floors.severity.get(severity), self.floors.tier.get(tier or ""))
        return max([Stage.REMINDER, *by_days, *(f for f in floors if f)], key=lambda stage: stage.rank)

    def due_within(self, severity: Severity) -> timedelta:
        """How long a case of this severity may wait for somebody to act."""
        return timedelta(hours=self.due_hours[severity])

    def promise_ends(self, promised_on: date) -> datetime:
        """When a promise is no longer waited for: after its day and the days of grace, in UTC.

        A case knows no zone of its own; `broken_promise` knows the loan's, and its alert ends the wait earlier.
        """
        last = promised_on + timedelta(days=self.promises.grace_days + 1)
        return datetime.combine(last, time.min, UTC)

    def is_on(self, step: HardStep) -> bool:
        """Whether a hard step is switched on."""
        return step in self.hard_steps.on


@cache
def _standard() -> Ladder:
    text = (resources.files(__package__) / "ladder.toml").read_text(encoding="utf-8")
    return Ladder.model_validate({name: part for name, part in tomllib.loads(text).items() if name != "outreach"})


def leading(episodes: Iterable[Episode]) -> Episode:
    """The open episode that says what to do next: the most severe one, then the furthest, then the latest."""
    return max(episodes, key=lambda e: (e.severity.rank, e.step, e.changed_at, e.episode_id))


def approved(case: Case, stage: Stage) -> bool:
    """Whether a supervisor has approved a stage as hard as this one."""
    return case.approved_stage is not None and Stage(case.approved_stage).rank >= stage.rank


def next_step(case: Case, first_step: str, ladder: Ladder) -> str:
    """What to do next, for a person; `first_step` is what the leading alert suggests."""
    if case.deceased:
        return f"Stop all contact: the borrower is reported dead. {first_step}"
    rule = ladder.stances.get(case.stance or "")
    if rule is not None:
        called = ladder.called_for(case.days_past_due, case.severity, tier=case.tier)
        held = f"; {SPOKEN[called]} is held back" if called.rank > case.stage.rank else ""
        return f"{rule.offer}: the borrower seems {case.stance} to pay{held}. {first_step}"
    return _hard_step(case, first_step, ladder) if case.stage.hard else first_step


def _hard_step(case: Case, first_step: str, ladder: Ladder) -> str:
    step, spoken = STEP_OF[case.stage], SPOKEN[case.stage]
    if not ladder.is_on(step):
        return f"The ladder calls for {spoken}, which is off here (EWS_HARD_STEPS). Go on without it: {first_step}"
    if not approved(case, case.stage):
        return f"Ask a supervisor to approve: {spoken}. Until then: {first_step}"
    return f"Approved: {spoken}. Carry it out and write it down. {first_step}"


CaseRules = Ladder.standard
