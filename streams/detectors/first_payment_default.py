from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from schemas.alerts import Measure, Severity
from streams.engine.arrears import arrears_of, first_alone, next_rung, no_longer_overdue
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, rung

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView, Wakeup


class FirstPaymentDefault(Detector):
    """The very first installment of a loan of several is unpaid: at due + 1, confirmed at + 7 and + 30.

    Why: a borrower who never pays once often never meant to (fraud, stacking) or was never able to; recovery falls
    fastest here. It stands in place of missed_installment for installment 1 and goes on up the ladder after + 30.
    Settings: later steps confirm more and warn later.
    Known false alarms: mandates set up too late for the first debit; a first due day few days after opening.
    On 1,000 simulated healthy borrowers: 5 watch episodes a year; with a harmless trouble: 189 watch and 34 high.
    First step: check identity, mandate and account, then call the borrower the same day.
    Source: steps are assumptions; the later ones are the ladder of missed_installment. A loan with one installment has
    no first payment apart from the loan, so it is left to missed_installment.
    """

    key: ClassVar[str] = "first_payment_default"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = (
        "Check identity, mandate and account of the new loan, then call the borrower the same day."
    )

    steps: tuple[int, ...] = (1, 7, 30, 61, 91, 121, 181)
    high_from_days: int = 7
    critical_from_days: int = 30

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The run of the first installment of each loan."""
        for loan in view.loans:
            for arrears in arrears_of(view, loan, 0, first_alone(loan)):
                step = rung(self.steps, arrears.days)
                if step:
                    high = Severity.CRITICAL if step >= self.critical_from_days else Severity.HIGH
                    yield Finding(
                        loan.id,
                        arrears.spell.onset,
                        step,
                        high if step >= self.high_from_days else Severity.WATCH,
                        f"The first installment {'was' if arrears.over else 'is'} {arrears.days} days past due.",
                        (Measure(name="days_past_due", value=arrears.days, threshold=step),),
                        arrears.evidence,
                        arrears.over,
                    )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The start of the day on which the next step is reached."""
        for loan in view.loans:
            yield from next_rung(view, loan, self.steps, 0, first_alone(loan))

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The run is gone from the facts."""
        return no_longer_overdue(view, episode)
