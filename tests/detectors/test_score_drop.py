from __future__ import annotations

import pytest

from streams.engine.policy import Policy
from tests.builders import World, at, engine_of, scored

KEY = "score_drop"


def world(**settings: object) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(detectors={KEY: settings})))


def scores(*reports: tuple[float, int], **more: object) -> list:
    """Scores of one model over time."""
    return [scored(day, value, **more) for day, value in reports]


def test_forty_points_in_a_month() -> None:
    """A fall by 50 within one band, then by 95."""
    # 1 735   20 685: watch   25 640: high
    told = world().play(*scores((1, 735), (20, 685), (25, 640)), until=26)
    assert [(20, "opened", 1), (25, "escalated", 2)] == told.told(KEY)
    assert ["watch", "high"] == [alert.data.severity.value for alert in told.alerts]
    first, last = (alert.data for alert in told.alerts)
    assert (50, 685, 0) == tuple(measure.value for measure in first.measures)
    assert "The score one-score fell by 95 points from 735 and lost a band." == last.reason


@pytest.mark.parametrize(("low", "alerts"), [(690, 1), (691, 0)])
def test_exactly_forty_points(low: int, alerts: int) -> None:
    """40 points within a band, and 39."""
    # 1 730   20 690 / 691
    assert alerts == len(world().play(*scores((1, 730), (20, low)), until=21).alerts)


@pytest.mark.parametrize(("low", "alerts"), [(660, 1), (661, 0), (669, 0)])
def test_a_band_is_lost_with_at_least_twenty_points(low: int, alerts: int) -> None:
    """From 680 below 670 by 20 points; a wobble over the bound is nothing."""
    # 1 680   20 660 / 661 / 669
    assert alerts == len(world().play(*scores((1, 680), (20, low)), until=21).alerts)


def test_bands_may_differ_by_model() -> None:
    """A model with bands of its own, and none for another."""
    # 1 910   20 880: a bound at 900
    facts = [*scores((1, 910), (20, 880), model="b"), *scores((1, 910), (20, 880), model="c")]
    told = world(bands=[["", []], ["b", [900]]]).play(*facts, until=21)
    assert ["The score b fell by 30 points from 910 and lost a band."] == [alert.data.reason for alert in told.alerts]


def test_models_are_not_mixed() -> None:
    """Another model has another scale."""
    # 1 a: 720   20 b: 600
    facts = [scored(1, 720, model="a"), scored(20, 600, model="b")]
    assert [] == world().play(*facts, until=21).said()


def test_the_score_in_force_when_the_month_began_counts() -> None:
    """A quarterly score fell by 50: within the last 30 days, as far as anybody can know."""
    # 1 735   91 685
    assert [(91, "opened", 1)] == world().play(*scores((1, 735), (91, 685)), until=92).told(KEY)
    # 1 735   122 685: the old score is older than 120 days
    assert [] == world().play(*scores((1, 735), (122, 685)), until=123).said()


@pytest.mark.parametrize(("low_day", "alerts"), [(49.99, 1), (50, 0)])
def test_the_window_is_thirty_days(low_day: float, alerts: int) -> None:
    """A slow fall: 25 points, and 25 more thirty days after."""
    # 1 735   20 710   49.99 / 50 685
    assert alerts == len(world().play(*scores((1, 735), (20, 710), (low_day, 685))).alerts)


def test_it_is_over_after_a_month_and_a_calm_time() -> None:
    """Thirty days after the fall nothing falls any more; sixty days later it is resolved."""
    # 1 735   20 685: alert   50 calm   110 resolved
    told = world().play(*scores((1, 735), (20, 685), (80, 690)), until=120)
    assert [(20, "opened", 1), (110, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_a_score_that_was_lower_already_withdraws_it() -> None:
    """Told late, the score of the time between shows a slow decline; the calm time is waited for all the same."""
    # 1 735   61 685: alert   20 told on 63: 700
    late = scored(20, 700, recorded=at(63))
    told = world(cooldown_days=0).play(*scores((1, 735), (61, 685)), late, until=70)
    assert [(61, "opened", 1), (63, "withdrawn", 1)] == told.told(KEY)


def test_a_score_told_late_counts_where_it_belongs() -> None:
    """An old high score, told after the low one, is what it fell from."""
    # 20 685   1 told on 22: 735
    assert [(22, "opened", 1)] == world().play(*scores((20, 685)), scored(1, 735, recorded=at(22)), until=23).told(KEY)
