"""Facts about a loan that is not known yet: they wait for it for a time, and then apply or are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.codec import InvalidEvent, Reason, decode
from streams.engine.borrower import Waiting
from streams.engine.calendar import DAY_MS, ms_of
from streams.engine.facts import LOAN_FACTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas import events
    from streams.engine.borrower import Borrower
    from streams.engine.policy import Limits, Policy

WAITING = "_waiting"
"""The wake-up at which the oldest of them has waited long enough."""
Rejected = tuple[Waiting, Reason, str]
"""A fact that waited in vain, and why it is refused."""


def wait(borrower: Borrower, fact: Waiting, event: events.Event, limits: Limits) -> bool:
    """Keep a fact until its loan is known. False if it waits already; raises InvalidEvent if there is no room."""
    if any(decode(waiting.value) == event for waiting in borrower.waiting):
        return False
    if len(borrower.waiting) >= limits.unknown_loan_facts:
        raise InvalidEvent(Reason.UNKNOWN_LOAN, f"{limits.unknown_loan_facts} facts wait for their loans already")
    if sum(len(waiting.value) for waiting in borrower.waiting) + len(fact.value) > limits.unknown_loan_bytes:
        # They would fill the state, and with it refuse what is in order.
        raise InvalidEvent(Reason.UNKNOWN_LOAN, f"at most {limits.unknown_loan_bytes} bytes wait for their loans")
    borrower.waiting.append(fact)
    _plan(borrower, limits)
    return True


def release(borrower: Borrower, loan_id: str, policy: Policy) -> Iterator[Rejected]:
    """Apply what waited for a loan, in the order in which it occurred."""
    loan = borrower.loan(loan_id)
    assert loan is not None
    due = [waiting for waiting in borrower.waiting if waiting.loan == loan_id]
    borrower.waiting = [waiting for waiting in borrower.waiting if waiting.loan != loan_id]
    _plan(borrower, policy.limits)
    for waiting in sorted(due, key=lambda w: (ms_of(decode(w.value).time), w.since_ms)):
        event = decode(waiting.value)
        try:
            LOAN_FACTS[type(event)](loan, event, policy.servicing)
        except InvalidEvent as error:
            yield waiting, error.reason, error.detail


def give_up(borrower: Borrower, now_ms: int, limits: Limits) -> Iterator[Rejected]:
    """Refuse what has waited too long."""
    kept = limits.unknown_loan_days
    gone = [waiting for waiting in borrower.waiting if waiting.since_ms + kept * DAY_MS <= now_ms]
    borrower.waiting = [waiting for waiting in borrower.waiting if waiting.since_ms + kept * DAY_MS > now_ms]
    _plan(borrower, limits)
    for waiting in gone:
        yield waiting, Reason.UNKNOWN_LOAN, f"its loan did not become known within {kept} days"


def _plan(borrower: Borrower, limits: Limits) -> None:
    if borrower.waiting:
        borrower.wakeups[WAITING] = [(borrower.waiting[0].since_ms + limits.unknown_loan_days * DAY_MS, "")]
    else:
        borrower.wakeups.pop(WAITING, None)
