"""What became of an alert: one CloudEvent on `alert-outcomes` for each judgement of a person or a case system.

An outcome speaks of an episode, through one of its alerts. Whoever judges again writes another one: of an episode the
latest `decided_at` counts. From them the precision of a detector is told (`ews detectors NAME`).
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Literal, Self
from uuid import UUID  # noqa: TC003 - pydantic reads the annotations at run time

from pydantic import BaseModel, ConfigDict, Field, model_validator

from schemas.fields import Id, Time, Token  # noqa: TC001 - pydantic reads the annotations at run time

NOTE_CHARS_MAX = 500
OUTCOME_TYPE = "ews.alert.outcome.v1"


class Verdict(StrEnum):
    """What an alert turned out to be. The first two count as true."""

    CONFIRMED_RISK = "confirmed_risk"
    VALUABLE_ALERT = "valuable_alert"
    FALSE_POSITIVE = "false_positive"

    @property
    def true(self) -> bool:
        """Whether the alert was worth raising."""
        return self is not Verdict.FALSE_POSITIVE


class AlertOutcomeData(BaseModel):
    """The judgement of one alert."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    alert_id: UUID
    episode_id: UUID
    detector: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")]
    borrower: Token = Field(description="The borrower's token, as the alert names it")
    outcome: Verdict
    decided_at: Time
    by: Token = Field(description="Who decided: a staff member's or system's account, never a borrower")
    note: Annotated[str, Field(max_length=NOTE_CHARS_MAX)] | None = Field(
        default=None, description="For a person, and without one: no name or number of a borrower"
    )


class AlertOutcome(BaseModel):
    """An alert was judged. `subject` and the record's key are the borrower's token, as of the alert itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    specversion: Literal["1.0"]
    id: Id
    source: Token
    type: Literal["ews.alert.outcome.v1"] = "ews.alert.outcome.v1"
    subject: Token
    time: Time
    datacontenttype: Literal["application/json"] = "application/json"
    traceparent: str | None = None
    data: AlertOutcomeData

    @model_validator(mode="after")
    def _speaks_of_its_subject(self) -> Self:
        if self.subject != self.data.borrower:
            raise ValueError("subject is not the borrower")
        return self
