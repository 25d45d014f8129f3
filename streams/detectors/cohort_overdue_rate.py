from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.detector import Finding
from streams.engine.portfolio.detector import CohortDetector, apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.portfolio.cohort import CohortView


class CohortOverdueRate(CohortDetector):
    """The overdue rate of a cohort (product, channel, industry, employer, region, or the whole) has left its band.

    Why: when many borrowers of one product, channel or employer fall behind together the cause is theirs in common: a
    lay-off, a broken debit run, a channel that lets fraud in. No single case shows it. The rate is what is outstanding
    on loans at DPD >= 1 over what is outstanding on running loans, at the end of a day, for each currency.
    Settings: a lower `band_high` or `high_above` raises more alarms and earlier; within the band an alarm is raised
    only where the rate also stands `sigmas` of its own history above that history's mean. The deviation is never taken
    smaller than chance alone makes it with so many loans. `loans_min` and `history_days_min` keep small and young
    cohorts silent: with less history the band alone counts, and the alert says so.
    Known false alarms: one large loan in a small cohort; a cohort that runs off, where only the bad loans are left; a
    servicing feed that is late for one channel; charge-offs lower the rate without anybody having paid. Measured over a
    simulated year of 500 borrowers with an overdue rate of 6 to 14 %: 8 episodes of 6 cohorts (26 with 7 days of calm).
    First step: see in which loans, days and feeds the rise began; stop new lending there until the cause is known.
    Source of the band: a portfolio's overdue rate lies at 5-10 % in normal times (the product's mission). Three
    deviations and n >= 50 are common practice; `high_above`, the history and the cool-down are assumptions.
    """

    key: ClassVar[str] = "cohort_overdue_rate"
    first_step: ClassVar[str] = (
        "Find out in which loans and since when the rise began and whether a feed is late; "
        "hold new lending in this cohort until the cause is known."
    )

    cooldown_days: int = Field(
        default=31, ge=0, le=365, description="Days of calm before an episode is resolved: a wave each month is one"
    )
    band_low: float = Field(default=0.05, ge=0, le=1, description="Below it a rate is in order, whatever it was before")
    band_high: float = Field(default=0.10, gt=0, le=1, description="Above it there is an alarm (watch)")
    high_above: float = Field(default=0.15, gt=0, le=1, description="Above it the alarm is high")
    sigmas: float = Field(default=3.0, gt=0, le=20, description="Own deviations above the own mean")
    loans_min: int = Field(default=50, ge=20, description="Running loans that a cohort must have")
    history_days_min: int = Field(default=30, ge=7, le=120, description="Days of own history that deviations need")
    history_days: int = Field(default=90, ge=7, le=120, description="Days of own history that are looked at")

    def judge_cohort(self, view: CohortView) -> Iterator[Finding]:
        """The rate against the band, and against the cohort's own past."""
        if view.size < self.loans_min or view.rate <= self.band_low:
            return
        sigmas = self._sigmas(view)
        is_unusual = sigmas is not None and sigmas >= self.sigmas
        if view.rate <= self.band_high and not is_unusual:
            return
        is_high = view.rate > self.high_above or (view.rate > self.band_high and is_unusual)
        step = 3 if view.rate > self.high_above else 2 if view.rate > self.band_high else 1
        yield Finding(
            "", None, step, Severity.HIGH if is_high else Severity.WATCH, self._reason(view, sigmas),
            tuple(self._measures(view, sigmas)),
        )  # fmt: skip

    def _sigmas(self, view: CohortView) -> float | None:
        history = view.rates[-self.history_days :]
        if len(history) < self.history_days_min:
            return None
        mean = sum(history) / len(history)
        return apart(history, view.rate, (max(mean, 0.001) * (1 - mean) / view.size) ** 0.5)

    def _reason(self, view: CohortView, sigmas: float | None) -> str:
        past = f"its own history is {len(view.rates)} days long, too short to compare with"
        if sigmas is not None:
            past = f"{abs(sigmas):.1f} deviations {'above' if sigmas >= 0 else 'below'} its own mean"
        return f"{view.rate:.1%} of what is outstanding on {view.size:,} loans is overdue; {past}."

    def _measures(self, view: CohortView, sigmas: float | None) -> Iterator[Measure]:
        yield Measure(name="overdue_rate", value=round(view.rate, 4), threshold=self.band_high)
        yield Measure(name="loans", value=view.size, threshold=self.loans_min)
        yield Measure(name="history_days", value=len(view.rates), threshold=self.history_days_min)
        if sigmas is not None:
            days = min(len(view.rates), self.history_days)
            yield Measure(name="sigmas", value=round(sigmas, 2), threshold=self.sigmas, window=f"P{days}D")
