from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.arrears import loan_of, loan_over
from streams.engine.calendar import DAY_MS, iso_days, local_day, midnight_ms
from streams.engine.codes import LOAN, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE, STANDS, Loan
from streams.engine.measure import Kind, Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.loan import Payment
    from streams.engine.measure import Seen

DAYS = 100


class Turn(NamedTuple):
    """Money of another lender that became a repayment."""

    credit: Seen
    payment: Payment


class BorrowToRepay(Detector):
    """Another lender's money comes in, and at least 80 % of it goes into the own loan within 3 days.

    Why: the installment is paid, and the debt has grown: the next one will need a larger loan.
    Settings: a lower `share_min` or more `within_days` sees more of it; `cover_min` asks that the other lender's money
    paid at least that part of the repayment; twice within `memory_days` is high, and after so many days it is
    forgotten. Credits from `own_lenders`, and those that equal an own payout, are no other lender's.
    Known false alarms: a refinancing of the own loan at another lender's better rate (it ends with the loan); a credit
    of a loan to a family member that goes through the account.
    On 1,000 simulated healthy borrowers: no episode in a year (nor on others: their loans elsewhere are larger).
    First step: ask what the other loan is for and what it costs; add up all installments and offer a plan.
    Source: assumption.
    """

    key: ClassVar[str] = "borrow_to_repay"
    listens: ClassVar[frozenset[str]] = frozenset(
        {
            TRANSACTION, "ews.repayment.received.v1", "ews.repayment.returned.v1", "ews.loan.disbursed.v1",
            "ews.loan.closed.v1", "ews.loan.charged_off.v1",
        }
    )  # fmt: skip
    first_step: ClassVar[str] = "Ask what the other loan is for and what it costs; add up all installments."

    share_min: float = Field(default=0.8, gt=0, le=1, description="Of the other lender's money")
    cover_min: float = Field(default=0.5, ge=0, le=1, description="Other lender's money over the repayment")
    within_days: int = Field(default=3, ge=0, le=10)
    high_from: int = Field(default=2, ge=1, le=8, description="Times within the memory that make it high")
    memory_days: int = Field(default=60, ge=1, le=DAYS - 10)
    own_lenders: frozenset[str] = frozenset({"own"})

    def measures(self) -> tuple[Measure, ...]:
        """The latest credits that are loans of others."""
        return (self._credits,)

    @cached_property
    def _credits(self) -> Measure:
        where = (("indicator", frozenset({"CRDT"})), ("purpose", LOAN))
        return Measure(
            "lenders.credits", TRANSACTION, Kind.LAST, DAYS, where, value="amount_minor",
            unless=(("counterparty_token", self.own_lenders),), per="currency",
        )  # fmt: skip

    def _turns(self, view: BorrowerView, loan: Loan, within_days: int) -> list[Turn]:
        """Each repayment of the last days with the credit that paid it, oldest first."""
        lent = [seen for seen in view.store(self._credits, loan.currency).seen if not self._is_own(view, seen)]
        today = local_day(view.now_ms, loan.zone)
        turns = []
        for payment in loan.payments if lent else ():
            if payment.state == STANDS and today - payment.valued < within_days:
                credit = next((seen for seen in lent if self._pays(seen, payment, loan)), None)
                if credit is not None:
                    turns.append(Turn(credit, payment))
        return turns

    def _is_own(self, view: BorrowerView, credit: Seen) -> bool:
        paid_out = [loan.disbursed for loan in view.loans if loan.disbursed is not None]
        return any(abs(at - credit.at) <= 3 * DAY_MS and lent == credit.what for at, lent, _ in paid_out)

    def _pays(self, credit: Seen, payment: Payment, loan: Loan) -> bool:
        later = payment.valued - local_day(credit.at, loan.zone)
        is_most = payment.amount >= self.share_min * credit.what
        return 0 <= later <= self.within_days and is_most and credit.what >= self.cover_min * payment.amount

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The repayments of each running loan that another lender paid."""
        for loan in view.loans:
            turns = self._turns(view, loan, self.memory_days) if loan.status == ACTIVE else []
            if turns:
                last, is_high = turns[-1], len(turns) >= self.high_from
                share = last.payment.amount / max(1, last.credit.what)
                yield Finding(
                    loan.id, None, 2 if is_high else 1, Severity.HIGH if is_high else Severity.WATCH,
                    f"{share:.0%} of another lender's money went into the loan within {self.within_days} days.",
                    (
                        alerts.Measure(
                            name="repaid_share", value=round(share, 4), threshold=self.share_min,
                            window=iso_days(self.within_days),
                        ),
                        alerts.Measure(name="times", value=len(turns), threshold=self.high_from),
                    ),
                    tuple(event for turn in turns for event in (turn.credit.event, turn.payment.event)),
                )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when its oldest repayment is forgotten."""
        for loan in view.loans:
            known = view.episode(self.key, loan.id)
            if known is not None and (turns := self._turns(view, loan, self.memory_days)):
                yield Wakeup(midnight_ms(turns[0].payment.valued + self.memory_days, loan.zone))

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The loan is over, it is long ago, or the repayment came back."""
        over, loan = loan_over(view, episode), loan_of(view, episode)
        if over is not None or loan is None:
            return over or ended(episode, "closed", "The loan is over.")
        if self._turns(view, loan, DAYS):
            return ended(episode, "expired", "It did not happen again.")
        return ended(episode, "disproved", "The repayment came back, or the money was no other lender's.")
