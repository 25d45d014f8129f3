"""Net flow rates of balances from month's end to month's end.

end of     January   February   March ...
M0          1,000 ---.
M1            100     `--> 60 / 1,000 = 6 % rolled
"""

from __future__ import annotations

import pytest

from schemas.alerts import Severity
from streams.detectors.cohort_roll_rate import CohortRollRate
from streams.engine.calendar import date_of, day_of
from streams.engine.portfolio.cohort import CohortView, MonthEnd

DETECTOR = CohortRollRate()
LAST = day_of(date_of(20_300).replace(day=1)) - 1


def months(*late: int, m0: int = 10_000, loans: int = 100, skip: int = -1) -> list[MonthEnd]:
    """Ends of months in a row: what was outstanding in M1 at each, beside a constant M0."""
    ends, day = [], LAST
    for number, amount in enumerate(reversed(late)):
        if number != skip:
            ends.insert(0, MonthEnd(day, [m0, amount, 0, 0, 0, 0, 0], [loans, 5, 0, 0, 0, 0, 0]))
        day = day_of(date_of(day).replace(day=1)) - 1
    return ends


def said(ends: list[MonthEnd], loans: int = 100) -> list[tuple[Severity, int]]:
    """Severity and step of what is found ten days after the last end."""
    view = CohortView("c", LAST + 10, [1, 0, 0, 0, 0, 0, 0], [loans, 0, 0, 0, 0, 0, 0], [], ends)
    return [(finding.severity, finding.step) for finding in DETECTOR.judge_cohort(view)]


@pytest.mark.parametrize(
    ("late", "expected"),
    [
        ((300, 500), []),
        ((300, 600), []),  # Exactly at the limit of 6 %.
        ((300, 601), [(Severity.WATCH, 1)]),
        ((300, 800, 400), []),  # The month before was bad, the last one is not.
        ((100, 100, 100, 100, 100, 300), []),  # Unusual by a deviation of its floor, 2 %: within three.
        ((100, 100, 100, 100, 100, 700), [(Severity.HIGH, 1)]),  # Above the limit, and three deviations above its own.
        ((100, 100, 100, 700), [(Severity.WATCH, 1)]),  # The same with too few months to compare with.
    ],
)
def test_limits_and_own_past(late: tuple[int, ...], expected: list[tuple[Severity, int]]) -> None:
    """The limit alone is watch, with the own past against it high."""
    assert expected == said(months(*late))


def test_small_cohorts_and_small_buckets_say_nothing() -> None:
    """Fifty loans, of which twenty in the bucket that rolls."""
    ends = months(300, 900)
    assert [[(Severity.WATCH, 1)], []] == [said(ends, loans) for loans in (50, 49)]
    assert [[(Severity.WATCH, 1)], []] == [said(months(300, 900, loans=loans)) for loans in (20, 19)]


def test_ends_that_are_not_next_to_each_other_are_not_compared() -> None:
    """A month without an end is no flow of two months."""
    assert [] == said(months(300, 300, 900, skip=1))


def test_a_later_bucket_has_a_limit_of_its_own() -> None:
    """From M1 to M2 40 % may roll."""

    def ends(rolled: int) -> list[MonthEnd]:
        first = MonthEnd(LAST - 31, [9_000, 1_000, 0, 0, 0, 0, 0], [900, 100, 0, 0, 0, 0, 0])
        return [first, MonthEnd(LAST, [9_000, 0, rolled, 0, 0, 0, 0], [900, 0, 40, 0, 0, 0, 0])]

    assert [[], [(Severity.WATCH, 2)]] == [said(ends(rolled)) for rolled in (400, 401)]


def test_limits_must_be_above_zero() -> None:
    """A limit of nothing would be an alarm for ever."""
    with pytest.raises(ValueError, match="above 0"):
        CohortRollRate(limits=(0.1, 0))
