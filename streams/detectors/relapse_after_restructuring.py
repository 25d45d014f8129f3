from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import Arrears, arrears_of, next_rung, no_longer_overdue
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan


class RelapseAfterRestructuring(Detector):
    """One of the first three installments after a re-age, an extension or a plan is missed.

    Why: the new schedule was made to fit what the borrower can pay; who misses it at once cannot pay this one either,
    and each further schedule only hides the loss.
    Settings: more `installments` watch for longer (a supervisor's probation is a year); `steps` are the days past due
    at which it is told, `high_from_days` and `critical_from_days` make a case of it.
    Known false alarms: a debit day that was not moved along with the schedule; payments booked late but valued in time
    (the alert is then withdrawn).
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: no other schedule yet: go through income and debts anew; decide between a lasting plan and recovery.
    Source: assumption (EBA: a year of probation after forbearance).
    """

    key: ClassVar[str] = "relapse_after_restructuring"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = (
        "Go through income and debts anew before another schedule; decide between a lasting plan and recovery."
    )

    installments: int = Field(default=3, ge=1, le=24, description="Installments after the change that are watched")
    reasons: frozenset[str] = Field(
        default=frozenset({"extension", "re_age", "plan"}), description="Changes of the schedule that count"
    )
    steps: tuple[int, ...] = Field(default=(1, 5, 31), description="Days past due at which it is told")
    high_from_days: int = Field(default=5, ge=1, le=365, description="Days past due from which severity is high")
    critical_from_days: int = Field(default=31, ge=1, le=365, description="The same for critical")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The runs of days past due that begin soon after the latest change of each loan's schedule."""
        for loan in view.loans:
            change = self._change(loan)
            if change is not None:
                first, last = self._watched(loan, change[0])
                for arrears in arrears_of(view, loan, first, last):
                    step = rung(self.steps, arrears.days)
                    if step:
                        yield self._finding(arrears, step, change[1], arrears.spell.lines[0].number)

    def _finding(self, arrears: Arrears, step: int, change: str, number: int) -> Finding:
        high = Severity.CRITICAL if step >= self.critical_from_days else Severity.HIGH
        return Finding(
            arrears.loan.id,
            arrears.spell.onset,
            step,
            high if step >= self.high_from_days else Severity.WATCH,
            f"Installment {number}, soon after the {change.replace('_', '-')}, {'was' if arrears.over else 'is'} "
            f"{arrears.days} days past due.",
            (
                Measure(name="days_past_due", value=arrears.days, threshold=step),
                Measure(name="restructured_by", value=change),
            ),
            arrears.evidence,
            arrears.over,
        )

    def _change(self, loan: Loan) -> tuple[int, str] | None:
        return next(((day, why) for day, why in reversed(loan.rescheduled) if why in self.reasons), None)

    def _watched(self, loan: Loan, changed: int) -> tuple[int, int]:
        """Where the first installments that fall due after a change stand in the schedule."""
        first = next((i for i, line in enumerate(loan.installments) if line.due > changed), len(loan.installments))
        return first, first + self.installments

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The start of the day on which the next of the watched installments is missed, or missed for longer."""
        for loan in view.loans:
            change = self._change(loan)
            if change is not None:
                yield from next_rung(view, loan, self.steps, *self._watched(loan, change[0]))

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The run is gone from the facts."""
        return no_longer_overdue(view, episode)
