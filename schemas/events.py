"""Events that producers write: CloudEvents 1.0.2 in structured JSON, one class for each fact.

`type` names the fact and its version, `subject` is the borrower's token, `time` is when the fact occurred, `data` is
typed. Unknown fields are allowed and ignored; an unknown type, or a field that breaks its type, makes the event
invalid. Money is an integer number of minor units with an ISO 4217 code. Times carry an offset (RFC 3339); dates are
local to the loan's servicing zone.
"""

from __future__ import annotations

from enum import StrEnum
from itertools import pairwise
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, Strict, model_validator

from schemas.fields import Count, Currency, Day, Id, Label, Minor, SignedMinor, Time, Token, Zone


class Topic(StrEnum):
    """The topics that producers write to. `schemas.topics` says how each is laid out."""

    REPAYMENTS = "repayments"
    TRANSACTIONS = "transactions"
    BUREAU = "bureau"
    CONTACTS = "contacts"
    FEEDS = "feeds"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class Event(_Frozen):
    """The CloudEvents envelope. `source` and `id` together are unique.

    `recordedtime` (the CloudEvents extension of that name) is when the producer wrote the fact down, for facts that
    became known later than they occurred. A replay orders events by it, or by `time` where it is absent.
    """

    topic: ClassVar[Topic]

    specversion: Literal["1.0"]
    id: Id
    source: Token
    type: str
    subject: Token
    time: Time
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str | None = None
    recordedtime: Time | None = None
    partitionkey: str | None = None
    traceparent: str | None = None


class Installment(_Frozen):
    """One line of a schedule. The parts, where given, add up to `amount_minor`; what they leave out is principal."""

    number: Annotated[int, Strict(), Field(ge=1, le=1200)]
    due_on: Day
    amount_minor: Minor
    penalty_minor: Minor = 0
    fee_minor: Minor = 0
    interest_minor: Minor = 0

    @model_validator(mode="after")
    def _parts_fit(self) -> Self:
        if self.penalty_minor + self.fee_minor + self.interest_minor > self.amount_minor:
            raise ValueError("penalty, fee and interest exceed amount_minor")
        return self


Schedule = Annotated[tuple[Installment, ...], Field(min_length=1, max_length=600)]


def _check_schedule(schedule: tuple[Installment, ...]) -> None:
    numbers = [line.number for line in schedule]
    dues = [line.due_on for line in schedule]
    if any(a >= b for a, b in pairwise(numbers)):
        raise ValueError("numbers must increase")
    if any(a > b for a, b in pairwise(dues)):
        raise ValueError("due dates must not decrease")


class Collateral(_Frozen):
    """What secures a loan, with its value at a day."""

    kind: Label
    value_minor: Minor
    valued_on: Day | None = None


class _LoanTerms(_Frozen):
    loan: Token
    currency: Currency
    servicing_zone: Zone
    product: Label
    channel: Label
    principal_minor: Minor
    schedule: Schedule
    collateral: Collateral | None = None
    industry: Label | None = None
    region: Label | None = None
    employer_token: Token | None = None
    device_tokens: Annotated[tuple[Token, ...], Field(max_length=8)] = ()
    phone_token: Token | None = None
    guarantor_tokens: Annotated[tuple[Token, ...], Field(max_length=8)] = ()
    stated_income_minor: Minor | None = None

    @model_validator(mode="after")
    def _schedule_runs_forward(self) -> Self:
        _check_schedule(self.schedule)
        return self


class LoanOpenedData(_LoanTerms):
    """A new loan with its schedule of due dates and amounts."""


class PaidInstallment(_Frozen):
    """What was already paid on an installment when a running loan is taken on."""

    number: Annotated[int, Strict(), Field(ge=1, le=1200)]
    paid_minor: Minor
    cleared_on: Day | None = None


class LoanSnapshotData(_LoanTerms):
    """A running loan taken on as it stands: the whole schedule and what is already paid on it."""

    as_of: Day
    paid: Annotated[tuple[PaidInstallment, ...], Field(max_length=600)] = ()

    @model_validator(mode="after")
    def _paid_is_scheduled(self) -> Self:
        numbers = [line.number for line in self.paid]
        if len(set(numbers)) < len(numbers):
            raise ValueError("paid names an installment twice")
        if not {line.number for line in self.schedule}.issuperset(numbers):
            raise ValueError("paid names an installment that schedule does not have")
        return self


class LoanDisbursedData(_Frozen):
    """The lent money left the lender. `transaction_id` ties it to the credit that arrives in the account, if known."""

    loan: Token
    amount_minor: Minor
    currency: Currency
    transaction_id: Id | None = None


class ScheduleChangeReason(StrEnum):
    """Why a schedule was replaced, which decides how days past due go on.

    An extension and a plan count from the new dates, a re-age begins at 0, forbearance freezes them.
    """

    EXTENSION = "extension"
    RE_AGE = "re_age"
    FORBEARANCE = "forbearance"
    PLAN = "plan"


class ScheduleChangedData(_Frozen):
    """The unpaid rest of a loan has a new schedule.

    Installments keep their numbers; `schedule` replaces the unpaid ones.
    Forbearance freezes days past due from `effective_on` to `until` (open-ended if absent).
    """

    loan: Token
    reason: ScheduleChangeReason
    effective_on: Day
    until: Day | None = None
    schedule: Annotated[tuple[Installment, ...], Field(max_length=600)] = ()

    @model_validator(mode="after")
    def _schedule_runs_forward(self) -> Self:
        _check_schedule(self.schedule)
        if not self.schedule and self.reason is not ScheduleChangeReason.FORBEARANCE:
            raise ValueError("a schedule is required unless the reason is forbearance")
        return self


class Allocation(_Frozen):
    """The part of a repayment that its producer assigned to one installment."""

    number: Annotated[int, Strict(), Field(ge=1, le=1200)]
    amount_minor: Minor


class RepaymentReceivedData(_Frozen):
    """Money for a loan. It counts from `valued_at`, whenever it was booked.

    An explicit `allocation` wins over the waterfall.
    """

    loan: Token
    payment_id: Id
    amount_minor: Annotated[Minor, Field(gt=0)]
    currency: Currency
    valued_at: Time
    allocation: Annotated[tuple[Allocation, ...], Field(max_length=64)] = ()

    @model_validator(mode="after")
    def _allocation_fits(self) -> Self:
        if self.allocation and sum(part.amount_minor for part in self.allocation) > self.amount_minor:
            raise ValueError("allocation exceeds amount_minor")
        return self


NACHA_AS_ISO: Final = {"R01": "AM04", "R09": "AM04"}
"""Return codes of Nacha that mean what a code of ISO 20022 means: insufficient, and uncollected, funds."""


def _as_iso(code: str) -> str:
    return NACHA_AS_ISO.get(code, code)


ReturnCode = Annotated[
    str,
    Field(
        pattern="^[A-Z0-9]{3,4}$",
        description="ISO 20022 external return reason (AM04, AC04, MD01, ...); R01 and R09 of Nacha are read as AM04",
    ),
    AfterValidator(_as_iso),
]


class RepaymentReturnedData(_Frozen):
    """A repayment was sent back."""

    loan: Token
    payment_id: Id
    reason_code: ReturnCode


class PromiseMadeData(_Frozen):
    """The borrower promised to pay an amount by a date."""

    loan: Token
    promise_id: Id
    amount_minor: Annotated[Minor, Field(gt=0)]
    currency: Currency
    promised_on: Day


class CollateralValuedData(_Frozen):
    """The collateral of a loan was valued anew."""

    loan: Token
    value_minor: Minor
    currency: Currency


class LoanClosedData(_Frozen):
    """The loan is over and nothing is owed any more."""

    loan: Token


class LoanChargedOffData(_Frozen):
    """The lender wrote the loan off."""

    loan: Token
    amount_minor: Minor
    currency: Currency


class TransactionBookedData(_Frozen):
    """A booked account transaction (ISO 20022 camt.053 / Berlin Group names)."""

    account: Token
    transaction_id: Id
    amount_minor: Minor
    currency: Currency
    indicator: Literal["CRDT", "DBIT"]
    status: Literal["BOOK"] = "BOOK"
    value_time: Time | None = None
    balance_after_minor: SignedMinor | None = None
    purpose: Annotated[str, Field(max_length=8)] | None = None
    bank_code: Annotated[str, Field(max_length=35)] | None = None
    mcc: Annotated[str, Field(pattern=r"^[0-9]{4}$")] | None = None
    counterparty_token: Token | None = None


def _currency_goes_with(*amounts: str) -> ConfigDict:
    """JSON Schema's way to say that an amount needs its currency; `_Priced` says it to pydantic."""
    given: JsonValue = [{"required": [name], "properties": {name: {"type": "integer"}}} for name in amounts]
    needed: JsonValue = {"required": ["currency"], "properties": {"currency": {"type": "string"}}}
    return ConfigDict(json_schema_extra={"if": {"anyOf": given}, "then": needed})


class _Priced(_Frozen):
    """Facts of a bureau whose amounts may be absent, and then their currency too."""

    currency: Currency | None = None

    @model_validator(mode="after")
    def _amounts_have_a_currency(self) -> Self:
        if self.currency is None and any(
            getattr(self, name) is not None for name in type(self).model_fields if name.endswith("_minor")
        ):
            raise ValueError("an amount needs its currency")
        return self


class InquiryMadeData(_Priced):
    """A lender asked the bureau about the borrower."""

    model_config = _currency_goes_with("amount_minor")

    lender_token: Token
    kind: Literal["hard", "soft"]
    purpose: Label | None = None
    amount_minor: Minor | None = None


METRO2_DAYS: Final = {
    "71": 30, "78": 60, "80": 90, "82": 120, "83": 150, "84": 180, "93": 90, "95": 90, "96": 90, "97": 180,
}  # fmt: skip
"""The least days past due that a Metro 2 account status stands for (collections, repossession: as of 90)."""
METRO2_OVER: Final = frozenset({"13", "61", "62", "63", "64", "65", "DA", "DF"})
"""Metro 2 account statuses of a line that is paid, closed or deleted."""


class TradelineReportedData(_Priced):
    """The bureau's monthly line of an account with some lender."""

    model_config = _currency_goes_with("balance_minor", "limit_minor")

    lender_token: Token
    tradeline: Token
    kind: Label
    status: Annotated[str, Field(pattern=r"^[0-9A-Z]{1,2}$", description="Metro 2 account status: 11, 71, 78, 80, ...")]
    balance_minor: Minor | None = None
    limit_minor: Minor | None = None
    opened_on: Day | None = None
    days_past_due: Count | None = None

    @property
    def days_behind(self) -> int:
        """Days past due as said, else the least that the status stands for (Metro 2 account status)."""
        return self.days_past_due if self.days_past_due is not None else METRO2_DAYS.get(self.status, 0)

    @property
    def owed_minor(self) -> int:
        """The balance, 0 where the line is over or none is given."""
        return 0 if self.status in METRO2_OVER else self.balance_minor or 0


class ScoreReportedData(_Frozen):
    """A bureau score with its model and scale."""

    model: Label
    value: Annotated[int, Strict(), Field(ge=-10_000, le=10_000)]
    scale_min: Annotated[int, Strict(), Field(ge=-10_000, le=10_000)]
    scale_max: Annotated[int, Strict(), Field(ge=-10_000, le=10_000)]
    reasons: Annotated[tuple[Label, ...], Field(max_length=8)] = ()


class PublicRecordFiledData(_Priced):
    """A judgment, bankruptcy or enforcement listing."""

    model_config = _currency_goes_with("amount_minor")

    kind: Literal["judgment", "bankruptcy", "enforcement", "lien", "other"]
    reference: Token
    amount_minor: Minor | None = None


class FeedHeartbeatData(_Frozen):
    """The source has sent everything that occurred up to `complete_through`."""

    source: Token
    complete_through: Time


class ContactData(_Frozen):
    """A contact with the borrower on one channel, about a loan where one is meant."""

    contact_id: Id
    channel: Literal["call", "sms", "email", "push", "letter", "visit", "chat"]
    loan: Token | None = None


class ContactDetailsChangedData(_Frozen):
    """The borrower is to be reached in another way than before."""

    detail: Literal["device", "phone", "email", "address"]
    token: Token | None = None


class ContactOptedOutData(_Frozen):
    """The borrower is not to be contacted on a channel any more, or on none."""

    channel: Literal["all", "call", "sms", "email", "push", "letter", "visit", "chat"]


class BorrowerSnoozedData(_Frozen):
    """Somebody asked for calm about a borrower: until then no alert of theirs opens or escalates."""

    until: Time
    detector: Annotated[str, Field(pattern="^[a-z][a-z0-9_]{0,63}$")] | None = None
    reason: Annotated[str, Field(max_length=200)] | None = None
    by: Token


class BorrowerErasedData(_Frozen):
    """Somebody decided that a borrower is to be forgotten. The reason names no person."""

    by: Token
    reason: Annotated[str, Field(max_length=200)] | None = None


class LoanOpened(Event):
    """A loan was opened with its schedule."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.opened.v1"] = "ews.loan.opened.v1"
    data: LoanOpenedData


class LoanSnapshot(Event):
    """A running loan was taken on."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.snapshot.v1"] = "ews.loan.snapshot.v1"
    data: LoanSnapshotData


class LoanDisbursed(Event):
    """The lent money was paid out."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.disbursed.v1"] = "ews.loan.disbursed.v1"
    data: LoanDisbursedData


class ScheduleChanged(Event):
    """The schedule of a loan was changed."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.schedule_changed.v1"] = "ews.loan.schedule_changed.v1"
    data: ScheduleChangedData


class RepaymentReceived(Event):
    """A repayment was received."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.repayment.received.v1"] = "ews.repayment.received.v1"
    data: RepaymentReceivedData


class RepaymentReturned(Event):
    """A repayment was returned."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.repayment.returned.v1"] = "ews.repayment.returned.v1"
    data: RepaymentReturnedData


class PromiseMade(Event):
    """A promise to pay was made."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.promise.made.v1"] = "ews.promise.made.v1"
    data: PromiseMadeData


class CollateralValued(Event):
    """Collateral was valued."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.collateral.valued.v1"] = "ews.collateral.valued.v1"
    data: CollateralValuedData


class LoanClosed(Event):
    """A loan was closed."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.closed.v1"] = "ews.loan.closed.v1"
    data: LoanClosedData


class LoanChargedOff(Event):
    """A loan was charged off."""

    topic: ClassVar[Topic] = Topic.REPAYMENTS
    type: Literal["ews.loan.charged_off.v1"] = "ews.loan.charged_off.v1"
    data: LoanChargedOffData


class TransactionBooked(Event):
    """An account transaction was booked."""

    topic: ClassVar[Topic] = Topic.TRANSACTIONS
    type: Literal["ews.transaction.booked.v1"] = "ews.transaction.booked.v1"
    data: TransactionBookedData


class InquiryMade(Event):
    """A lender made an inquiry."""

    topic: ClassVar[Topic] = Topic.BUREAU
    type: Literal["ews.inquiry.made.v1"] = "ews.inquiry.made.v1"
    data: InquiryMadeData


class TradelineReported(Event):
    """A tradeline was reported."""

    topic: ClassVar[Topic] = Topic.BUREAU
    type: Literal["ews.tradeline.reported.v1"] = "ews.tradeline.reported.v1"
    data: TradelineReportedData


class ScoreReported(Event):
    """A bureau score was reported."""

    topic: ClassVar[Topic] = Topic.BUREAU
    type: Literal["ews.score.reported.v1"] = "ews.score.reported.v1"
    data: ScoreReportedData


class PublicRecordFiled(Event):
    """A public record was filed."""

    topic: ClassVar[Topic] = Topic.BUREAU
    type: Literal["ews.public_record.filed.v1"] = "ews.public_record.filed.v1"
    data: PublicRecordFiledData


class FeedHeartbeat(Event):
    """A source says how far it is complete. Its `subject` is the source's own name, not a borrower."""

    topic: ClassVar[Topic] = Topic.FEEDS
    type: Literal["ews.feed.heartbeat.v1"] = "ews.feed.heartbeat.v1"
    data: FeedHeartbeatData


class ContactAttempted(Event):
    """Somebody tried to reach the borrower."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.contact.attempted.v1"] = "ews.contact.attempted.v1"
    data: ContactData


class ContactReached(Event):
    """The borrower was reached."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.contact.reached.v1"] = "ews.contact.reached.v1"
    data: ContactData


class ContactUndeliverable(Event):
    """A message could not be delivered."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.contact.undeliverable.v1"] = "ews.contact.undeliverable.v1"
    data: ContactData


class ContactDetailsChanged(Event):
    """A way to reach the borrower has changed."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.contact.details_changed.v1"] = "ews.contact.details_changed.v1"
    data: ContactDetailsChangedData


class ContactOptedOut(Event):
    """The borrower has opted out. Holds from `time` on, until a later consent."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.contact.opted_out.v1"] = "ews.contact.opted_out.v1"
    data: ContactOptedOutData


class BorrowerSnoozed(Event):
    """Alerts of a borrower are to wait."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.borrower.snoozed.v1"] = "ews.borrower.snoozed.v1"
    data: BorrowerSnoozedData


class BorrowerErased(Event):
    """A borrower is forgotten: nothing of theirs is kept, and what still arrives is passed over."""

    topic: ClassVar[Topic] = Topic.CONTACTS
    type: Literal["ews.borrower.erased.v1"] = "ews.borrower.erased.v1"
    data: BorrowerErasedData


EVENTS: dict[str, type[Event]] = {
    model.model_fields["type"].default: model
    for model in (
        LoanOpened, LoanSnapshot, LoanDisbursed, ScheduleChanged, RepaymentReceived, RepaymentReturned, PromiseMade,
        CollateralValued, LoanClosed, LoanChargedOff, TransactionBooked, InquiryMade, TradelineReported, ScoreReported,
        PublicRecordFiled, FeedHeartbeat, ContactAttempted, ContactReached, ContactUndeliverable,
        ContactDetailsChanged, ContactOptedOut, BorrowerSnoozed, BorrowerErased,
    )
}  # fmt: skip
"""Every event type that is known, by its `type`."""
