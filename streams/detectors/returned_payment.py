from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import loan_over, unsettled, when_settled
from streams.engine.detector import Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE, RETURNED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView


class ReturnedPayment(Detector):
    """Two payments of a loan in a row were returned for insufficient funds (AM04).

    Why: the account is empty on purpose-made days, twice; further debits only add fees.
    Settings: `in_a_row` 1 warns at the first return and is noisy; more warns later. `settle_days` is how long a payment
    must stand before the alert ends: with 0 each debit ends it and its return begins another one.
    Known false alarms: a salary that arrives a day after the debit (move the debit day).
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: stop further debits, call and agree on another day or way to pay.
    Source: two consecutive failed attempts (US 12 CFR 1041.8); AM04 is an ISO 20022 external return reason.
    """

    key: ClassVar[str] = "returned_payment"
    listens: ClassVar[frozenset[str]] = frozenset(
        {"ews.repayment.received.v1", "ews.repayment.returned.v1", "ews.loan.closed.v1", "ews.loan.charged_off.v1"}
    )
    first_step: ClassVar[str] = "Stop further debits; call and agree on another day or way to pay."

    in_a_row: int = Field(default=2, ge=1, le=10, description="Returned payments without one that stands between")
    reasons: frozenset[str] = Field(default=frozenset({"AM04"}), description="Codes of insufficient funds")
    high_from: int = Field(default=3, ge=1, le=20, description="So many in a row make it high")
    settle_days: int = Field(default=3, ge=0, le=60, description="Days after which a payment counts as not returned")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The run of returned attempts at the end of each loan's payments."""
        for loan in view.loans:
            if loan.status != ACTIVE:
                continue
            payments, day = loan.payments, view.day(loan)
            if view.episode(self.key, loan.id) is not None:
                payments = [p for p in payments if not unsettled(p, day, self.settle_days)]
            run = list(takewhile(lambda p: p.state == RETURNED and p.reason in self.reasons, reversed(payments)))
            if len(run) >= self.in_a_row:
                yield Finding(
                    loan.id,
                    None,
                    len(run),
                    Severity.HIGH if len(run) >= self.high_from else Severity.WATCH,
                    f"{len(run)} payments in a row were returned for insufficient funds.",
                    (Measure(name="returned_in_a_row", value=len(run), threshold=self.in_a_row),),
                    tuple(p.event for p in reversed(run[:8]) if p.event),
                )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when a payment has stood for long enough."""
        return when_settled(view, self.key, self.settle_days)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """A payment stands again, or the loan is over."""
        return loan_over(view, episode) or ended(episode, "recovered", "A payment has come and stands.")
