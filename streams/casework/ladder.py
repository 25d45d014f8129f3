"""The ladder: which stage a case stands at, what to do there, and how soon somebody must act.

Its numbers stand in `ladder.toml`, each with its source. Hard steps are off; one that is switched on still waits for a
supervisor.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotations at run time
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator

from schemas.alerts import Severity
from streams.errors import Misconfigured
from streams.stores.case import Pause, Stage, of_case
from streams.stores.work import HardStep

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from streams.stores.case import Book, Case, Episode

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

    severity: Mapping[Severity, Stage] = Field(default_factory=dict)
    tier: Mapping[str, Stage] = Field(default_factory=dict)


class StanceRule(_Rules):
    """What a borrower's stance changes."""

    harshest: Stage
    """The stage that the ladder ends at."""
    offer: Annotated[str, Field(min_length=1, max_length=200)]
    """What to offer first."""


class PromiseRules(_Rules):
    """Which promises are taken, and how long they are waited for."""

    detector: str
    """Which alert says that one is broken."""
    days_max: Days
    grace_days: Days
    kept_share: Annotated[float, Field(gt=0, le=1)]
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
    stages: Mapping[Stage, Days]
    """The days past due from which on each stage holds."""
    floors: Floors = Floors()
    stances: Mapping[str, StanceRule] = Field(default_factory=dict)
    due_hours: Mapping[Severity, Hours]
    promises: PromiseRules
    holds: HoldRules
    deceased: DeceasedRule
    hard_steps: HardSteps = HardSteps()

    @field_validator("stages")
    @classmethod
    def _goes_up(cls, stages: Mapping[Stage, int]) -> Mapping[Stage, int]:
        days = [stages[stage] for stage in Stage if stage in stages]
        if len(days) != len(Stage) or days != sorted(set(days)) or days[0] != 0:
            raise ValueError("every stage has its days past due, more than the stage before; the first one has 0")
        return stages

    @field_validator("due_hours")
    @classmethod
    def _has_every_severity(cls, hours: Mapping[Severity, int]) -> Mapping[Severity, int]:
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
    return Ladder.model_validate(tomllib.loads(text))


def leading(episodes: Iterable[Episode]) -> Episode:
    """The open episode that says what to do next: the most severe one, then the furthest, then the latest."""
    return max(episodes, key=lambda e: (e.severity.rank, e.step, e.changed_at, e.episode_id))


def approved(case: Case, stage: Stage) -> bool:
    """Whether a supervisor has approved a stage as hard as this one."""
    return case.approved_stage is not None and Stage(case.approved_stage).rank >= stage.rank


def placed(case: Case, book: Book, ladder: Ladder) -> Case:
    """The case with what follows from where it stands: whether it waits for a supervisor, and what to do next."""
    if case.closed_at is not None:
        return replace(case, needs_approval=False, next_step="")
    still = [episode for episode in of_case(case.case_id, book.episodes.values()) if episode.is_open]
    first_step = leading(still).first_step if still else NOTHING_LEADS
    waits = case.stage.hard and not approved(case, case.stage)
    return replace(case, needs_approval=waits, next_step=next_step(case, first_step, ladder))


def next_step(case: Case, first_step: str, ladder: Ladder) -> str:
    """What to do next, for a person; `first_step` is what the leading alert suggests."""
    if case.deceased:
        return f"{_DECEASED} {first_step}"
    waiting = next((said for why, said in _WAITING.items() if why in case.pauses), None)
    if waiting is not None:
        return waiting
    rule = ladder.stances.get(case.stance or "")
    if case.hardship_granted:
        return _GRANTED
    if rule is not None:
        called = ladder.called_for(case.days_past_due, case.severity, tier=case.tier)
        held = f"; {SPOKEN[called]} is held back" if called.rank > case.stage.rank else ""
        return f"{rule.offer}: the borrower seems {case.stance} to pay{held}. {first_step}"
    return _hard_step(case, first_step, ladder) if case.stage.hard else first_step


NOTHING_LEADS = "No alert is open any more: look through the case, then close it."
_DECEASED = "Stop all contact: the borrower is reported dead."
_GRANTED = "Agree on a plan or an extension: help was granted, and nobody duns until then."
_WAITING = {
    Pause.DISPUTE: "Settle the dispute; do not collect until then.",
    Pause.HARDSHIP: "A supervisor decides on the hardship; do not collect until then.",
    Pause.HOLD: "Wait: the case is on hold.",
    Pause.PROMISE: "Wait for the promised payment; do not collect before its day has passed.",
}


def _hard_step(case: Case, first_step: str, ladder: Ladder) -> str:
    step, spoken = STEP_OF[case.stage], SPOKEN[case.stage]
    if not ladder.is_on(step):
        return f"Ask a supervisor what to do: {spoken} is off here (EWS_HARD_STEPS). Until then: {first_step}"
    if not approved(case, case.stage):
        return f"Ask a supervisor to approve: {spoken}. Until then: {first_step}"
    return f"Approved: {spoken}. Carry it out and write it down. {first_step}"
