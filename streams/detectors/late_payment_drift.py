from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import after_next_due, still_running
from streams.engine.calendar import midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Installment, Loan


class LatePaymentDrift(Detector):
    """Three installments in a row were each paid later after their due day than the one before.

    Why: a borrower whose money gets tight first pays a day late, then three, then a week: the drift shows weeks before
    an installment is not paid at all, while each delay alone is small.
    Settings: a higher `in_a_row` or `late_min_days` is calmer and later; with `late_min_days` 1 any drift counts.
    Known false alarms: a pay day that moved behind the due day (move the due day); holidays in a row.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: 41 watch.
    First step: ask whether the pay day has moved and offer another due day; if money is tight, talk of a plan now.
    Source: assumption.
    """

    key: ClassVar[str] = "late_payment_drift"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS
    first_step: ClassVar[str] = (
        "Ask whether the pay day has moved and offer another due day, or a plan if money is tight."
    )

    in_a_row: int = Field(default=3, ge=2, le=12, description="Installments each later than the one before")
    late_min_days: int = Field(default=5, ge=1, le=90, description="Days late of the last of them, at the least")
    held_while: frozenset[str] = frozenset({"payment_ratio_drop", "serial_roll"})

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The days late of each loan's last installments, as long as they grow."""
        for loan in view.loans:
            if loan.status == ACTIVE:
                day = view.day(loan)
                late = _growing(loan, _due(loan, day), day)
                if len(late) >= self.in_a_row and late[-1] >= self.late_min_days:
                    yield self._finding(loan, late)

    def _finding(self, loan: Loan, late: list[int]) -> Finding:
        return Finding(
            loan.id,
            None,
            len(late),
            Severity.WATCH,
            f"The last {len(late)} installments were {', '.join(map(str, late))} days late.",
            (
                Measure(name="installments_in_a_row", value=len(late), threshold=self.in_a_row),
                Measure(name="days_late", value=late[-1], threshold=self.late_min_days),
            ),
            (loan.opened_event, *(p.event for p in loan.payments[-len(late) :][-8:] if p.event)),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the next due day, and when an unpaid installment gets later than the one before was."""
        yield from after_next_due(view)
        for loan in view.loans:
            day = view.day(loan)
            due = _due(loan, day)
            if loan.status == ACTIVE and len(due) > 1 and due[-1].cleared is None and not loan.freezes:
                before = loan.days_late(due[-2].due, min(due[-2].cleared or day, day))
                passes = due[-1].due + max(before + 1, self.late_min_days)
                if passes > day:
                    yield Wakeup(midnight_ms(passes, loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The loan is over or has a new schedule, they were never so late, or one was paid sooner again."""
        loan = still_running(view, episode)
        if isinstance(loan, Finding):
            return loan
        late = _growing(loan, _due(loan, episode.onset), episode.onset)
        if len(late) < self.in_a_row or late[-1] < self.late_min_days:
            return ended(episode, "disproved", "Payments valued earlier show that they were not that late.")
        return ended(episode, "recovered", "An installment was paid sooner than the one before.")


def _due(loan: Loan, day: int) -> list[Installment]:
    """What has fallen due, or is paid, since the loan is watched and has its schedule."""
    since = max([loan.watched_from, *(changed for changed, _ in loan.rescheduled)])
    lines = [line for line in loan.installments if since < line.due]
    return [line for line in lines if line.due < day or (line.cleared is not None and line.cleared <= day)]


def _growing(loan: Loan, due: list[Installment], day: int) -> list[int]:
    """The days late, as known on a day, of the last installments, each more than the one before.

    One that is not paid yet speaks only from the day on which it is later than the one before.
    """
    days = [loan.days_late(x.due, day if x.cleared is None else min(x.cleared, day)) for x in due]
    is_open = [x.cleared is None or x.cleared > day for x in due]
    while len(days) > 1 and is_open[len(days) - 1] and days[-1] <= days[-2]:
        days.pop()
    first = len(days) - 1
    while first > 0 and 0 < days[first - 1] < days[first]:
        first -= 1
    return days[max(first, 0) :]
