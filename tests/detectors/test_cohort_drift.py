"""The distribution over buckets against that of three months ago.

April's end ------------------ July 20th
90 % M0, 10 % M1    compared    80 % M0, 20 % M1
"""

from __future__ import annotations

import pytest

from schemas.alerts import Severity
from streams.detectors.cohort_drift import CohortDrift, psi
from streams.engine.calendar import date_of, day_of
from streams.engine.portfolio.cohort import CohortView, MonthEnd

DAY = day_of(date_of(20_300).replace(month=7, day=20))
THEN = day_of(date_of(DAY).replace(month=5, day=1)) - 1


def view(before: list[int], now: list[int], *, end: int = THEN) -> CohortView:
    """A cohort as it was at a month's end, and as it is."""
    rest = [0] * 5
    months = [MonthEnd(end, [*before, *rest], [*before, *rest])]
    return CohortView("c", DAY, [*now, *rest], [*now, *rest], [], months)


def said(cohort: CohortView) -> list[tuple[Severity, int]]:
    """Severity and step of what is found."""
    return [(finding.severity, finding.step) for finding in CohortDrift().judge_cohort(cohort)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ([9_000, 1_000], [8_500, 1_500], []),
        ([9_000, 1_000], [7_800, 2_200], [(Severity.WATCH, 1)]),
        ([9_000, 1_000], [6_500, 3_500], [(Severity.HIGH, 2)]),
        ([6_500, 3_500], [9_000, 1_000], []),  # As large, but for the better.
    ],
)
def test_a_drift_to_later_buckets_by_its_size(
    before: list[int], now: list[int], expected: list[tuple[Severity, int]]
) -> None:
    """0.10 is watch, 0.25 high."""
    assert expected == said(view(before, now))


def test_what_chance_makes_of_few_loans_is_no_drift() -> None:
    """With 120 loans chance alone exceeds 0.2 in one of twenty comparisons: the same shares say nothing there."""
    assert [] == said(view([108, 12], [94, 26]))
    assert [(Severity.WATCH, 1)] == said(view([10_800, 1_200], [9_400, 2_600]))


def test_a_hundred_loans_are_the_least() -> None:
    """Then and now."""
    assert [(Severity.HIGH, 2)] == said(view([100, 0], [50, 50]))
    assert [] == said(view([99, 0], [50, 50]))
    assert [] == said(view([100, 0], [50, 49]))


def test_only_the_month_that_is_asked_for_is_compared() -> None:
    """Two months ago is too near: then nothing is said."""
    june = day_of(date_of(DAY).replace(month=6, day=1)) - 1
    assert [] == said(view([9_000, 1_000], [6_500, 3_500], end=june))


def test_the_index_is_zero_for_the_same_and_symmetric() -> None:
    """As Siddiqi defines it, with half a loan added to each bucket."""
    assert 0 == psi([10, 20, 0], [10, 20, 0])
    assert psi([90, 10], [80, 20]) == pytest.approx(psi([80, 20], [90, 10]))
    assert psi([9_000, 1_000], [8_000, 2_000]) == pytest.approx(0.0811, abs=0.001)
