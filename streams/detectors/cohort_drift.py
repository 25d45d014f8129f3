from __future__ import annotations

from math import log
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.calendar import date_of
from streams.engine.detector import Finding
from streams.engine.portfolio.detector import CohortDetector

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.engine.portfolio.cohort import CohortView

CHI_SQUARE_95 = 12.59
"""What chance alone exceeds in one of twenty comparisons of seven shares (six degrees of freedom)."""
SMOOTHING = 0.5
"""Added to each bucket's number, so that an empty bucket does not make the index infinite."""


class CohortDrift(CohortDetector):
    """The loans of a cohort stand in other, later delinquency buckets than some months ago: its PSI is large.

    Why: the overdue rate weighs by money and looks at one border; the population stability index over all buckets sees
    a mass of small loans move, and loans that were late already move on. Only a drift to later buckets is told.
    Settings: `watch_above` and `high_above` are limits of the index; `months_back` says with which month's end today is
    compared: longer sees slow drifts, shorter forgets them. The index depends on the sample: with few loans chance
    alone makes it large, so a limit counts only above what chance exceeds in one of twenty comparisons, 12.59 x
    (1/n + 1/m) with n and m loans then and now.
    Known false alarms: a cohort that lends much more or less than before (new loans are current); run-off; a change of
    the servicing rules.
    First step: see which bucket grew and whether the mix of loans (age, size, source) changed with it.
    Source: 0.10 and 0.25, Siddiqi, Credit Risk Scorecards; its dependence on the sample, Yurdakul (2018).
    """

    key: ClassVar[str] = "cohort_drift"
    first_step: ClassVar[str] = "See which bucket grew, and whether the mix of loans in this cohort changed with it."

    watch_above: float = Field(default=0.10, gt=0, le=10, description="Population stability index of an alarm (watch)")
    high_above: float = Field(default=0.25, gt=0, le=10, description="Index of a high one")
    months_back: int = Field(default=3, ge=1, le=12, description="Compared with the month's end so many months ago")
    loans_min: int = Field(default=100, ge=50, description="Running loans that a cohort must have, then and now")

    def judge_cohort(self, view: CohortView) -> Iterator[Finding]:
        """The distribution over buckets against that of some months ago."""
        before = self._reference(view)
        if before is None or min(view.size, sum(before)) < self.loans_min or _mean(view.loans) <= _mean(before):
            return
        index = psi(before, view.loans)
        by_chance = CHI_SQUARE_95 * (1 / view.size + 1 / sum(before))
        watch, high = max(self.watch_above, by_chance), max(self.high_above, by_chance)
        if index <= watch:
            return
        yield Finding(
            "", None, 2 if index > high else 1, Severity.HIGH if index > high else Severity.WATCH,
            f"The loans moved to later buckets within {self.months_back} months: the stability index is {index:.2f}.",
            (
                Measure(name="psi", value=round(index, 4), threshold=round(watch, 4), window=f"P{self.months_back}M"),
                Measure(name="loans", value=view.size, threshold=self.loans_min),
                Measure(name="loans_then", value=sum(before), threshold=self.loans_min),
            ),
        )  # fmt: skip

    def _reference(self, view: CohortView) -> Sequence[int] | None:
        """The numbers by bucket at the month's end so many months before this day's month."""
        today = date_of(view.day)
        wanted = today.year * 12 + today.month - self.months_back
        for month in view.months:
            end = date_of(month.day)
            if end.year * 12 + end.month == wanted:
                return month.loans
        return None


def psi(before: Sequence[int], now: Sequence[int]) -> float:
    """The population stability index of two distributions over the same buckets."""
    then, today = _shares(before), _shares(now)
    return sum((b - a) * log(b / a) for a, b in zip(then, today, strict=True))


def _shares(numbers: Sequence[int]) -> list[float]:
    total = sum(numbers) + SMOOTHING * len(numbers)
    return [(number + SMOOTHING) / total for number in numbers]


def _mean(numbers: Sequence[int]) -> float:
    return sum(bucket * number for bucket, number in enumerate(numbers)) / max(1, sum(numbers))
