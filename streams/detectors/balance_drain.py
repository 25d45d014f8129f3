from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.balances import balance_at
from streams.engine.calendar import DAY_MS, moment_of
from streams.engine.codes import TRANSACTION
from streams.engine.detector import LOAN_EVENTS, BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.loan import ACTIVE
from streams.engine.measure import MONTH, Kind, Measure, number_of, starts_ms

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode


class BalanceDrain(Detector):
    """The month-end balance is down by 95 % over 6 months, from several installments to less than one.

    Why: savings are used up months before the first installment is missed, and nobody else sees it.
    Settings: a lower `drop_min` or shorter `months` warns earlier and more often; `cover_min` is the absolute floor:
    how many of the next installments the balance of then must have covered; the one of now covers none.
    Accounts in the loans' currency are added up; months end in UTC; a month is judged `grace_days` after its end.
    Known false alarms: a house or car bought from savings; an account that was moved to another bank.
    On 1,000 simulated healthy borrowers: 3 watch episodes a year.
    First step: ask how the next installments will be paid, and look at income and new debts.
    Source: SAMA 41033343 (month-end credit balance down by 95 % over 6 months); the floor is an assumption.
    """

    key: ClassVar[str] = "balance_drain"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | {TRANSACTION}
    first_step: ClassVar[str] = "Ask how the next installments will be paid; look at income and new debts."

    drop_min: float = Field(default=0.95, gt=0, le=2)
    months: int = Field(default=6, ge=1, le=11)
    cover_min: float = Field(default=3.0, ge=0, description="The balance of then over the next installments")
    grace_days: int = Field(default=2, ge=0, le=15, description="Days for late bookings after the end of a month")
    held_while: frozenset[str] = frozenset({"drain_after_miss"})

    def measures(self) -> tuple[Measure, ...]:
        """Month-end balances of each account."""
        return (self._monthly,)

    @cached_property
    def _monthly(self) -> Measure:
        days = min(365, 31 * (self.months + 1) + self.grace_days)
        return Measure(
            "balance.monthly",
            TRANSACTION,
            Kind.CLOSING,
            days,
            value="balance_after_minor",
            bucket_ms=MONTH,
            per="account",
        )

    def quiet(self) -> tuple[Measure, ...]:
        """They are looked at when a month has ended."""
        return (self._monthly,)

    def _month(self, at_ms: int) -> int:
        """The number of the month whose beginning is the last month-end that is judged at an instant."""
        return number_of(self._monthly, at_ms - self.grace_days * DAY_MS)

    def _due(self, view: BorrowerView) -> dict[str, int]:
        """By currency, what the next installments of the running loans come to."""
        due: dict[str, int] = {}
        for loan in view.loans:
            line = next((line for line in loan.installments if line.cleared is None), None)
            if loan.status == ACTIVE and line is not None:
                due[loan.currency] = due.get(loan.currency, 0) + line.amount
        return due

    def _drop(self, view: BorrowerView, currency: str, month: int, due: int) -> tuple[float, int, int] | None:
        """By which share the balance fell until the end of the month before, from what to what; None if it did not."""
        now = balance_at(view, self._monthly, currency, starts_ms(self._monthly, month))
        then = balance_at(view, self._monthly, currency, starts_ms(self._monthly, month - self.months))
        if now is None or then is None or then <= 0 or then < self.cover_min * due or now >= due:
            return None
        return (1 - now / then, then, now) if then - now >= self.drop_min * then else None

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The currency of the loans with the deepest fall."""
        month = self._month(view.now_ms)
        drops = [drop for currency, due in self._due(view).items() if (drop := self._drop(view, currency, month, due))]
        if drops:
            share, then, now = max(drops)
            yield Finding(
                "", None, 1, Severity.WATCH,
                f"The month-end balance fell by {share:.0%} in {self.months} months.",
                (
                    alerts.Measure(
                        name="balance_fall_share", value=round(share, 4), threshold=self.drop_min,
                        window=f"P{self.months}M",
                    ),
                    alerts.Measure(name="balance_then_minor", value=then),
                    alerts.Measure(name="balance_now_minor", value=now),
                ),
            )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The end of this month, while a loan runs or an episode is open."""
        if self._due(view) or view.episode(self.key, "") is not None:
            month = self._month(view.now_ms)
            yield Wakeup(starts_ms(self._monthly, month + 1) + self.grace_days * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if the balances of then say so by now; over with the loans; else the account has recovered."""
        due = self._due(view)
        if not due:
            return ended(episode, "closed", "The loans are over.")
        month = self._month((episode.onset + 1) * DAY_MS)
        if self._month(view.now_ms) == month:
            text = f"The balances at the end of {moment_of(starts_ms(self._monthly, month) - 1):%B} were others."
            return ended(episode, "disproved", text)
        return ended(episode, "recovered", "The account holds enough again.")
