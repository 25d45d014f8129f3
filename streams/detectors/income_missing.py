from __future__ import annotations

from functools import cached_property
from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days, local_day, midnight_ms
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import Kind, Measure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode

WINDOW_DAYS = 365


class IncomeMissing(Detector):
    """A recurring income (salary, pension, benefit) has not come 5 days after its usual day: known by silence.

    Why: lost income precedes the missed installment by weeks; nothing else warns as early.
    Settings: more `late_days` is calmer and later; a larger `tolerance_days` takes irregular earners in, with more
    noise.
    Known false alarms: a new employer who pays through another account; a bonus month; a bank holiday at the usual day.
    First step: ask whether the income has changed before the next due day, and offer an extension early.
    Source: assumption (payroll fall: SAMA 41033343).
    """

    key: ClassVar[str] = "income_missing"
    listens: ClassVar[frozenset[str]] = frozenset({"ews.transaction.booked.v1"})
    first_step: ClassVar[str] = "Ask whether the income has changed before the next due day; offer an extension early."

    purposes: frozenset[str] = frozenset({"SALA", "PENS", "BENE", "PAYR", "SSBE"})
    late_days: int = Field(default=5, ge=1, le=30)
    occurrences_min: int = Field(default=3, ge=3, le=8)
    tolerance_days: int = Field(default=4, ge=0, le=10)
    period_max_days: int = Field(default=35, ge=1, le=100)
    high_from: int = Field(default=2, ge=1, le=12, description="Periods missed in a row from which severity is high")

    def measures(self) -> tuple[Measure, ...]:
        """The latest incomes with their days."""
        return (self._income,)

    @cached_property
    def _income(self) -> Measure:
        where = (("indicator", frozenset({"CRDT"})), ("purpose", self.purposes))
        return Measure("income.last", "ews.transaction.booked.v1", Kind.LAST, WINDOW_DAYS, where, value="amount_minor")

    def _rhythm(self, view: BorrowerView) -> tuple[int, int, str] | None:
        """The last income's day, the usual distance in days, and its source; None without a steady rhythm."""
        seen = view.store(self._income).seen
        if len(seen) < self.occurrences_min:
            return None
        days = [local_day(entry.at, view.zone) for entry in seen]
        gaps = [b - a for a, b in pairwise(days)]
        usual = median(gaps)
        if usual < 1 or max(gaps) > self.period_max_days or max(abs(gap - usual) for gap in gaps) > self.tolerance_days:
            return None
        return days[-1], max(gaps), seen[-1].source

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """How many usual days have passed without the income."""
        rhythm = self._rhythm(view)
        if rhythm is None:
            return
        last, period, source = rhythm
        late = local_day(view.complete_ms(source), view.zone) - last - period
        if late > self.late_days:
            missed = 1 + (late - self.late_days - 1) // period
            yield Finding(
                "",
                last + period,
                min(missed, 12),
                Severity.HIGH if missed >= self.high_from else Severity.WATCH,
                f"The usual income is {late} days late.",
                (
                    alerts.Measure(
                        name="income_days_late", value=late, threshold=self.late_days, window=iso_days(period)
                    ),
                    alerts.Measure(name="income_periods_missed", value=missed),
                ),
                tuple(entry.event for entry in view.store(self._income).seen[-3:]),
            )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The day after the tolerated delay of the next usual day that has not passed yet."""
        rhythm = self._rhythm(view)
        if rhythm is not None:
            last, period, source = rhythm
            late = local_day(view.complete_ms(source), view.zone) - last - period
            missed = max(0, 1 + (late - self.late_days - 1) // period)
            if missed < 12:  # noqa: PLR2004 - a year of months; the episode says no more after that
                yield Wakeup(midnight_ms(last + period * (missed + 1) + self.late_days + 1, view.zone), source)

        if view.episode(self.key, "") is not None and len(view.store(self._income).seen) >= self.occurrences_min:
            yield Wakeup(view.store(self._income).seen[-self.occurrences_min].at + WINDOW_DAYS * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Never true if an income of that time came to light; else it has come late, or is of long ago."""
        days = [local_day(entry.at, view.zone) for entry in view.store(self._income).seen]
        if len(days) < self.occurrences_min:
            return ended(episode, "expired", "No income has been seen for a year.")
        usual = median(b - a for a, b in pairwise(days))
        if any(episode.onset - usual / 2 < day <= episode.onset + self.late_days for day in days):
            return ended(episode, "disproved", "The income had come in time.")
        return ended(episode, "recovered", "Income has come again.")
