from __future__ import annotations

import pytest

from tests.builders import World, at, booked, engine_of

KEY = "cash_advance_spike"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def cash(*days: float, mcc: str = "6051", **more: object) -> list:
    """Advances on days of the timeline."""
    return [booked(day, -100, mcc=mcc, **more) for day in days]


def quiet(until: int = 100) -> list:
    """A purchase each week: the account is known."""
    return [booked(day, -10, mcc="5411") for day in range(0, until, 7)]


def test_fires_with_the_third_advance_of_a_week() -> None:
    """Three in a week, after weeks with none."""
    # 0 ... 98 purchases   90 92 94 quasi-cash: alert
    advances = cash(90, 92, 94)
    told = world().play(*quiet(), *advances, until=95)
    assert [(94, "opened", 1)] == told.told(KEY)
    assert [3, 6.0, 12] == [measure.value for measure in told.alerts[0].data.measures]
    assert tuple(advance.id for advance in advances) == told.alerts[0].data.evidence


def test_is_silent_where_it_is_the_habit() -> None:
    """Three a week as ever are no spike."""
    # 0 2 4 7 9 11 ...
    facts = cash(*[week * 7 + day for week in range(14) for day in (0, 2, 4)])
    assert [] == world().play(*quiet(), *facts, until=100).said()


@pytest.mark.parametrize(("days", "alerts"), [((90, 92, 94), 1), ((90, 94), 0)])
def test_three_are_the_least(days: tuple[int, ...], alerts: int) -> None:
    """Two in a week are too few, however calm the past."""
    assert alerts == len(world().play(*quiet(), *cash(*days), until=95).alerts)


@pytest.mark.parametrize(("last", "alerts"), [(96, 1), (97, 0)])
def test_seven_days_are_the_window(last: int, alerts: int) -> None:
    """The seventh day from the first advance is inside, the eighth outside."""
    # 90 92 ... 96 / 97
    assert alerts == len(world().play(*quiet(), *cash(90, 92, last), until=98).alerts)


@pytest.mark.parametrize(("day", "alerts"), [(47, 0), (50, 1)])
def test_with_too_short_a_past_it_is_silent(day: int, alerts: int) -> None:
    """Six whole weeks of the account must be known before the week of the spike."""
    # 0 first purchase   47 / 50 third advance
    assert alerts == len(world().play(*quiet(day), *cash(day - 4, day - 2, day), until=day + 1).alerts)


def test_machines_are_left_out() -> None:
    """Cash from a machine is drawn by healthy people too; over the counter it counts."""
    assert [] == world().play(*quiet(), *cash(90, 92, 94, mcc="6011"), until=95).said()
    assert 1 == len(world().play(*quiet(), *cash(90, 92, 94, mcc="6010"), until=95).alerts)


def test_is_over_when_the_week_is_calm_again() -> None:
    """The first leaves the week on the seventh day; fourteen calm days later it is over."""
    # 90 92 94 advances   97 two are left   111 over
    told = world().play(*quiet(), *cash(90, 92, 94), until=130)
    assert [(94, "opened", 1), (111, "resolved", 1)] == told.told(KEY)


def test_an_advance_told_late_counts_when_it_was_made() -> None:
    """The third becomes known within the week; one that is known too late raises nothing."""
    # 90 92 94 advances; the one of 92 is told on 95 / 120
    told = world().play(*quiet(), *cash(90, 94), *cash(92, recorded=at(95)), until=96)
    assert [(95, "opened", 1)] == told.told(KEY)
    assert [] == world().play(*quiet(), *cash(90, 94), *cash(92, recorded=at(120)), until=121).said()
