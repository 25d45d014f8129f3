from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import still_running
from streams.engine.calendar import date_of, date_text, day_of, midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE, BUCKET_DAYS, bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan

MONTHS = 12


class SerialRoll(Detector):
    """At two month ends in a row the loan stood in a later bucket than the month before: it rolled forward twice.

    Why: a loan that rolls once often rolls back; of those that roll twice most go on to charge-off.
    Settings: a higher `rolls_min` is surer and a month later; `critical_from` is how many rolls make it critical.
    Known false alarms: a payment that was on its way over the month's end (one valued in time withdraws the alert).
    Misses: February is short, so a loan at exactly 31 or 32 days in January does not roll in it.
    On 1,000 simulated healthy borrowers: 0 high episodes a year; with a harmless trouble: none.
    First step: take it from the queue of reminders: decide on a plan, on collateral or on recovery now.
    Source: assumption; buckets of 30 days, from month end to month end.
    """

    key: ClassVar[str] = "serial_roll"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = "Take it from the queue of reminders; decide on a plan, on collateral or on recovery."

    rolls_min: int = Field(default=2, ge=2, le=6, description="Rolls forward in a row")
    cooldown_days: int = Field(default=3, ge=0, le=365, description="Days of calm: a debit may come back")
    critical_from: int = Field(default=3, ge=2, le=12, description="Rolls in a row from which severity is critical")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The rolls that end with the last month's end, of each loan that is overdue still."""
        for loan in view.loans:
            day = view.day(loan)
            if loan.status == ACTIVE and loan.days_past_due(day):
                ends = _month_ends(loan, day)
                rolls = _rolls(loan, ends)
                if rolls >= self.rolls_min:
                    yield self._finding(loan, ends, rolls)

    def _finding(self, loan: Loan, ends: list[int], rolls: int) -> Finding:
        stood = [bucket_of(loan.days_past_due(end)) for end in ends[-rolls - 1 :]]
        return Finding(
            loan.id,
            ends[self.rolls_min - rolls - 1],
            rolls,
            Severity.CRITICAL if rolls >= self.critical_from else Severity.HIGH,
            f"Rolled forward {rolls} month ends in a row, {' to '.join(stood)}, the last one {date_text(ends[-1])}.",
            (
                Measure(name="rolls_forward", value=rolls, threshold=self.rolls_min),
                Measure(name="bucket", value=stood[-1]),
            ),
            (loan.opened_event, *(p.event for p in loan.payments[-2:] if p.event)),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the next month end, not before the second one that finds the oldest installment unpaid."""
        for loan in view.loans:
            day = view.day(loan)
            line = loan.oldest_unpaid(day)
            if line is not None:
                second = _month_end(_month_end(line.due + 1) + 1)
                yield Wakeup(midnight_ms(max(second, _month_end(day)) + 1, loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The loan is over or has a new schedule, it never rolled so, it is paid, or it has stopped to roll."""
        loan = still_running(view, episode)
        if isinstance(loan, Finding):
            return loan
        if _rolls(loan, _month_ends(loan, episode.onset + 1)) < self.rolls_min:
            return ended(episode, "disproved", "Payments valued in time show that it did not roll.")
        if loan.days_past_due(view.day(loan)):
            return ended(episode, "recovered", "It did not roll forward at the last month end.")
        return ended(episode, "cured", "Nothing is overdue any more.")


def _month_end(day: int) -> int:
    """The last day of the month in which a day lies."""
    coming = day_of(date_of(day).replace(day=28)) + 4
    return coming - date_of(coming).day


def _month_ends(loan: Loan, day: int) -> list[int]:
    """The last month ends before a day, oldest first, since the loan is watched."""
    ends: list[int] = []
    end = day - date_of(day).day
    while len(ends) <= MONTHS and end >= loan.watched_from:
        ends.insert(0, end)
        end -= date_of(end).day
    return ends


def _rolls(loan: Loan, ends: list[int]) -> int:
    """How many times in a row, up to the last of the month ends, the bucket was a later one than at the one before."""
    rolls = 0
    for later, earlier in pairwise(reversed(ends)):
        if _bucket(loan, later) <= _bucket(loan, earlier):
            break
        rolls += 1
    return rolls


def _bucket(loan: Loan, day: int) -> int:
    return -(-loan.days_past_due(day) // BUCKET_DAYS)
