"""Runs of days past due as detectors judge them.

A run is begun by a due day and ended by a value day, a new schedule or the loan's end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import midnight_ms
from streams.engine.detector import Finding, Wakeup, ended, next_rung_at
from streams.engine.loan import ACTIVE, CHARGED_OFF, CLOSED, STANDS, Loan, Spell

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Payment


class Arrears(NamedTuple):
    """One run: the days past due that it has reached, and how it ended (None while it goes on)."""

    loan: Loan
    spell: Spell
    days: int
    over: str | None

    @property
    def evidence(self) -> tuple[str, ...]:
        """The event that opened the loan and the last payment event."""
        last = self.loan.payments[-1].event if self.loan.payments else ""
        return (self.loan.opened_event, last) if last else (self.loan.opened_event,)


def first_alone(loan: Loan) -> int:
    """1 where the first installment of several is judged apart (first-payment default), else 0."""
    return int(len(loan.installments) > 1 and loan.installments[0].number == 1)


def arrears_of(view: BorrowerView, loan: Loan, first: int = 0, last: int | None = None) -> Iterator[Arrears]:
    """The runs of a loan over its installments [first, last), without those that ended before it was watched."""
    day = view.day(loan) if loan.status == ACTIVE else loan.ended_on
    for spell in loan.spells(first, last):
        days = loan.peak(spell, day)
        watched = spell.end is None or spell.end > loan.watched_from or view.is_open(loan.id, spell.onset)
        if days > 0 and watched:
            yield Arrears(loan, spell, days, _over(loan, spell, day))


def _over(loan: Loan, spell: Spell, day: int) -> str | None:
    if spell.end is not None:
        return "rescheduled" if any(changed == spell.end for changed, _ in loan.rescheduled) else "cured"
    if loan.status != ACTIVE:
        return "closed" if loan.status == CLOSED else "charged_off"
    return "rescheduled" if loan.frozen(day) else None


def next_rung(
    view: BorrowerView, loan: Loan, steps: tuple[int, ...], first: int = 0, last: int | None = None
) -> Iterator[Wakeup]:
    """When the oldest unpaid of the installments [first, last) reaches its next rung, or its forbearance ends."""
    line = next((line for line in loan.installments[first:last] if line.cleared is None), None)
    if line is None or loan.status != ACTIVE:
        return
    day = view.day(loan)
    wakeup = next_rung_at(loan, line.due, steps, day)
    if wakeup is not None:
        yield wakeup
    for _, until in loan.freezes:
        if until is not None and until > day:
            yield Wakeup(midnight_ms(until, loan.zone), loan.source)


def after_next_due(view: BorrowerView) -> Iterator[Wakeup]:
    """For each running loan the day after its next due day, when it is known whether that was met."""
    for loan in view.loans:
        day = view.day(loan)
        line = next((line for line in loan.installments if line.due >= day and line.cleared is None), None)
        if line is not None and loan.status == ACTIVE:
            yield Wakeup(midnight_ms(line.due + 1, loan.zone), loan.source)


def miss_over(loans: Iterable[Loan], day: int) -> str | None:
    """How what was overdue on a day, on whichever loan, came to its end; None if nothing was."""
    for loan in loans:
        if loan.status == ACTIVE and any(changed >= day for changed, _ in loan.rescheduled):
            return "rescheduled"
        if loan.status != ACTIVE and loan.ended_on >= day:
            return "closed" if loan.status == CLOSED else "charged_off"
        if loan.overdue(day):
            return "cured"
    return None


def unsettled(payment: Payment, day: int, days: int) -> bool:
    """Whether a payment that stands might still be returned: a debit comes back within days."""
    return payment.state == STANDS and payment.valued > day - days


def when_settled(view: BorrowerView, detector: str, days: int) -> Iterator[Wakeup]:
    """For each loan with an open episode, when its last payment can no longer be returned."""
    for loan in view.loans:
        if loan.status != ACTIVE or view.episode(detector, loan.id) is None:
            continue
        day = view.day(loan)
        fresh = [p.valued for p in loan.payments if unsettled(p, day, days)]
        if fresh:
            yield Wakeup(midnight_ms(min(fresh) + days, loan.zone), loan.source)


def no_longer_overdue(view: BorrowerView, episode: Episode) -> Finding:
    """An open episode whose run is gone: a new schedule took it, or a payment valued in time disproved it."""
    loan = loan_of(view, episode)
    if loan is None or (loan.status != ACTIVE and loan.ended_on <= episode.onset):
        return ended(episode, "disproved", "The loan was over before the due day.")
    line = next((line for line in loan.installments if line.due == episode.onset), None)
    paid_in_time = line is not None and line.cleared is not None and line.cleared <= line.due
    if not paid_in_time or any(day == line.cleared for day, _ in loan.rescheduled):  # type: ignore[union-attr]
        return ended(episode, "rescheduled", "The loan has a new schedule.")
    return ended(episode, "disproved", "A payment valued in time shows that the installment was paid.")


def loan_of(view: BorrowerView, episode: Episode) -> Loan | None:
    """The loan of an episode, or None if it is not kept any more."""
    return next((loan for loan in view.loans if loan.id == episode.loan), None)


def still_running(view: BorrowerView, episode: Episode) -> Loan | Finding:
    """The loan of an episode if it runs on as it did, else the last word: it is over, or has a new schedule since."""
    over, loan = loan_over(view, episode), loan_of(view, episode)
    if over is not None or loan is None:
        return over or ended(episode, "closed", "The loan is over.")
    if any(day >= episode.onset for day, _ in loan.rescheduled):
        return ended(episode, "rescheduled", "The loan has a new schedule.")
    return loan


def loan_over(view: BorrowerView, episode: Episode) -> Finding | None:
    """The last word on an episode whose loan is over, or None while the loan runs."""
    loan = loan_of(view, episode)
    if loan is not None and loan.status == ACTIVE:
        return None
    if loan is not None and loan.status == CHARGED_OFF:
        return ended(episode, "charged_off", "The loan was charged off.")
    return ended(episode, "closed", "The loan is over.")
