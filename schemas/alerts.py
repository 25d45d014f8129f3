"""Alerts that subscribers read: one CloudEvent for each revision of an alert episode.

An episode is one run of trouble that one detector sees with one borrower (and loan). It is opened, may be escalated,
and ends withdrawn (it was never true) or resolved (it was true and is over). Deduplicate by `alert_id`, order by
`revision`. Both ids are derived from the data, so a replay gives the same ones (design: UUIDv5, RFC 9562 section 5.5).
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Literal
from uuid import UUID, uuid5

from pydantic import BaseModel, ConfigDict, Field, Strict

from schemas.fields import Currency, Id, SignedMinor, Time, Token

Total = Annotated[int, Strict(), Field(ge=0, le=2**63 - 1)]
"""A sum of amounts in minor units: a loan may owe more than any one amount may be."""
EPISODES = UUID("5a4fb1b2-3f0c-5c3e-9d51-3f5f9a1f6c2e")
"""The namespace of episode ids. Changing it would make every alert new."""


class Severity(StrEnum):
    """How much an alert matters. Cases open from `high`."""

    INFO = "info"
    WATCH = "watch"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """0 for info up to 3 for critical."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class AlertStatus(StrEnum):
    """What an alert says of its episode."""

    OPENED = "opened"
    ESCALATED = "escalated"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"

    @property
    def is_over(self) -> bool:
        """Whether the episode is no longer open."""
        return self in {AlertStatus.WITHDRAWN, AlertStatus.RESOLVED}


class Mode(StrEnum):
    """Live alerts are acted on.

    Shadow ones (a detector on trial) and history ones (warm-up) open no case and send nothing.
    """

    LIVE = "live"
    SHADOW = "shadow"
    HISTORY = "history"


class Measure(BaseModel):
    """A number behind an alert: what was measured, over which window, against which threshold."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: int | float | str
    threshold: int | float | str | None = None
    window: str | None = Field(default=None, description="ISO 8601 duration, such as P30D")


class LoanPosition(BaseModel):
    """Where a loan of the borrower stands when the alert is made."""

    model_config = ConfigDict(frozen=True)

    loan: Token
    currency: Currency
    days_past_due: int = Field(
        description="Local date in the servicing zone minus the due date of the oldest installment not fully paid"
    )
    bucket: str = Field(description="M0 current, M1 1-30, M2 31-60, ...")
    overdue_minor: Total
    outstanding_minor: Total
    ifrs9_backstop: Literal["stage 2", "stage 3"] | None = Field(
        default=None, description="Backstop by days past due alone: > 30, >= 90 (IFRS 9 5.5.11, B5.5.37)"
    )
    china_card: Literal["special mention", "substandard", "doubtful", "loss"] | None = Field(
        default=None, description="Card loans in China: 1-90, 91-120, 121-180, > 180 days past due"
    )
    india_sma: Literal["SMA-0", "SMA-1", "SMA-2"] | None = Field(
        default=None, description="Special mention accounts in India: 1-30, 31-60, 61-90 days past due"
    )


class Points(BaseModel):
    """What one characteristic adds to a score."""

    model_config = ConfigDict(frozen=True)

    name: str
    value: int | float | str | None = None
    points: int


class Risk(BaseModel):
    """The borrower's risk as the policy's scorecard sees it: more points are more risk."""

    model_config = ConfigDict(frozen=True)

    score: int
    tier: Literal["none", "watch", "high", "critical"]
    reasons: tuple[Points, ...] = Field(default=(), description="What added points, the most first")
    stance: Literal["unable", "unwilling", "undetermined"] = "undetermined"
    stance_evidence: tuple[str, ...] = Field(default=(), description="The detectors that speak for the stance")
    recovery: float | None = Field(default=None, ge=0, le=1, description="The share of what is owed that may come back")


class AlertData(BaseModel):
    """One revision of an episode, with everything that explains it."""

    model_config = ConfigDict(frozen=True)

    alert_id: UUID
    episode_id: UUID
    revision: int = Field(ge=1)
    status: AlertStatus
    step: int = Field(ge=0, description="How far the episode has gone, such as the rung of the DPD ladder in days")
    severity: Severity
    mode: Mode
    detector: str
    detector_version: int
    policy_version: str
    scope: Literal["source", "cohort", "measure"] | None = Field(
        default=None, description="What `borrower` names where it is no person; absent, the alert is about a borrower"
    )
    borrower: Token = Field(description="The borrower's token; in another scope the source, cohort or measure")
    loan: Token | None = None
    onset: date = Field(description="When the trouble began: the due date, else the local day of the first crossing")
    reason: str = Field(description="One sentence for a person")
    resolution: Literal["cured", "rescheduled", "closed", "charged_off", "expired", "disproved", "recovered"] | None = (
        None
    )
    measures: tuple[Measure, ...] = ()
    evidence: tuple[Id, ...] = Field(default=(), description="Ids of the events behind it")
    first_step: str = Field(description="What to do first")
    loans: tuple[LoanPosition, ...] = ()
    balance_minor: SignedMinor | None = None
    risk: Risk | None = Field(default=None, description="With alerts of the composite detector")


class Alert(BaseModel):
    """The CloudEvent on the `alerts` topic.

    `id` is the alert id; `subject` and the record's key are the borrower's token.
    """

    model_config = ConfigDict(frozen=True)

    specversion: Literal["1.0"] = "1.0"
    id: UUID
    source: str = "ews/worker"
    type: Literal["ews.alert.opened.v1", "ews.alert.escalated.v1", "ews.alert.withdrawn.v1", "ews.alert.resolved.v1"]
    subject: Token
    time: Time = Field(description="The tick or event time at which the alert was made")
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
    data: AlertData


def episode_id(detector: str, borrower: str, loan: str | None, onset: date) -> UUID:
    """The id of an episode: the same for the same detector, borrower, loan and onset, wherever it is computed."""
    return uuid5(EPISODES, f"{detector}\x1f{borrower}\x1f{loan or ''}\x1f{onset.isoformat()}")


def alert_id(episode: UUID, revision: int, status: AlertStatus, step: int) -> UUID:
    """The id of one revision of an episode."""
    return uuid5(episode, f"{revision}\x1f{status}\x1f{step}")
