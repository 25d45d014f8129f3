from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.balances import BALANCE, rise
from streams.engine.calendar import DAY_MS, iso_days, local_day, midnight_ms
from streams.engine.codes import INCOME, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.income import MONTHLY_FROM, WINDOW_DAYS, Incomes, Rhythm, income_measure, incomes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.measure import Measure

STEPS_MAX = 12
"""A year of months; the episode says no more after that."""


class IncomeMissing(Detector):
    """A recurring income (salary, pension, benefit) has not come 5 days after its usual day: known by silence.

    Why: lost income precedes the missed installment by weeks; nothing else warns as early.
    Settings: more `late_days` is calmer and later; a larger `tolerance_days` takes irregular earners in, with more
    noise; a lower `shown_min` believes sooner that an income has come of which only the balance tells. A first
    weekly wage that is missing is only noted (info).
    Known false alarms: a new employer who pays through another account; a payroll fault that delays one salary.
    On 1,000 simulated healthy borrowers: 1 watch episode a year (40 where payroll faults are made to happen).
    First step: ask whether the income has changed before the next due day, and offer an extension early.
    Source: assumption (payroll fall: SAMA 41033343).
    """

    key: ClassVar[str] = "income_missing"
    version: ClassVar[int] = 2
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Ask whether the income has changed before the next due day; offer an extension early."

    purposes: frozenset[str] = INCOME
    late_days: int = Field(default=5, ge=1, le=30)
    occurrences_min: int = Field(default=3, ge=3, le=8)
    tolerance_days: int = Field(default=4, ge=0, le=10)
    period_max_days: int = Field(default=35, ge=1, le=100)
    high_from: int = Field(default=2, ge=1, le=12, description="Periods missed in a row from which severity is high")
    shown_min: float = Field(
        default=0.3, gt=0, description="A rise of the balance by so much of the income shows that it came untold"
    )

    def measures(self) -> tuple[Measure, ...]:
        """The latest incomes with their days, and the balances that may show one of which nothing was told."""
        return self._income, BALANCE

    def quiet(self) -> tuple[Measure, ...]:
        """A balance is looked at when an income is missed."""
        return (BALANCE,)

    @cached_property
    def _income(self) -> Measure:
        return income_measure(self.purposes)

    def _rhythm(self, known: Incomes | None) -> Rhythm | None:
        return known and known.rhythm(self.occurrences_min, self.period_max_days, self.tolerance_days)

    def _late(self, view: BorrowerView, rhythm: Rhythm) -> int:
        return local_day(view.complete_ms(rhythm.source), view.zone) - rhythm.last - rhythm.period

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """How many usual days have passed without the income."""
        known = incomes(view, self._income)
        rhythm = self._rhythm(known)
        if known is None or rhythm is None:
            return
        late, onset = self._late(view, rhythm), rhythm.last + rhythm.period
        if late <= self.late_days or self._is_shown(view, known, rhythm):
            return
        missed = 1 + (late - self.late_days - 1) // rhythm.period
        # One weekly wage is a small part of the month, and now and then only booked late: that is no more than a note.
        first = Severity.WATCH if rhythm.period >= MONTHLY_FROM else Severity.INFO
        yield Finding(
            "", onset, min(missed, STEPS_MAX), Severity.HIGH if missed >= self.high_from else first,
            f"The usual income is {late} days late.",
            (
                alerts.Measure(
                    name="income_days_late", value=late, threshold=self.late_days, window=iso_days(rhythm.period)
                ),
                alerts.Measure(name="income_periods_missed", value=missed),
            ),
            tuple(income.event for income in known.payments[-3:]),
        )  # fmt: skip

    def _is_shown(self, view: BorrowerView, known: Incomes, rhythm: Rhythm) -> bool:
        """Whether the balance has risen since before the usual day as only an income lets it rise."""
        before = midnight_ms(rhythm.last + rhythm.least - 1, view.zone)
        gain = rise(view, known.currency, before)
        return view.episode(self.key, "") is None and gain is not None and gain >= self.shown_min * rhythm.amount

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the tolerated delay of the next usual day that has not passed yet."""
        known = incomes(view, self._income)
        rhythm = self._rhythm(known)
        if rhythm is not None:
            missed = max(0, 1 + (self._late(view, rhythm) - self.late_days - 1) // rhythm.period)
            if missed < STEPS_MAX:
                day = rhythm.last + rhythm.period * (missed + 1) + self.late_days + 1
                yield Wakeup(midnight_ms(day, view.zone), rhythm.source)
        if known is not None and view.episode(self.key, "") is not None:
            yield Wakeup(known.first_ms + WINDOW_DAYS * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if an income of that time came to light; else it has come late, or is of long ago."""
        known = incomes(view, self._income)
        if known is None or len(known.payments) < self.occurrences_min:
            return ended(episode, "expired", "No income has been seen for a year.")
        days = [income.day for income in known.payments]
        if any(episode.onset - known.gap / 2 < day <= episode.onset + self.late_days for day in days):
            return ended(episode, "disproved", "The income had come in time.")
        return ended(episode, "recovered", "Income has come again.")
