from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import Arrears, arrears_of, still_running
from streams.engine.calendar import midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE, STANDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan, Promise


class BrokenPromise(Detector):
    """Of a promise to pay less than 90 % has come by the day after the promised one, and the loan is still overdue.

    Why: a promise that is kept is the best sign of a cure; one that is broken says that the plan behind it was none,
    and the second one in a row says that there will be none.
    Settings: a lower `kept_share` forgives more; more `grace_days` wait longer for a transfer under way; `high_from`
    is how many broken ones within one run of days past due open a case.
    Known false alarms: a transfer over a bank holiday; a promise that was put off by telephone and not written down
    (one that is renewed by its day is not broken: the new one counts).
    On 1,000 simulated healthy borrowers: 2 watch episodes a year; with a harmless trouble: 14 watch.
    First step: call on the same day, ask what stood in the way, and take a smaller promise or a plan, not the same one.
    Source: assumption (90 % as in partial_payment).
    """

    key: ClassVar[str] = "broken_promise"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | {"ews.promise.made.v1"}
    first_step: ClassVar[str] = "Call today, ask what stood in the way, and agree on a smaller promise or a plan."

    kept_share: float = Field(default=0.9, gt=0, le=1, description="A promise paid to this share is kept")
    grace_days: int = Field(default=1, ge=0, le=14, description="Days after the promised one on which payment counts")
    high_from: int = Field(default=2, ge=1, le=8, description="Broken promises of one run from which severity is high")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The broken promises of each run of days past due."""
        for loan in view.loans:
            if loan.promises:
                for arrears in arrears_of(view, loan):
                    broken = self._broken(view, arrears)
                    if broken:
                        yield self._finding(view, arrears, broken)

    def _finding(self, view: BorrowerView, arrears: Arrears, broken: list[Promise]) -> Finding:
        loan, count, last = arrears.loan, len(broken), broken[-1]
        known = view.episode(self.key, loan.id)
        goes_on = known is not None and arrears.spell.onset <= known.onset < loan.promises[0].due
        share = round(_paid(loan, last, last.due + self.grace_days) / last.amount, 4)
        return Finding(
            loan.id,
            known.onset if known is not None and goes_on else broken[0].due,
            count,
            Severity.HIGH if count >= self.high_from else Severity.WATCH,
            f"{count} promise{'s' * (count > 1)} to pay {'were' if count > 1 else 'was'} broken; of the last one "
            f"{share:.0%} came in time.",
            (
                Measure(name="promise_paid_share", value=share, threshold=self.kept_share),
                Measure(name="promises_broken", value=count, threshold=self.high_from),
            ),
            tuple(promise.event for promise in broken),
            arrears.over,
        )

    def _broken(self, view: BorrowerView, arrears: Arrears) -> list[Promise]:
        loan, spell = arrears.loan, arrears.spell
        day = view.day(loan) if loan.status == ACTIVE else loan.ended_on
        return [
            promise
            for promise in loan.promises
            if spell.onset < (by := promise.due + self.grace_days) < day
            and (spell.end is None or by < spell.end)
            and not any(promise.made < later.made <= by for later in loan.promises)
            and _paid(loan, promise, by) < self.kept_share * promise.amount
        ]

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When the last day of the next promise has passed."""
        for loan in view.loans:
            day = view.day(loan)
            coming = [p.due + self.grace_days + 1 for p in loan.promises if p.due + self.grace_days >= day]
            if coming and loan.status == ACTIVE:
                yield Wakeup(midnight_ms(min(coming), loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """A new schedule, or payments valued in time that show that the promise was kept."""
        loan = still_running(view, episode)
        if isinstance(loan, Finding):
            return loan
        return ended(episode, "disproved", "A payment valued in time, or a later promise, shows that none was broken.")


def _paid(loan: Loan, promise: Promise, by: int) -> int:
    """What was paid since a promise was made, by value day."""
    return sum(p.amount for p in loan.payments if p.state == STANDS and promise.made <= p.valued <= by)
