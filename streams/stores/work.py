"""What people do on a case: promises, plans, requests for hard steps, and the events of it. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime


class PromiseState(StrEnum):
    """What became of a promise to pay."""

    OPEN = "open"
    KEPT = "kept"
    BROKEN = "broken"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What the borrower promised to pay on a loan of a case, by a day. Kept or broken is told by repayments."""

    promise_id: str
    case_id: str
    borrower: str
    loan: str
    currency: str
    amount_minor: int
    promised_on: date
    made_at: datetime
    made_by: str
    state: PromiseState = PromiseState.OPEN
    paid_minor: int = 0
    changed_at: datetime


class HardStep(StrEnum):
    """Steps that need a supervisor's approval and are off unless the ladder's policy switches them on."""

    FIELD_VISIT = "field_visit"
    AGENCY_PLACEMENT = "agency_placement"
    GUARANTOR_DEMAND = "guarantor_demand"
    REPOSSESSION = "repossession"
    INSURANCE_CLAIM = "insurance_claim"
    LAWYERS_LETTER = "lawyers_letter"
    LITIGATION = "litigation"


class ApprovalState(StrEnum):
    """Where a request for a hard step stands."""

    REQUESTED = "requested"
    APPROVED = "approved"
    DECLINED = "declined"


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """A request for a hard step, and a supervisor's answer. Who asks never answers."""

    approval_id: str
    case_id: str
    step: HardStep
    state: ApprovalState
    requested_at: datetime
    requested_by: str
    note_id: str
    """The note that says why."""
    decided_at: datetime | None = None
    decided_by: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A new schedule that was agreed with the borrower, as it is published to `repayments`."""

    plan_id: str
    case_id: str
    borrower: str
    loan: str
    reason: str
    effective_on: date
    until: date | None
    schedule: tuple[Mapping[str, Any], ...]
    agreed_at: datetime
    agreed_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What a person wrote on a case. It may name somebody, so its text can be erased; the audit trail has its hash."""

    note_id: str
    case_id: str
    borrower: str
    at: datetime
    by: str
    text: str
    """Empty once it is erased."""
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What a person says of an episode: whether its alerts were right. Of several the latest counts."""

    episode_id: str
    alert_id: str
    detector: str
    borrower: str
    case_id: str | None
    verdict: str
    """A `schemas.outcomes.Verdict`."""
    decided_at: datetime
    decided_by: str


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An event that waits in the outbox until Kafka has it. By its `event_id` a repeat is known."""

    event_id: str
    topic: str
    key: str
    value: bytes
    written_at: datetime
