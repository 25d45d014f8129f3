from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.arrears import loan_over
from streams.engine.calendar import DAY_MS, HOUR_MS, local_day
from streams.engine.codes import BETTING, CASH, FINANCIAL, QUASI_CASH, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE
from streams.engine.measure import Kind, Measure, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.loan import Loan

DAYS = 14
"""A transaction that becomes known later than this after it occurred is not followed any more."""


class ProceedsDiversion(Detector):
    """At least half of the lent money, and no pocket money, goes to betting, cash or another lender within 72 hours.

    Why: a loan that is not used for its purpose is used to play, to pay another loan, or never to be paid back.
    Settings: a lower `share_min` or longer `window_hours` tells of more loans; `mccs` are the merchant categories
    counted; below `income_min` of the stated monthly income it is pocket money. The episode lasts `memory_days` after
    the money went out: by then the first installments have told.
    Known false alarms: a purchase that is paid in cash (a used car); a loan meant to pay off another one (leave 6012
    out for such products); cash drawn from what was there before.
    On 1,000 simulated healthy borrowers: 2 high episodes a year.
    First step: ask what the money was used for, with documents; hold further payouts and check the application.
    Source: assumption (following the flow of the lent money is asked for by lenders).
    """

    key: ClassVar[str] = "proceeds_diversion"
    listens: ClassVar[frozenset[str]] = frozenset(
        {TRANSACTION, "ews.loan.disbursed.v1", "ews.loan.closed.v1", "ews.loan.charged_off.v1"}
    )
    first_step: ClassVar[str] = "Ask what the money was used for, with documents; hold further payouts."

    share_min: float = Field(default=0.5, gt=0, le=1, description="Of the amount that was paid out")
    window_hours: int = Field(default=72, ge=1, le=240)
    income_min: float = Field(default=0.2, ge=0, le=5, description="Of the stated monthly income, where one is known")
    memory_days: int = Field(default=90, ge=1, le=365, description="How long an episode lasts after the payout")
    mccs: frozenset[str] = BETTING | QUASI_CASH | CASH | FINANCIAL

    def measures(self) -> tuple[Measure, ...]:
        """What goes there each hour, and the latest of it."""
        return self._diverted, self._latest

    @cached_property
    def _diverted(self) -> Measure:
        where = (("indicator", frozenset({"DBIT"})), ("mcc", self.mccs))
        return Measure("diverted.hourly", TRANSACTION, Kind.TOTAL, DAYS, where, value="amount_minor", bucket_ms=HOUR_MS)

    @cached_property
    def _latest(self) -> Measure:
        return self._diverted._replace(name="diverted.last", kind=Kind.LAST, per="currency")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Each loan whose money went out lately."""
        for loan in view.loans:
            if loan.disbursed is not None and loan.status == ACTIVE:
                known = view.episode(self.key, loan.id)
                ends = loan.disbursed[0] + self.memory_days * DAY_MS
                if view.now_ms < ends and known is not None:
                    yield Finding(loan.id, known.onset, 1, Severity.HIGH, "The lent money was diverted.", ())
                elif view.now_ms < min(ends, loan.disbursed[0] + DAYS * DAY_MS):
                    yield from self._weigh(view, loan)

    def _weigh(self, view: BorrowerView, loan: Loan) -> Iterator[Finding]:
        assert loan.disbursed is not None
        since_ms, lent, told_by = loan.disbursed
        until_ms = since_ms + self.window_hours * HOUR_MS
        hour_ms = since_ms // HOUR_MS * HOUR_MS
        count, gone = total(self._diverted, view.store(self._diverted, loan.currency), hour_ms, until_ms)
        stated = loan.profile.stated_income or 0 if loan.profile is not None else 0
        if not count or gone < self.share_min * lent or gone < self.income_min * stated:
            return
        seen = view.store(self._latest, loan.currency).seen
        share, window = gone / lent if lent else 1.0, f"PT{self.window_hours}H"
        yield Finding(
            loan.id, local_day(since_ms, loan.zone), 1, Severity.HIGH,
            f"{share:.0%} of the lent money went to cash, betting or another lender within {self.window_hours} hours.",
            (
                alerts.Measure(name="diverted_share", value=round(share, 4), threshold=self.share_min, window=window),
                alerts.Measure(name="diverted_minor", value=gone, window=window),
                alerts.Measure(name="disbursed_minor", value=lent),
            ),
            (told_by, *(entry.event for entry in seen if hour_ms <= entry.at < until_ms)),
        )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when it is to be forgotten."""
        for loan in view.loans:
            if loan.disbursed is not None and view.episode(self.key, loan.id) is not None:
                ends = loan.disbursed[0] + self.memory_days * DAY_MS
                if ends > view.now_ms:
                    yield Wakeup(ends)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The loan is over, or the payout is long ago."""
        over = loan_over(view, episode)
        return over or ended(episode, "expired", "The payout is long ago; the installments tell how the loan goes.")
