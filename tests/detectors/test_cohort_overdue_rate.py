"""A cohort's overdue rate against its band (5-10 %) and its own past.

rate   ...0.05........0.10.......0.15...
in order  | unusual? | watch | high
"""

from __future__ import annotations

import pytest

from schemas.alerts import Severity
from streams.detectors.cohort_overdue_rate import CohortOverdueRate
from streams.engine.portfolio.cohort import CohortView

DETECTOR = CohortOverdueRate()


def view(rate: float, *, loans: int = 1_000, past: float = 0.06, days: int = 60) -> CohortView:
    """A cohort with a rate today, and a past that swings a little around another."""
    late = round(rate * 1_000_000)
    rates = [past + (0.002 if day % 2 else -0.002) for day in range(days)]
    return CohortView(
        "product:cash:CNY", 20_000, [1_000_000 - late, late, 0, 0, 0, 0, 0], [loans, 0, 0, 0, 0, 0, 0], rates, []
    )


def said(cohort: CohortView) -> list[tuple[Severity, int]]:
    """Severity and step of what is found."""
    return [(finding.severity, finding.step) for finding in DETECTOR.judge_cohort(cohort)]


@pytest.mark.parametrize(
    ("rate", "past", "expected"),
    [
        (0.04, 0.01, []),  # Unusual, but in order.
        (0.08, 0.08, []),  # In the band, as ever.
        (0.09, 0.06, [(Severity.WATCH, 1)]),  # In the band and 4 deviations of a 1,000 loans' chance above.
        (0.10, 0.10, []),  # Exactly at the band's end.
        (0.11, 0.11, [(Severity.WATCH, 2)]),
        (0.11, 0.06, [(Severity.HIGH, 2)]),  # Above the band and unusual.
        (0.15, 0.15, [(Severity.WATCH, 2)]),  # Exactly at the limit.
        (0.16, 0.16, [(Severity.HIGH, 3)]),
    ],
)
def test_the_band_and_the_own_past(rate: float, past: float, expected: list[tuple[Severity, int]]) -> None:
    """Absolute and relative triggers together."""
    assert expected == said(view(rate, past=past))


def test_fifty_loans_are_enough_and_fewer_say_nothing() -> None:
    """A small cohort's rate is chance."""
    assert [[(Severity.HIGH, 3)], []] == [said(view(0.2, loans=loans)) for loans in (50, 49)]


def test_a_short_past_is_said_to_be_too_short_and_the_band_counts_alone() -> None:
    """Thirty days of history are enough for deviations, and twenty-nine are not."""
    assert [[(Severity.WATCH, 1)], []] == [said(view(0.09, days=days)) for days in (30, 29)]
    [finding] = DETECTOR.judge_cohort(view(0.12, days=29))
    assert "29 days long, too short" in finding.reason
    assert "sigmas" not in {measure.name for measure in finding.measures}


def test_chance_alone_is_no_deviation() -> None:
    """With 60 loans a rise from 6 to 9 % is within chance, with 1,000 it is not, however quiet the past was."""
    assert [[], [(Severity.WATCH, 1)]] == [said(view(0.09, loans=loans)) for loans in (60, 1_000)]
