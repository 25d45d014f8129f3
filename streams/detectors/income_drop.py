from __future__ import annotations

from functools import cached_property
from statistics import median
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.codes import INCOME, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.income import MONTHLY_FROM, WINDOW_DAYS, Income, Incomes, income_measure, incomes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.measure import Measure


class Fall(NamedTuple):
    """Incomes that are lower than they used to be: the ones before, the usual amount, and the low ones."""

    before: list[Income]
    usual: float
    low: list[Income]

    @property
    def share(self) -> float:
        """By which share the latest income is lower than usual."""
        return 1 - self.low[-1].amount / self.usual


class IncomeDrop(Detector):
    """A recurring income (salary, pension, benefit) is 30 % lower than the median of the three months before.

    Why: hours cut, a benefit in place of a salary, a worse job: the installments stay, what pays them does not.
    Settings: a lower `drop_min` warns of smaller falls and more often; `steady_max` is how far the incomes before may
    lie from their median, so that irregular earners are left alone; `high_min` is the fall that makes it high.
    At least `references_min` incomes of the last `reference_days` must be known, else it says nothing; a weekly
    earner needs two low incomes in a row.
    Known false alarms: unpaid leave; a part of the salary that goes to another account; a bonus spread over months.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: ask what has changed and for how long; offer a lower installment before the next due day.
    Source: SAMA 41033343 (payroll fall over 3 months); 30 % is an assumption.
    """

    key: ClassVar[str] = "income_drop"
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Ask what has changed and for how long; offer a lower installment before the due day."

    purposes: frozenset[str] = INCOME
    drop_min: float = Field(default=0.3, gt=0, lt=1, description="Share by which the income must fall")
    high_min: float = Field(default=0.6, gt=0, le=1, description="Share from which the severity is high")
    reference_days: int = Field(default=100, ge=30, le=365, description="The past that is the ruler")
    references_min: int = Field(default=3, ge=2, le=7, description="Incomes that must be known of it")
    steady_max: float = Field(default=0.3, ge=0, description="How far those may lie from their median")

    def measures(self) -> tuple[Measure, ...]:
        """The latest incomes."""
        return (self._income,)

    @cached_property
    def _income(self) -> Measure:
        return income_measure(self.purposes)

    def _fall(self, known: Incomes | None) -> Fall | None:
        """The fall that goes on with the latest income, or None."""
        fall: Fall | None = None
        payments = known.payments if known else []
        for index, income in enumerate(payments):
            if fall is not None:
                is_low = income.amount <= (1 - self.drop_min) * fall.usual
                fall = fall._replace(low=[*fall.low, income]) if is_low else None
            if fall is None:
                fall = self._begin(payments[:index], income)
        low_min = 1 if known and known.gap >= MONTHLY_FROM else 2
        return fall if fall is not None and len(fall.low) >= low_min else None

    def _begin(self, earlier: list[Income], income: Income) -> Fall | None:
        before = [known for known in earlier if income.day - known.day <= self.reference_days]
        if len(before) < self.references_min:
            return None
        usual = median(known.amount for known in before)
        is_steady = all(abs(known.amount - usual) <= self.steady_max * usual for known in before)
        return Fall(before, usual, [income]) if is_steady and income.amount <= (1 - self.drop_min) * usual else None

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """How far the latest income lies below the usual one."""
        fall = self._fall(incomes(view, self._income))
        if fall is not None:
            is_high = fall.share >= self.high_min
            yield Finding(
                "", fall.low[0].day, 2 if is_high else 1, Severity.HIGH if is_high else Severity.WATCH,
                f"The income is {fall.share:.0%} lower than usual.",
                (
                    alerts.Measure(
                        name="income_fall_share", value=round(fall.share, 4), threshold=self.drop_min,
                        window=iso_days(self.reference_days),
                    ),
                    alerts.Measure(name="income_usual_minor", value=int(fall.usual)),
                    alerts.Measure(name="incomes_known", value=len(fall.before), threshold=self.references_min),
                ),
                tuple(income.event for income in [*fall.before[-3:], *fall.low[-3:]]),
            )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when its oldest income is of a year ago."""
        known = incomes(view, self._income)
        if known is not None and view.episode(self.key, "") is not None:
            yield Wakeup(known.first_ms + WINDOW_DAYS * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if that income turns out to be higher; else it is back, or has become the usual one."""
        known = incomes(view, self._income)
        payments = known.payments if known else []
        earlier = [income for income in payments if income.day < episode.onset]
        if len(earlier) < self.references_min:
            return ended(episode, "expired", "The lower income has become the usual one.")
        first = next((income for income in payments if income.day == episode.onset), None)
        if first is None or self._begin(earlier, first) is None:
            return ended(episode, "disproved", "Another part of the income came to light.")
        return ended(episode, "recovered", "The income is back.")
