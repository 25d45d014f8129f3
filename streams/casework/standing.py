"""Where a case stands with the episodes that it now holds: severity, stage, risk, the time to act, or its end."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.alerts import AlertStatus
from streams.casework.following import with_risk
from streams.casework.ladder import placed
from streams.casework.sla import restarted, state_of, stopped
from streams.stores.case import CaseState, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from schemas.alerts import Severity
    from streams.casework.ladder import Ladder
    from streams.stores.case import Book, Case, Episode

_RAISED = dict.fromkeys((CaseState.OPEN, CaseState.IN_PROGRESS, CaseState.BROKEN_PROMISE), CaseState.ESCALATED)
"""Promises, hardship and holds are a person's word and stay."""
HARSHEST_FOR_ESTATE = Stage.COLLECTOR
"""Nobody is sued who is dead: the estate is a person's work."""


def reassessed(case: Case, book: Book, last: Episode, at: datetime, rules: Ladder) -> Case:
    """The case after an alert; `last` is the episode that it was about."""
    held = book.attached()
    still = [episode for episode in held if episode.is_open]
    if not still:
        # A case that a person has opened again holds no open episode and ends by a person, or with the next one.
        ends = last.case_id == case.case_id and not last.is_open
        return _ended(case, book, last, at, rules) if ends else placed(case, book, rules)
    now = assessed(case, book, held, rules)
    after = _in_time(case, now, at, rules)
    return placed(after, book, rules)


def assessed(case: Case, book: Book, held: Sequence[Episode], rules: Ladder) -> Case:
    """The case with the severity, the risk and the stage of what it holds."""
    still = [episode for episode in held if episode.is_open]
    severity = worst(still)
    case = with_risk(replace(case, severity=severity, deceased=_deceased(book, held, rules)), still)
    stage = rules.stage(case.days_past_due, severity, tier=case.tier, stance=case.stance)
    if case.deceased:
        stage = min(stage, HARSHEST_FOR_ESTATE, key=lambda each: each.rank)
    return replace(case, stage=stage)


def worst(episodes: Iterable[Episode]) -> Severity:
    """The highest severity."""
    return max((episode.severity for episode in episodes), key=lambda severity: severity.rank)


def raised(before: Case, after: Case) -> bool:
    """Whether a case stands higher than it did."""
    return after.severity.rank > before.severity.rank or after.stage.rank > before.stage.rank


def _in_time(before: Case, now: Case, at: datetime, rules: Ladder) -> Case:
    """Raised, it is due no later than before; stepped back, it has the time of where it stands now."""
    if raised(before, now):
        within = rules.due_within(now.severity)
        if now.is_paused:
            left = min(now.sla_left_seconds or 0, int(within.total_seconds()))
            return replace(now, sla_left_seconds=left)
        due = at + within
        return replace(now, state=_RAISED.get(now.state, now.state), due_at=min(now.due_at or due, due))
    if raised(now, before):
        state = state_of(now, ()) if now.state is CaseState.ESCALATED else now.state
        return restarted(replace(now, state=state, approved_stage=_still_approved(now)), at, rules)
    return now


def _still_approved(case: Case) -> str | None:
    """An approval ends when the case steps back below it: the next time is asked for anew."""
    known = case.approved_stage
    return known if known is not None and Stage(known).rank <= case.stage.rank else None


def _deceased(book: Book, held: Iterable[Episode], rules: Ladder) -> bool:
    """Whether an episode that was not withdrawn says that the borrower has died, here or in an earlier case."""
    rule = rules.deceased
    return book.deceased or any(
        e.detector == rule.detector and e.step >= rule.step and e.status is not AlertStatus.WITHDRAWN for e in held
    )


def _ended(case: Case, book: Book, last: Episode, at: datetime, rules: Ladder) -> Case:
    """No episode is open any more. Withdrawn, unless something that deserves a case was true."""
    held = book.attached()
    true = [e for e in held if e.status is AlertStatus.RESOLVED and e.severity.rank >= rules.opens_from.rank]
    state, closed_as = CaseState.CLOSED, "withdrawn"
    if last.status is AlertStatus.RESOLVED:
        state, closed_as = CaseState.RESOLVED, last.resolution or "resolved"
    elif true:
        latest = max(true, key=lambda e: (e.changed_at, e.episode_id))
        state, closed_as = CaseState.RESOLVED, latest.resolution or "resolved"
    end = replace(stopped(case), state=state, closed_as=closed_as, closed_at=at)
    return replace(end, deceased=_deceased(book, held, rules))
