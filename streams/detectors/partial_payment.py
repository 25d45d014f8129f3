from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import after_next_due, no_longer_overdue
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup
from streams.engine.loan import ACTIVE, CLOSED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Installment, Loan


class PartialPayment(Detector):
    """By due + 1 something was paid on an installment, but less than 90 % of it.

    Why: a borrower who pays a part wants to pay and cannot: the earliest sign of inability, and the best time for a
    plan.
    Settings: a higher `full_share` reports smaller shortfalls.
    Known false alarms: rounding by the payer (the 90 % takes care of it), a second transfer under way.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: thank for the part, ask what is missing and offer to spread the rest.
    Source: a payment of at least 90 % may count as full (FFIEC retail credit policy).
    """

    key: ClassVar[str] = "partial_payment"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = "Thank for the part that was paid, ask what is missing and offer to spread the rest."

    full_share: float = Field(default=0.9, gt=0, le=1)
    lookback_days: int = Field(default=62, ge=1, le=400, description="Installments due longer ago are left alone")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Each recent installment that was paid in part when its due day had passed."""
        for loan in view.loans:
            day = view.day(loan) if loan.status == ACTIVE else loan.ended_on
            known = view.episode(self.key, loan.id)
            for line in loan.installments:
                if line.due >= day:
                    break
                late = line.cleared is None or line.cleared > line.due
                recent = line.due > max(day - self.lookback_days, loan.watched_from)
                if late and line.paid and (recent or (known is not None and known.onset == line.due)):
                    yield from self._weigh(loan, line)

    def _weigh(self, loan: Loan, line: Installment) -> Iterator[Finding]:
        paid = loan.paid_by(line.due).get(line.number, 0)
        if not 0 < paid < self.full_share * line.amount:
            return
        over = "cured" if line.cleared is not None else None
        if over is None and loan.status != ACTIVE:
            over = "closed" if loan.status == CLOSED else "charged_off"
        yield Finding(
            loan.id,
            line.due,
            1,
            Severity.WATCH,
            f"Installment {line.number} was paid to {paid * 100 // line.amount} % by its due day.",
            (Measure(name="paid_share", value=round(paid / line.amount, 4), threshold=self.full_share),),
            (loan.opened_event, *(p.event for p in loan.payments[-2:] if p.event)),
            over,
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the next due day."""
        return after_next_due(view)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Another payment valued in time, or a new schedule."""
        return no_longer_overdue(view, episode)
