"""What the API answers, as OpenAPI shows it: a contract of its own, made from the stores' values by attribute."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any, Final, Self, TypeVar

import xxhash
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from schemas.alerts import AlertStatus, Mode, Severity
from schemas.outcomes import Verdict
from streams.api.desk import BorrowerFile
from streams.casework.contact import Channel, Kind
from streams.casework.roles import Role
from streams.stores.case import CaseState, Stage
from streams.stores.contact_log import PastRefusal
from streams.stores.work import ApprovalState, HardStep, PromiseState

JSON: Final = "application/json"
Answer = TypeVar("Answer", bound=BaseModel)


class _Answer(BaseModel):
    """Read from a value with the same names."""

    model_config = ConfigDict(from_attributes=True, use_attribute_docstrings=True)

    @classmethod
    def of(cls, value: Any) -> Self:
        """The answer that shows this value."""
        return cls.model_validate(value)


class Loan(_Answer):
    """A loan of the borrower as the last alert about it saw it."""

    loan: str
    currency: str
    days_past_due: int
    bucket: str
    overdue_minor: int
    outstanding_minor: int
    as_of: datetime


class Case(_Answer):
    """A case: one open case per borrower. `version` grows with every change."""

    case_id: str
    borrower: str
    state: CaseState
    stage: Stage
    needs_approval: bool
    severity: Severity
    next_step: str
    owner: str | None
    due_at: datetime | None
    """When somebody must have acted; null while the clock is paused."""
    opened_at: datetime
    changed_at: datetime
    closed_at: datetime | None
    closed_as: str | None
    version: int
    days_past_due: int
    """The maximum over the loans."""
    loans: tuple[Loan, ...]
    tier: str | None
    score: int | None
    stance: str | None
    recovery: float | None
    approved_stage: str | None
    is_paused: bool
    resume_at: datetime | None
    breached_at: datetime | None
    outcome: str | None


class Episode(_Answer):
    """An alert episode as its highest revision so far left it, with the measures that made it."""

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
    measures: tuple[dict[str, Any], ...]
    opened_at: datetime
    changed_at: datetime


class Promise(_Answer):
    """A promise to pay. Kept or broken is told by repayments."""

    promise_id: str
    case_id: str
    loan: str
    currency: str
    amount_minor: int
    promised_on: date
    made_at: datetime
    made_by: str
    state: PromiseState
    paid_minor: int
    changed_at: datetime


class Approval(_Answer):
    """A request for a hard step, and the answer."""

    approval_id: str
    case_id: str
    step: HardStep
    state: ApprovalState
    requested_at: datetime
    requested_by: str
    note_id: str
    """The note of the case that says why."""
    decided_at: datetime | None
    decided_by: str | None


class Plan(_Answer):
    """A schedule that was agreed anew."""

    plan_id: str
    case_id: str
    loan: str
    reason: str
    effective_on: date
    until: date | None
    schedule: tuple[dict[str, Any], ...]
    agreed_at: datetime
    agreed_by: str


class Note(_Answer):
    """What somebody wrote down; empty once it is erased."""

    note_id: str
    at: datetime
    by: str
    text: str
    erased_at: datetime | None


class Judgement(_Answer):
    """What somebody said of an episode."""

    episode_id: str
    detector: str
    verdict: Verdict
    decided_at: datetime
    decided_by: str


class Contact(_Answer):
    """A contact that was tried."""

    contact_id: str
    loan: str | None
    channel: Channel
    kind: Kind
    at: datetime
    reached_at: datetime | None
    undeliverable_at: datetime | None


class CaseFile(_Answer):
    """A case with all that belongs to it, but its history (which has its own address)."""

    case: Case
    episodes: tuple[Episode, ...]
    promises: tuple[Promise, ...]
    approvals: tuple[Approval, ...]
    plans: tuple[Plan, ...]
    notes: tuple[Note, ...]
    judgements: tuple[Judgement, ...]
    contacts: tuple[Contact, ...]


class Line(_Answer):
    """A line of the audit trail."""

    number: int
    at: datetime
    actor: str
    action: str
    detail: dict[str, Any]


class Cases(_Answer):
    """Some of the cases."""

    items: tuple[Case, ...]
    next_cursor: str | None
    """Where the next ones begin; null at the end. The `Link` header has it as an address."""


class Episodes(_Answer):
    """Some of the open episodes."""

    items: tuple[Episode, ...]
    next_cursor: str | None


class Lines(_Answer):
    """Some of a case's history."""

    items: tuple[Line, ...]
    next_after: int | None
    """Ask with `after` of this for the next ones; null at the end."""


class Refused(_Answer):
    """A contact that a rule forbade."""

    channel: Channel
    kind: Kind
    loan: str | None
    rule: str
    pack: str
    detail: str
    at: datetime
    next_at: datetime | None

    @classmethod
    def of(cls, value: PastRefusal) -> Self:
        """The answer that shows a refusal as the contact log has it."""
        attempt, refusal = value.attempt, value.refusal
        return cls(
            channel=attempt.channel,
            kind=attempt.kind,
            loan=attempt.loan,
            rule=refusal.rule,
            pack=refusal.pack,
            detail=refusal.detail,
            at=value.at,
            next_at=refusal.next_at,
        )


class Borrower(_Answer):
    """All that is known of a borrower but how to reach them."""

    borrower: str
    cases: tuple[Case, ...]
    episodes: tuple[Episode, ...]
    promises: tuple[Promise, ...]
    plans: tuple[Plan, ...]
    contacts: tuple[Contact, ...]
    refusals: tuple[Refused, ...]

    @classmethod
    def of(cls, value: BorrowerFile) -> Self:
        """The answer that shows a borrower's file."""
        shown = {name: getattr(value, name) for name in cls.model_fields if name != "refusals"}
        return cls.model_validate(shown | {"refusals": tuple(map(Refused.of, value.refusals))})


class Address(_Answer):
    """One way to reach the borrower."""

    address_id: str
    channel: Channel
    address: str = Field(description="Masked unless an admin asks with `reveal=true`.")
    consented_at: datetime | None
    opted_out_at: datetime | None
    third_party: bool


class ContactRecord(_Answer):
    """How and when a borrower may be reached."""

    borrower: str
    zone: str
    language: str
    packs: tuple[str, ...]
    country: str | None
    preferred: tuple[time, time] | None
    opted_out_at: datetime | None
    addresses: tuple[Address, ...]


class Kept(_Answer):
    """What became of a contact record that was sent."""

    outcome: str
    """new, changed, or same where it was known."""


class Erasure(_Answer):
    """What was erased. The audit trail keeps the token."""

    record: bool
    addresses: int
    notes: int


class Checked(_Answer):
    """Whether a contact may be made now; if not, by which rule, and when next."""

    allowed: bool
    rule: str | None = None
    pack: str | None = None
    detail: str | None = None
    next_at: datetime | None = None


class Notifier(_Answer):
    """Whether messages go out, and how many wait."""

    paused_since: datetime | None
    messages: dict[str, dict[str, int]]
    """Numbers by channel and status."""


class Approvals(_Answer):
    """Requests for hard steps that wait for a supervisor, the oldest first."""

    items: tuple[Approval, ...]


class Precision(_Answer):
    """How right a detector's alerts were, as people judged them."""

    detector: str
    confirmed_risk: int
    valuable_alert: int
    false_positive: int
    precision: float


class Precisions(_Answer):
    """The live precision of every detector that somebody has judged."""

    items: tuple[Precision, ...]


class Column(_Answer):
    """One stage of the board: how many open cases, and the most urgent of them."""

    stage: Stage
    count: int
    cases: tuple[Case, ...]


class Board(_Answer):
    """The open cases by stage."""

    stages: tuple[Column, ...]


class Verified(_Answer):
    """Whether the audit trail and the cases are as they were written."""

    faults: tuple[str, ...]
    cases: int
    lines: int
    hash: str
    """Of the last line. Keep it elsewhere: only it shows what one who can write everything has done."""


class Me(_Answer):
    """Whose key it is."""

    account: str
    role: Role


def answer(value: BaseModel, *, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """The answer, written by pydantic at once: FastAPI would check it a second time."""
    return Response(value.model_dump_json(), status, headers, JSON)


def etag_of(version: int, body: str) -> str:
    """The version, and a digest of what a version does not count: contacts made, notes erased."""
    return f'"{version}.{xxhash.xxh32_hexdigest(body.encode())}"'
