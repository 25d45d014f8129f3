from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from schemas.codec import Reason
from streams.agents.buffers import LaneBuffer
from streams.agents.gauges import Gauges
from streams.engine.drain import CohortFigures
from streams.metrics import Metrics

ALL, CASH = "portfolio:all:CNY", "product:cash:CNY"


def cohort(name: str, overdue: float, roll: float | None = None) -> CohortFigures:
    """A cohort of ten loans."""
    return CohortFigures(name.partition(":")[0], name, overdue, [9, 1], [900, 100], [roll])


class StandIn:
    """The logic of a lane as far as gauges ask it."""

    def __init__(self) -> None:
        self.shown: list[CohortFigures] = []
        self.asked = 0

    def held(self) -> int:
        """Three wake-ups wait."""
        return 3

    def figures(self) -> list[CohortFigures]:
        """What is shown now."""
        self.asked += 1
        return self.shown


@pytest.fixture
def lane() -> Any:
    """A lane of the second hop at the end of its first day."""
    return SimpleNamespace(partition=2, now_ms=1, states={}, buffer=LaneBuffer({}), logic=StandIn())


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    """A sample, or None."""
    return metrics.registry.get_sample_value(name, labels)


def test_the_figures_of_a_day_replace_those_of_the_day_before(lane: Any) -> None:
    """A cohort that is gone or no longer among the largest goes; a roll that nothing can be said of goes too."""
    metrics = Metrics()
    gauges = Gauges(metrics, wall=True)
    lane.logic.shown = [cohort(ALL, 0.1, 0.05), cohort(CASH, 0.2)]
    gauges.stands(lane, None)
    assert 0.05 == value(metrics, "ews_cohort_roll_ratio", kind="portfolio", cohort=ALL, roll="M0-M1")
    assert 0.2 == value(metrics, "ews_cohort_overdue_ratio", kind="product", cohort=CASH)
    assert 1.0 == value(metrics, "ews_cohort_loans", kind="product", cohort=CASH, bucket="M1")

    lane.now_ms, lane.logic.shown = 2, [cohort(ALL, 0.3)]
    gauges.stands(lane, None)

    assert 0.3 == value(metrics, "ews_cohort_overdue_ratio", kind="portfolio", cohort=ALL)
    assert value(metrics, "ews_cohort_roll_ratio", kind="portfolio", cohort=ALL, roll="M0-M1") is None
    assert value(metrics, "ews_cohort_overdue_ratio", kind="product", cohort=CASH) is None


def test_the_figures_are_asked_for_once_a_day(lane: Any) -> None:
    """Gauges move each second, days do not."""
    gauges = Gauges(Metrics(), wall=True)
    for _ in range(5):
        gauges.stands(lane, None)
    assert 1 == lane.logic.asked


def test_a_lane_that_is_somebody_elses_shows_nothing_more(lane: Any) -> None:
    """Its cohorts and its held wake-ups go with it."""
    metrics = Metrics()
    gauges = Gauges(metrics, wall=True)
    lane.logic.shown = [cohort(ALL, 0.1)]
    gauges.stands(lane, None)
    assert 3.0 == value(metrics, "ews_held_timers", partition="2")

    gauges.revoked({2: lane})

    assert value(metrics, "ews_held_timers", partition="2") is None
    assert value(metrics, "ews_cohort_overdue_ratio", kind="portfolio", cohort=ALL) is None


def test_counters_that_rules_watch_begin_at_zero() -> None:
    """The increase of a counter that is born at 1 shows as none: every reason and a stale feed are there before."""
    metrics = Metrics()
    Gauges(metrics, wall=True)
    assert {0.0} == {value(metrics, "ews_dead_letters_total", reason=reason.value) for reason in Reason}
    stale = {"detector": "feed_stale", "severity": "high", "status": "opened", "mode": "live"}
    assert 0.0 == value(metrics, "ews_alerts_total", **stale)
