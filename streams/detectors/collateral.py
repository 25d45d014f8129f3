from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import loan_of, loan_over
from streams.engine.calendar import iso_days, midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan

WATCH, CRITICAL = 1, 2


class Collateral(Detector):
    """The collateral no longer covers the loan: loan to value at 90 % or more, or its value down 15 % in 90 days.

    Why: who owes more than the car is worth has little left to lose, and what is recovered falls with the value. It
    says little of whether the borrower will pay, and much of what is lost otherwise.
    Settings: a lower `ltv_watch` or `drop_share` warns earlier; `drop_ltv_min` keeps quiet about a fall that leaves the
    loan well covered; `rise_min` about one that was granted as high as it stands now.
    Known false alarms: one careless valuation (the next one ends it); used cars at the turn of a model year.
    On 1,000 simulated healthy borrowers: 2 watch and 2 critical episodes a year; with a harmless trouble: 27 watch.
    First step: have the collateral valued again; then ask for a partial repayment or more security.
    Source: assumption. The loan is what is due plus the principal that is not due yet: interest to come is not owed.
    """

    key: ClassVar[str] = "collateral"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | {"ews.collateral.valued.v1"}
    first_step: ClassVar[str] = "Have the collateral valued again; then ask for a partial repayment or more security."

    ltv_watch: float = Field(default=0.9, gt=0, le=5, description="Loan to value from which it is watched")
    ltv_critical: float = Field(default=1.0, gt=0, le=5, description="Loan to value from which it is critical")
    rise_min: float = Field(default=0.02, ge=0, le=1, description="Rise of loan to value since the loan was granted")
    drop_share: float = Field(default=0.15, gt=0, le=1, description="Fall of the value within the window")
    drop_days: int = Field(default=90, ge=1, le=365, description="The window; the value as of its beginning counts too")
    drop_ltv_min: float = Field(default=0.8, ge=0, le=5, description="Loan to value below which a fall is let pass")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Cover and value of each running loan that has collateral."""
        for loan in view.loans:
            if loan.collateral and loan.status == ACTIVE:
                day = view.day(loan)
                step, ltv, drop = self._weigh(loan, day, {line.number: line.paid for line in loan.installments})
                if step:
                    yield self._finding(loan, step, ltv, drop)

    def _weigh(self, loan: Loan, day: int, paid: dict[int, int]) -> tuple[int, float, float]:
        """The step that is reached as of a day, the loan to value, and by what share the value has fallen."""
        since = day - self.drop_days
        known = [valued for valued in loan.collateral if valued.day <= day]
        if not known:
            return 0, 0.0, 0.0
        value = known[-1].value or 1
        in_force = [v.value for v in known if since - self.drop_days < v.day <= since][-1:]
        highest = max([value, *in_force, *(v.value for v in known if v.day > since)])
        ltv = _claim(loan, day, paid) / value
        granted = loan.principal / (loan.collateral[0].value or 1)
        drop = 1 - value / highest
        if ltv >= self.ltv_critical and ltv >= granted + self.rise_min:
            return CRITICAL, ltv, drop
        thin = ltv >= self.ltv_watch and ltv >= granted + self.rise_min
        return WATCH * (thin or (drop >= self.drop_share and ltv >= self.drop_ltv_min)), ltv, drop

    def _finding(self, loan: Loan, step: int, ltv: float, drop: float) -> Finding:
        fallen = f", and its value fell by {drop:.0%} within {self.drop_days} days" if drop >= self.drop_share else ""
        window, over = iso_days(self.drop_days), self.ltv_critical if step == CRITICAL else self.ltv_watch
        return Finding(
            loan.id,
            None,
            step,
            Severity.CRITICAL if step == CRITICAL else Severity.WATCH,
            f"The loan is {ltv:.0%} of its collateral{fallen}.",
            (
                Measure(name="loan_to_value", value=round(ltv, 4), threshold=over),
                Measure(name="value_drop", value=round(drop, 4), threshold=self.drop_share, window=window),
            ),
            (loan.opened_event, *(v.event for v in loan.collateral[-3:] if v.event != loan.opened_event)),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the next of the values leaves the window."""
        for loan in view.loans:
            if view.episode(self.key, loan.id) is not None and loan.status == ACTIVE:
                leave = [v.day + days for v in loan.collateral for days in (self.drop_days, 2 * self.drop_days)]
                ahead = [day for day in leave if day > view.day(loan)]
                if ahead:
                    yield Wakeup(midnight_ms(min(ahead), loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The loan is over, it was covered all along, or it is again."""
        loan, over = loan_of(view, episode), loan_over(view, episode)
        if over is not None or loan is None:
            return over or ended(episode, "closed", "The loan is over.")
        if not loan.rescheduled and not self._weigh(loan, episode.onset, loan.paid_by(episode.onset))[0]:
            return ended(episode, "disproved", "What was valued or paid by then shows that the loan was covered.")
        return ended(episode, "recovered", "The collateral covers the loan again, or the fall is long ago.")


def _claim(loan: Loan, day: int, paid: dict[int, int]) -> int:
    """What is owed on what is due by a day, and the principal of the rest."""
    claim = 0
    for line in loan.installments:
        left = line.amount - paid.get(line.number, 0)
        aside = 0 if line.due <= day or not line.parts else max(0, sum(line.parts) - paid.get(line.number, 0))
        claim += max(0, left - aside)
    return claim
