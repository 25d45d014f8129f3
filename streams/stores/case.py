"""What a case is: one open case per borrower, its loans, its episodes, where it stands. Values only, no SQL.

A case is what a person works; alerts open it, raise it and take it back. Nothing here changes in place.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson

from schemas.alerts import AlertStatus, Mode, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import date, datetime

    from streams.stores.work import Approval, Judgement, Note, Outgoing, Plan, Promise


class CaseState(StrEnum):
    """Where a case stands. The last two are ends: a later episode opens a new case."""

    OPEN = "open"
    IN_PROGRESS = "in_progress"
    PROMISE_TO_PAY = "promise_to_pay"
    BROKEN_PROMISE = "broken_promise"
    HARDSHIP_REQUESTED = "hardship_requested"
    ON_HOLD = "on_hold"
    ESCALATED = "escalated"
    RESOLVED = "resolved"
    CLOSED = "closed"


class Stage(StrEnum):
    """The ladder, mildest first."""

    REMINDER = "reminder"
    CALL = "call"
    COLLECTOR = "collector"
    LAWYERS_LETTER = "lawyers_letter"
    LITIGATION = "litigation"

    @property
    def rank(self) -> int:
        """0 for a reminder up to 4 for litigation."""
        return _RANKS[self]

    @property
    def hard(self) -> bool:
        """Whether the law and the house want a supervisor's approval first."""
        return self.rank >= Stage.LAWYERS_LETTER.rank


class Pause(StrEnum):
    """Why the time to act stands still. A case may be paused for several of them at once."""

    PROMISE = "promise"
    HARDSHIP = "hardship"
    DISPUTE = "dispute"
    HOLD = "hold"


_RANKS = {stage: rank for rank, stage in enumerate(Stage)}
ENDED = (AlertStatus.WITHDRAWN, AlertStatus.RESOLVED)


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseLoan:
    """A loan of the borrower as the last alert about it saw it."""

    loan: str
    currency: str
    days_past_due: int
    bucket: str
    overdue_minor: int
    outstanding_minor: int
    as_of: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """An alert episode as its highest revision so far left it. `severity` is the last one of its open time."""

    episode_id: str
    case_id: str | None
    borrower: str
    detector: str
    loan: str | None
    onset: date
    mode: Mode
    status: AlertStatus
    severity: Severity
    step: int
    revision: int
    reason: str
    first_step: str
    resolution: str | None
    measures: tuple[Mapping[str, Any], ...]
    opened_at: datetime
    changed_at: datetime
    risk: Mapping[str, Any] | None = None
    """Tier, score, stance and recovery, of an episode of the borrower's risk."""

    @property
    def is_open(self) -> bool:
        """Neither withdrawn nor resolved."""
        return self.status not in ENDED


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A case without its episodes, which `Book` holds. `version` grows with every change."""

    case_id: str
    borrower: str
    opening_alert: str
    state: CaseState
    stage: Stage
    needs_approval: bool
    severity: Severity
    next_step: str
    owner: str | None
    due_at: datetime | None
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    closed_as: str | None
    version: int
    loans: tuple[CaseLoan, ...] = ()
    tier: str | None = None
    """Of the borrower's risk (`schemas.alerts.Risk`): watch, high or critical; None while no alert has said it."""
    score: int | None = None
    stance: str | None = None
    """unable, unwilling or undetermined, as the latest risk alert says."""
    recovery: float | None = None
    """The share of what is owed that may come back, 0 to 1."""
    approved_stage: str | None = None
    """The hardest step of the ladder that a supervisor has approved."""
    sla_left_seconds: int | None = None
    """What was left of the time to act when the clock was paused; None while it runs. A paused case has no `due_at`."""
    resume_at: datetime | None = None
    """When a pause ends by itself: the day after a promise, the end of a hold."""
    breached_at: datetime | None = None
    """When the time to act ran out with nobody having acted; None again when somebody has."""
    outcome: str | None = None
    """What a person judged the case to be: a `schemas.outcomes.Verdict`."""
    pauses: tuple[Pause, ...] = ()
    """Why it is paused, in the order of the enumeration; empty while the clock runs."""
    hold_until: datetime | None = None
    """The end of the hold that a person has set."""
    hardship_granted: bool = False
    """Help was granted: nobody is dunned until a plan is agreed or the case ends."""
    deceased: bool = False
    """The bank says that the borrower has died: nobody is contacted, also when the case is over."""

    @property
    def is_paused(self) -> bool:
        """Whether the time to act stands still."""
        return self.sla_left_seconds is not None

    @property
    def days_past_due(self) -> int:
        """The borrower's: the maximum over the loans."""
        return max((loan.days_past_due for loan in self.loans), default=0)


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the audit trail before it is chained: what was done to a case, by whom, when."""

    case_id: str
    at: datetime
    actor: str
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)
    case_digest: str | None = None
    """Of the case as this left it, on the last line of a change."""


@dataclass(frozen=True, slots=True)
class AuditLine(Entry):
    """One line of the audit trail as it is kept, with its number in the chain."""

    number: int = 0


@dataclass(frozen=True, slots=True)
class Applied:
    """That an alert was taken up, and what became of it."""

    alert_id: str
    episode_id: str
    revision: int
    case_id: str | None
    outcome: str
    at: datetime


@dataclass(slots=True)
class Changes:
    """What one transaction writes, gathered over many decisions: the last value of each, every audit line."""

    cases: dict[str, Case] = field(default_factory=dict)
    episodes: dict[tuple[str, str], Episode] = field(default_factory=dict)
    attached: set[str] = field(default_factory=set)
    same_loans: set[str] = field(default_factory=set)
    """Cases whose loans stand as they were: people and time change none."""
    entries: list[Entry] = field(default_factory=list)
    applied: list[Applied] = field(default_factory=list)
    promises: dict[str, Promise] = field(default_factory=dict)
    approvals: dict[str, Approval] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    notes: dict[str, Note] = field(default_factory=dict)
    judgements: dict[str, Judgement] = field(default_factory=dict)
    outgoing: list[Outgoing] = field(default_factory=list)
    """Events that are to be published because of the change, in the same transaction."""

    def add_episode(self, episode: Episode) -> None:
        """An episode as it now is. One that a case holds is no longer loose."""
        if episode.case_id is not None:
            self.attached.add(episode.episode_id)
            self.episodes.pop((episode.episode_id, ""), None)
        self.episodes[episode.episode_id, episode.case_id or ""] = episode


@dataclass(frozen=True, slots=True)
class Book:
    """All that a decision about one borrower may see: the open case, if any, and the episodes that matter to it."""

    borrower: str
    case: Case | None = None
    episodes: Mapping[str, Episode] = field(default_factory=dict)
    promises: tuple[Promise, ...] = ()
    """Those of the open case."""
    approvals: tuple[Approval, ...] = ()
    plans: tuple[Plan, ...] = ()
    deceased: bool = False
    """An earlier case says that the borrower has died."""
    open_elsewhere: str | None = None
    """The borrower's open case, where `case` is one that has ended."""
    since: tuple[Episode, ...] = ()
    """What became of the episodes of an ended `case` after its end, and which others are open and in no case."""

    def attached(self) -> list[Episode]:
        """The episodes of the open case, open and ended."""
        return [] if self.case is None else of_case(self.case.case_id, self.episodes.values())

    def loose(self) -> list[Episode]:
        """Open episodes that no case holds."""
        return [episode for episode in self.episodes.values() if episode.case_id is None and episode.is_open]


def of_case(case_id: str, episodes: Iterable[Episode]) -> list[Episode]:
    """The episodes of a case in one fixed order."""
    return sorted((e for e in episodes if e.case_id == case_id), key=lambda e: (e.opened_at, e.episode_id))


_LATER = (
    "tier",
    "score",
    "stance",
    "recovery",
    "approved_stage",
    "sla_left_seconds",
    "resume_at",
    "breached_at",
    "outcome",
    "pauses",
    "hold_until",
    "hardship_granted",
    "deceased",
)
"""Fields that cases gained later: absent from the content while they say nothing, so that older digests still hold."""


def content(
    case: Case,
    episodes: Iterable[Episode],
    promises: Iterable[Promise] = (),
    approvals: Iterable[Approval] = (),
    plans: Iterable[Plan] = (),
) -> dict[str, Any]:
    """A case with everything in it, ready for JSON: the same from every database."""
    whole = asdict(case)
    for name in _LATER:
        if whole[name] is None or whole[name] is False or whole[name] == ():
            del whole[name]
    whole["loans"] = sorted((asdict(loan) for loan in case.loans), key=lambda loan: str(loan["loan"]))
    whole["episodes"] = [_without_none(asdict(episode), "risk") for episode in of_case(case.case_id, episodes)]
    more: tuple[tuple[str, str, Iterable[Promise | Approval | Plan]], ...] = (
        ("promises", "promise_id", promises),
        ("approvals", "approval_id", approvals),
        ("plans", "plan_id", plans),
    )
    for name, key, rows in more:
        held = {getattr(row, key): asdict(row) for row in rows if row.case_id == case.case_id}
        if held:
            whole[name] = [held[each] for each in sorted(held)]
    return whole


def _without_none(row: dict[str, Any], name: str) -> dict[str, Any]:
    """A row without a field that was added later, while it says nothing."""
    return row if row[name] is not None else {key: value for key, value in row.items() if key != name}


def digest(
    case: Case,
    episodes: Iterable[Episode],
    promises: Iterable[Promise] = (),
    approvals: Iterable[Approval] = (),
    plans: Iterable[Plan] = (),
) -> str:
    """SHA-256 of the content, so that the audit trail can vouch for the case itself."""
    return hashlib.sha256(canonical(content(case, episodes, promises, approvals, plans))).hexdigest()


def canonical(value: Any) -> bytes:
    """JSON with sorted keys and times in UTC: equal values give equal bytes."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_UTC_Z | orjson.OPT_NAIVE_UTC)
