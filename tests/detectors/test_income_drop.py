from __future__ import annotations

import pytest

from streams.engine.policy import Policy
from tests.builders import World, at, booked, engine_of

KEY = "income_drop"


def world(**settings: object) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(detectors={KEY: settings})))


def salary(*days: float, amount: int = 5_000, **more: object) -> list:
    """Salaries on days of the timeline."""
    return [booked(day, amount, purpose="SALA", **more) for day in days]


def test_fires_with_the_first_low_salary() -> None:
    """A salary of 60 % of the usual one is told on its day, with the salaries before as evidence."""
    # 0 30 60 salary 5000   90 salary 3000: alert
    told = world().play(*salary(0, 30, 60), *salary(90, amount=3_000), until=97)
    assert [(90, "opened", 1)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity.value
    assert 4 == len(told.alerts[0].data.evidence)
    assert [0.4, 5_000, 3] == [measure.value for measure in told.alerts[0].data.measures]


def test_is_silent_where_it_stays_or_rises() -> None:
    """A bonus is no trouble, and the salary after it no drop."""
    # 0 30 60 salary   90 twice as much   120 150 as ever
    told = world().play(*salary(0, 30, 60), *salary(90, amount=10_000), *salary(120, 150), until=160)
    assert [] == told.said()


@pytest.mark.parametrize(("amount", "alerts"), [(3_500, 1), (3_501, 0)])
def test_thirty_percent_less_is_the_threshold(amount: int, alerts: int) -> None:
    """Exactly 30 % less fires, one unit more does not."""
    # 0 30 60 salary 5000   90 salary 3500 / 3501
    assert alerts == len(world().play(*salary(0, 30, 60), *salary(90, amount=amount), until=95).alerts)


@pytest.mark.parametrize(("days", "alerts"), [((0, 30, 60), 1), ((30, 60), 0), ((-15, 30, 60), 0)])
def test_three_salaries_of_the_last_hundred_days_are_the_least(days: tuple[int, ...], alerts: int) -> None:
    """With two, or with one of them just outside the window, there is no ruler."""
    # 0 30 60 salary 5000   90 salary 1000
    told = world().play(*salary(*days), *salary(90, amount=1_000), until=91)
    assert alerts == len(told.alerts)


def test_a_benefit_in_place_of_the_salary_is_high() -> None:
    """A fall by 60 % or more is high, whatever kind of income is left."""
    # 0 30 60 salary 5000   90 benefit 1500
    told = world().play(*salary(0, 30, 60), booked(90, 1_500, purpose="BENE"), until=95)
    assert [(90, "opened", 2)] == told.told(KEY)
    assert "high" == told.alerts[0].data.severity.value


def test_goes_on_while_it_is_low_and_recovers() -> None:
    """The low salaries do not become the ruler; the old amount ends it."""
    # 0 30 60 salary 5000   90 120 150 salary 3000   180 salary 4800: resolved
    told = world().play(*salary(0, 30, 60), *salary(90, 120, 150, amount=3_000), *salary(180, amount=4_800), until=190)
    assert [(90, "opened", 1), (180, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_escalates_when_it_falls_further() -> None:
    """A first cut is watch, the second one high."""
    # 0 30 60 salary 5000   90 salary 3000   120 salary 1500
    told = world().play(*salary(0, 30, 60), *salary(90, amount=3_000), *salary(120, amount=1_500), until=125)
    assert [(90, "opened", 1), (120, "escalated", 2)] == told.told(KEY)


def test_is_withdrawn_by_the_other_part_told_late() -> None:
    """A salary in two parts of which the second becomes known later was never low."""
    # 0 30 60 salary 5000   90 part 2500: alert   91 part 2500, told on 95: withdrawn
    parts = [*salary(90, amount=2_500), *salary(91, amount=2_500, recorded=at(95))]
    told = world().play(*salary(0, 30, 60), *parts, until=100)
    assert [(90, "opened", 1), (95, "withdrawn", 1)] == told.told(KEY)


def test_a_new_usual_income_ends_it() -> None:
    """When the higher incomes are forgotten the lower one is the usual one; without any it ends after a year."""
    # 0 30 60 salary 5000   90 120 ... 300 salary 3000
    told = world().play(*salary(0, 30, 60), *salary(*range(90, 301, 30), amount=3_000), until=310)
    assert "expired" == told.alerts[-1].data.resolution
    # 0 30 60 salary 5000   90 salary 3000   365 forgotten
    told = world().play(*salary(0, 30, 60), *salary(90, amount=3_000), until=500)
    assert "expired" == told.alerts[-1].data.resolution
    assert {} == told.borrowers()


def test_one_low_week_is_not_enough() -> None:
    """A weekly earner needs two low wages in a row."""
    # 0 7 14 21 wage 5000   28 wage 2000   35 wage 5000 / 2000
    once = world().play(*salary(0, 7, 14, 21), *salary(28, amount=2_000), *salary(35), until=37)
    assert [] == once.said()
    twice = world().play(*salary(0, 7, 14, 21), *salary(28, 35, amount=2_000), until=37)
    assert [(35, "opened", 2)] == twice.told(KEY)


def test_incomes_of_different_size_are_no_ruler() -> None:
    """A salary and an allowance in turn are not steady."""
    # 0 30 60 salary 5000   15 45 75 allowance 500
    told = world().play(*salary(0, 30, 60, 90), *salary(15, 45, 75, amount=500), until=100)
    assert [] == told.said()


def test_another_currency_is_another_income() -> None:
    """5,000 yen are not compared with 5,000 yuan."""
    # 0 30 60 salary in CNY   90 salary in JPY
    told = world().play(*salary(0, 30, 60), *salary(90, amount=500, currency="JPY"), until=95)
    assert [] == told.said()
