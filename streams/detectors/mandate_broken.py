from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import loan_over
from streams.engine.calendar import midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE, RETURNED, STANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan, Payment

BROKEN, MISSED, DECEASED = 1, 2, 3


class MandateBroken(Detector):
    """A debit was returned because the account is closed (AC04) or blocked (AC06), or there is no mandate (MD01).

    Why: an account that is closed or a mandate that is revoked makes every coming debit fail; who moves the salary to
    another bank without a word often means not to pay. MD07 says that the borrower has died: nobody may be contacted.
    Settings: with more `reasons` (R02, R07, R16 of Nacha) it hears more; `settle_days` is how long another payment must
    stand before the alert ends; fewer end it sooner, and start it anew when that one is returned too.
    Known false alarms: a bank that merges or renumbers its accounts; a mandate set up too late.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: ask for a new mandate or another way to pay; after MD07 stop all contact and open a staff case.
    Source: codes of ISO 20022; severities and days are assumptions.
    """

    key: ClassVar[str] = "mandate_broken"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = "Stop further debits; ask for a new mandate or another way to pay."

    reasons: frozenset[str] = Field(
        default=frozenset({"AC04", "AC06", "MD01"}), description="Codes after which no debit can be collected"
    )
    deceased: frozenset[str] = Field(default=frozenset({"MD07"}), description="Codes that say that somebody has died")
    settle_days: int = Field(default=3, ge=0, le=60, description="Days after which a payment counts as not returned")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The latest such return of each loan, as long as no other payment stands since."""
        for loan in view.loans:
            dead = self._last(loan, self.deceased)
            last = dead or self._last(loan, self.reasons)
            if last is None or loan.status != ACTIVE:
                continue
            since = None if dead else self._paid_since(loan, last)
            if since is None or view.day(loan) < since.valued + self.settle_days:
                yield self._finding(loan, last, overdue=loan.overdue(view.day(loan)) > 0)

    def _finding(self, loan: Loan, last: Payment, *, overdue: bool) -> Finding:
        dead = last.reason in self.deceased
        step = DECEASED if dead else MISSED if overdue else BROKEN
        reasons = self.deceased if dead else self.reasons
        returned = [p for p in loan.payments if p.state == RETURNED and p.reason in reasons]
        return Finding(
            loan.id,
            None,
            step,
            (Severity.WATCH, Severity.HIGH, Severity.CRITICAL)[step - 1],
            f"The bank says that the borrower has died ({last.reason})."
            if dead
            else f"A debit was returned ({last.reason}): no coming one can be collected{' and one is due' * overdue}.",
            (Measure(name="return_reason", value=last.reason), Measure(name="returned", value=len(returned))),
            tuple(p.event for p in returned[-8:] if p.event),
            first_step="Stop all contact with the borrower and open a staff case about the estate." if dead else "",
        )

    @staticmethod
    def _last(loan: Loan, reasons: frozenset[str]) -> Payment | None:
        returned = [p for p in loan.payments if p.state == RETURNED and p.reason in reasons]
        return max(returned, key=lambda p: p.returned_on, default=None)

    @staticmethod
    def _paid_since(loan: Loan, last: Payment) -> Payment | None:
        return next((p for p in loan.payments if p.state == STANDS and p.valued >= last.returned_on), None)

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when a due day passes, or a payment since then counts as not returned."""
        for loan in view.loans:
            if view.episode(self.key, loan.id) is None or loan.status != ACTIVE:
                continue
            day, last = view.day(loan), self._last(loan, self.reasons)
            since = None if last is None else self._paid_since(loan, last)
            line = next((line for line in loan.installments if line.due >= day and line.cleared is None), None)
            days = [line.due + 1] if line is not None else []
            days += [since.valued + self.settle_days] if since is not None else []
            yield from (Wakeup(midnight_ms(at, loan.zone), loan.source) for at in days if at > day)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Another payment stands, or the loan is over."""
        return loan_over(view, episode) or ended(episode, "recovered", "A payment has come since and stands.")
