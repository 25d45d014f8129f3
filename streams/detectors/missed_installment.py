from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import Arrears, arrears_of, first_alone, next_rung, no_longer_overdue
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, rung
from streams.engine.loan import bucket_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView, Wakeup


class MissedInstallment(Detector):
    """A due day passed and the installment is not paid: known by silence, once the servicing feed is complete past it.

    Why: days past due are the measure of trouble that every later one is checked against; each further rung makes a
    cure less likely. The episode opens at 1 day past due, escalates up the ladder and is resolved when the run is
    over.
    Settings: a lower first rung or no grace warns earlier and more often; `high_from_days` decides when a case opens,
    `watch_from_days` from when it is more than a slip, which is left to the reminders.
    Known false alarms: payments booked late but valued in time (the alert is then withdrawn); bank holidays (use
    grace or the business-day rule). The first installment of several is left to first_payment_default.
    On 1,000 simulated healthy borrowers a year 54 slips (info); with a harmless trouble 1,750.
    First step: a friendly reminder with the ways to pay; ask for the reason before anything else.
    Source of the ladder: early arrears, and with them watch, 5-30 days (SAMA 41033343 app. 1); backstops beyond 30 and
    at 90 days (IFRS 9 5.5.11, B5.5.37); charge-off at 120 and 180 (FFIEC retail credit policy). High and critical are
    assumptions.
    """

    key: ClassVar[str] = "missed_installment"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = (
        "Remind the borrower of the missed installment, offer the ways to pay and ask for the reason."
    )

    steps: tuple[int, ...] = (1, 5, 15, 31, 61, 91, 121, 181)
    grace_days: int = Field(default=0, ge=0, le=30)
    watch_from_days: int = Field(default=5, ge=1, le=90, description="Days past due before which it is only info")
    high_from_days: int = Field(default=15, ge=1, le=365, description="Days past due from which a case opens")
    critical_from_days: int = Field(default=61, ge=1, le=365, description="Days past due from which it is critical")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Each run of days past due of each loan."""
        for loan in view.loans:
            for arrears in arrears_of(view, loan, first_alone(loan)):
                step = rung(self.steps, arrears.days) if arrears.days > self.grace_days else 0
                if step:
                    yield self._finding(arrears, step)

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The start of the day on which the next rung is reached."""
        steps = tuple(max(step, self.grace_days + 1) for step in self.steps)
        for loan in view.loans:
            yield from next_rung(view, loan, steps, first_alone(loan))

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The run is gone from the facts."""
        return no_longer_overdue(view, episode)

    def _finding(self, arrears: Arrears, step: int) -> Finding:
        line = arrears.spell.lines[0]
        return Finding(
            arrears.loan.id,
            arrears.spell.onset,
            step,
            self._severity(step),
            f"Installment {line.number} is unpaid {arrears.days} days past due."
            if arrears.over is None
            else f"Installment {line.number} was {arrears.days} days past due.",
            (
                Measure(name="days_past_due", value=arrears.days, threshold=step),
                Measure(name="bucket", value=bucket_of(arrears.days)),
            ),
            arrears.evidence,
            arrears.over,
        )

    def _severity(self, step: int) -> Severity:
        if step >= self.high_from_days:
            return Severity.CRITICAL if step >= self.critical_from_days else Severity.HIGH
        return Severity.WATCH if step >= self.watch_from_days else Severity.INFO
