"""What each servicing fact does to a borrower's loans.

Every function checks first and changes after, so that a rejected fact changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import xxhash

from schemas import events
from schemas.codec import InvalidEvent, Reason
from streams.engine.calendar import business_day, day_of, local_day, ms_of
from streams.engine.loan import (
    ACTIVE,
    CHARGED_OFF,
    CLOSED,
    PROMISES_MAX,
    RETURNED,
    STANDS,
    VALUES_MAX,
    Installment,
    Loan,
    Payment,
    Profile,
    Promise,
    Valued,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.engine.borrower import Borrower
    from streams.engine.policy import Servicing

NACHA = {"R01": "AM04", "R09": "AM04"}
"""US Nacha return codes read as ISO 20022 insufficient funds."""


def hash_of(*parts: object) -> int:
    """A 64-bit hash of some texts."""
    return xxhash.xxh3_64_intdigest("\x1f".join(map(str, parts)).encode())


def open_loan(borrower: Borrower, event: events.LoanOpened | events.LoanSnapshot, servicing: Servicing) -> bool:
    """A loan begins, or a running one is taken on with what is already paid."""
    data = event.data
    known = borrower.loan(data.loan)
    if known is not None:
        if known.opened_event == event.id:
            return False
        raise InvalidEvent(Reason.LOAN_EXISTS, "a loan with this token was opened by another event")
    loan = Loan(
        data.loan, data.currency, data.servicing_zone, event.source, data.product, data.channel, data.principal_minor,
        event.id, 0, _lines(data.schedule, servicing), materiality=servicing.materiality_minor, profile=_profile(data),
    )  # fmt: skip
    if data.collateral is not None:
        valued_on = data.collateral.valued_on
        day = local_day(ms_of(event.time), loan.zone) if valued_on is None else day_of(valued_on)
        loan.collateral.append(Valued(day, data.collateral.value_minor, event.id))
    if isinstance(data, events.LoanSnapshotData):
        loan.watched_from = day_of(data.as_of)
        for part in sorted(data.paid, key=lambda part: part.cleared_on or data.as_of):
            valued = day_of(part.cleared_on or data.as_of)
            loan.payments.append(
                Payment(
                    hash_of("snapshot", part.number),
                    valued,
                    part.paid_minor,
                    0,
                    allocation=[(part.number, part.paid_minor)],
                )
            )
    else:
        loan.watched_from = local_day(ms_of(event.time), loan.zone)
    loan.reallocate()
    borrower.loans.append(loan)
    return True


def _profile(data: events.LoanOpenedData | events.LoanSnapshotData) -> Profile | None:
    links = [f"device:{token}" for token in data.device_tokens]
    links += [f"guarantor:{token}" for token in data.guarantor_tokens]
    links += [f"phone:{data.phone_token}"] if data.phone_token else []
    named = (data.industry or "", data.region or "", data.employer_token or "")
    profile = Profile(*named, links, data.stated_income_minor)
    return None if profile == Profile() else profile


def _lines(schedule: tuple[events.Installment, ...], servicing: Servicing) -> list[Installment]:
    lines = []
    for line in schedule:
        due = day_of(line.due_on)
        parts = (line.penalty_minor, line.fee_minor, line.interest_minor)
        lines.append(
            Installment(
                line.number,
                business_day(due) if servicing.business_days == "following" else due,
                line.amount_minor,
                parts=parts if any(parts) else None,
            )
        )
    return lines


def change_schedule(loan: Loan, event: events.ScheduleChanged, servicing: Servicing) -> bool:
    """The unpaid rest has a new schedule, or the count of days stands still for a time."""
    data = event.data
    day = day_of(data.effective_on)
    if data.reason is events.ScheduleChangeReason.FORBEARANCE:
        loan.freezes.append((day, None if data.until is None else day_of(data.until)))
    if data.schedule:
        loan.reschedule(_lines(data.schedule, servicing), data.reason, day)
    else:
        loan.rescheduled.append((day, data.reason))
    return True


def receive(loan: Loan, event: events.RepaymentReceived, _: Servicing) -> bool:
    """Money came. The same payment again is a duplicate; the same id with another amount or value day is a conflict."""
    data = event.data
    if data.currency != loan.currency:
        raise InvalidEvent(Reason.CURRENCY_MISMATCH, "the repayment is in another currency than its loan")
    valued = local_day(ms_of(data.valued_at), loan.zone)
    parts = [(part.number, part.amount_minor) for part in data.allocation]
    key, content = hash_of(data.payment_id), xxhash.xxh32_intdigest(f"{data.amount_minor}|{valued}|{parts}".encode())
    known = next((p for p in loan.payments if p.key == key), None)
    if known is None:
        loan.add(Payment(key, valued, data.amount_minor, content, allocation=parts or None, event=event.id))
        return True
    if known.content == content:
        return False
    if known.content or known.state != RETURNED:
        raise InvalidEvent(
            Reason.ID_CONFLICT, "this payment id was received with another amount, value day or allocation"
        )
    # Its return came first: it never stood, but now we know what it was.
    known.valued, known.amount, known.content, known.event = valued, data.amount_minor, content, event.id
    loan.reorder()
    return True


def give_back(loan: Loan, event: events.RepaymentReturned, _: Servicing) -> bool:
    """A payment was returned, or an attempt failed of which nothing was booked."""
    data = event.data
    reason, day = NACHA.get(data.reason_code, data.reason_code), local_day(ms_of(event.time), loan.zone)
    key = hash_of(data.payment_id)
    known = next((p for p in loan.payments if p.key == key), None)
    if known is None:
        loan.add(Payment(key, day, 0, 0, RETURNED, reason, event=event.id, returned_on=day))
        return True
    if known.state == RETURNED:
        if known.reason == reason:
            return False
        raise InvalidEvent(Reason.ID_CONFLICT, "this payment id was returned for another reason")
    loan.reverse(known, reason, day)
    known.event = event.id
    return True


def close(loan: Loan, event: events.LoanClosed, _: Servicing) -> bool:
    """Nothing is owed any more."""
    return _end(loan, CLOSED, event)


def charge_off(loan: Loan, event: events.LoanChargedOff, servicing: Servicing) -> bool:
    """The lender gave the loan up."""
    note(loan, event, servicing)
    return _end(loan, CHARGED_OFF, event)


def _end(loan: Loan, status: int, event: events.Event) -> bool:
    if loan.status != ACTIVE:
        return False
    loan.status, loan.ended_on = status, local_day(ms_of(event.time), loan.zone)
    return True


def note(loan: Loan, event: events.Event, _: Servicing) -> bool:
    """A fact that changes nothing of what is owed: only its currency is looked at."""
    currency = getattr(event.data, "currency", None)  # type: ignore[attr-defined]  # every concrete event has data
    if currency is not None and currency != loan.currency:
        raise InvalidEvent(Reason.CURRENCY_MISMATCH, "the amount is in another currency than its loan")
    return True


def disburse(loan: Loan, event: events.LoanDisbursed, servicing: Servicing) -> bool:
    """The money went out. The first time counts."""
    note(loan, event, servicing)
    if loan.disbursed is None:
        loan.disbursed = (ms_of(event.time), event.data.amount_minor, event.id)
    return True


def promise(loan: Loan, event: events.PromiseMade, servicing: Servicing) -> bool:
    """The borrower promised to pay. A promise of the same id takes the place of the former one."""
    note(loan, event, servicing)
    data, made = event.data, local_day(ms_of(event.time), loan.zone)
    new = Promise(hash_of(data.promise_id), day_of(data.promised_on), data.amount_minor, event.id, made)
    kept = [known for known in loan.promises if known.key != new.key]
    loan.promises = sorted([*kept, new], key=lambda known: (known.due, known.key))[-PROMISES_MAX:]
    return True


def value(loan: Loan, event: events.CollateralValued, servicing: Servicing) -> bool:
    """The collateral was valued. Of two values of a day the one told last counts."""
    note(loan, event, servicing)
    day = local_day(ms_of(event.time), loan.zone)
    kept = [known for known in loan.collateral if known.day != day]
    new = Valued(day, event.data.value_minor, event.id)
    loan.collateral = sorted([*kept, new], key=lambda known: known.day)[-VALUES_MAX:]
    return True


LOAN_FACTS: dict[type[events.Event], Callable[[Loan, Any, Servicing], bool]] = {
    events.ScheduleChanged: change_schedule,
    events.RepaymentReceived: receive,
    events.RepaymentReturned: give_back,
    events.LoanClosed: close,
    events.LoanChargedOff: charge_off,
    events.LoanDisbursed: disburse,
    events.PromiseMade: promise,
    events.CollateralValued: value,
}
"""The facts about a known loan. Each returns False if it was known already."""

__all__ = ["LOAN_FACTS", "STANDS", "hash_of", "open_loan"]
