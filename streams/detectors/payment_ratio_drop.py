from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import after_next_due, still_running, unsettled, when_settled
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Installment, Loan


class PaymentRatioDrop(Detector):
    """Less than 80 % of the last six installments is paid, with at least two of them short.

    Why: one miss is an accident, a falling share is a trend; it also sees the borrower who always pays a little too
    little.
    Settings: a higher `ratio_min`, or fewer short ones, warns earlier; a longer window is calmer. `settle_days` is how
    long a payment must stand before it ends the alert: with 0 a debit ends it and its return begins another one.
    Known false alarms: an agreed payment holiday that was not sent as a schedule change.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: look at the account over half a year with the borrower and agree on a plan that fits.
    Source: assumption.
    """

    key: ClassVar[str] = "payment_ratio_drop"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = "Go through the last half year with the borrower and agree on a plan that fits."

    ratio_min: float = Field(default=0.8, gt=0, le=1)
    high_below: float = Field(default=0.5, ge=0, le=1)
    installments: int = Field(default=6, ge=2, le=36)
    short_min: int = Field(default=2, ge=1, le=36)
    settle_days: int = Field(default=3, ge=0, le=60, description="Days after which a payment counts as not returned")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The share of what was due lately that is paid by now."""
        for loan in view.loans:
            if loan.status != ACTIVE:
                continue
            due = self._due(loan, view.day(loan))
            ratio, short = _share(due, {line.number: line.paid for line in due}, loan.materiality)
            if short >= self.short_min and ratio < self.ratio_min:
                low = ratio < self.high_below
                yield Finding(
                    loan.id,
                    None,
                    2 if low else 1,
                    Severity.HIGH if low else Severity.WATCH,
                    f"{ratio:.0%} of the last {len(due)} installments is paid, {short} are short.",
                    (
                        Measure(
                            name="paid_ratio",
                            value=round(ratio, 4),
                            threshold=self.high_below if low else self.ratio_min,
                        ),
                        Measure(name="installments_short", value=short, threshold=self.short_min),
                    ),
                    (loan.opened_event, *(p.event for p in loan.payments[-3:] if p.event)),
                )
            else:
                yield from self._may_go_on(view, loan, due)

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the next due day, and while an episode is open when a payment has stood for long enough."""
        yield from after_next_due(view)
        yield from when_settled(view, self.key, self.settle_days)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if what was valued before its first day was enough; else the borrower has caught up."""
        loan = still_running(view, episode)
        if isinstance(loan, Finding):
            return loan
        ratio, short = _share(self._due(loan, episode.onset), loan.paid_by(episode.onset - 1), loan.materiality)
        if short < self.short_min or ratio >= self.ratio_min:
            return ended(episode, "disproved", "Payments valued in time show that enough was paid.")
        return ended(episode, "cured", "The share that is paid has risen again.")

    def _may_go_on(self, view: BorrowerView, loan: Loan, due: list[Installment]) -> Iterator[Finding]:
        """What might still be returned does not end an episode."""
        known, day = view.episode(self.key, loan.id), view.day(loan)
        if known is not None and any(unsettled(p, day, self.settle_days) for p in loan.payments):
            ratio, short = _share(due, loan.paid_by(day - self.settle_days), loan.materiality)
            if short >= self.short_min and ratio < self.ratio_min:
                reason = "Enough is paid if the latest payment is not returned."
                yield Finding(loan.id, None, known.step, Severity(known.severity), reason, ())

    def _due(self, loan: Loan, day: int) -> list[Installment]:
        return [line for line in loan.installments if line.due < day and line.due > loan.watched_from][
            -self.installments :
        ]


def _share(due: list[Installment], paid: dict[int, int], materiality: int) -> tuple[float, int]:
    """What part of what fell due is paid, and how many are short by more than the materiality."""
    owed = sum(line.amount for line in due)
    got = sum(min(paid.get(line.number, 0), line.amount) for line in due)
    return got / owed if owed else 1.0, sum(line.amount - paid.get(line.number, 0) > materiality for line in due)
