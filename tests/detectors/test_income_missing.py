from __future__ import annotations

import pytest

from streams.engine.policy import Policy
from tests.builders import World, at, booked, engine_of

KEY = "income_missing"


def world(**settings: object) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(detectors={KEY: settings})))


def salary(*days: float, **more: object) -> list:
    """Salaries on days of the timeline."""
    return [booked(day, 5_000, purpose="SALA", **more) for day in days]


def test_fires_six_days_after_the_usual_day() -> None:
    """Five days late are tolerated; the sixth day begins with the alert."""
    # 0 30 60 salary   90 usual day   95 tolerated   96 alert
    told = world().play(*salary(0, 30, 60), until=97)
    assert [(96, "opened", 1)] == told.told(KEY)
    assert 3 == len(told.alerts[0].data.evidence)


def test_is_silent_where_it_comes() -> None:
    """A salary each month raises nothing."""
    # 0 30 60 90 120 150
    assert [] == world().play(*salary(0, 30, 60, 90, 120, 150), until=184).said()


@pytest.mark.parametrize(("day", "alerts"), [(95, 0), (96, 2)])
def test_five_days_late_is_still_in_time(day: int, alerts: int) -> None:
    """Exactly at the threshold it is silent; a day later it is told, and resolved by the income."""
    # 0 30 60 salary   90 usual day   95 / 96 it comes
    assert alerts == len(world().play(*salary(0, 30, 60, day), until=100).alerts)


def test_two_incomes_are_no_rhythm() -> None:
    """Just outside: with fewer than three there is nothing to miss."""
    # 0 30 salary
    assert [] == world().play(*salary(0, 30), until=90).said()


def test_irregular_income_is_no_rhythm() -> None:
    """Distances that differ by more than the tolerance are not a rhythm."""
    # 0 20 50
    assert [] == world().play(*salary(0, 20, 55), until=120).said()


def test_only_income_counts() -> None:
    """A credit of another kind and a debit are not income."""
    # 0 30 60 gifts, and debits with the purpose of a salary
    gifts = [booked(day, 5_000, purpose="GIFT") for day in (0, 30, 60)]
    wages = [booked(day, -5_000, purpose="SALA") for day in (0, 30, 60)]
    assert [] == world().play(*gifts, *wages, until=120).said()


def test_escalates_each_month_and_recovers_when_income_comes_late() -> None:
    """The second month is high; an income that comes late ends it."""
    # 0 30 60 salary   96 alert   126 second month   130 it comes
    told = world().play(*salary(0, 30, 60, 130), until=135)
    assert [(96, "opened", 1), (126, "escalated", 2), (130, "resolved", 2)] == told.told(KEY)
    assert "high" == told.alerts[1].data.severity.value
    assert "recovered" == told.alerts[-1].data.resolution


def test_is_withdrawn_by_an_income_told_late() -> None:
    """An income of the usual time that becomes known afterwards disproves it."""
    # 0 30 60 salary   90 salary, told on 99   96 alert   99 withdrawn
    late = salary(90, recorded=at(99))
    told = world().play(*salary(0, 30, 60), *late, until=110)
    assert [(96, "opened", 1), (99, "withdrawn", 1)] == told.told(KEY)


def test_a_weekly_income_that_comes_late_was_late() -> None:
    """The incomes of the weeks before do not disprove it."""
    # 0 7 14 21 salary   28 usual day   34 alert   36 it comes
    told = world().play(*salary(0, 7, 14, 21, 36), until=37)
    assert [(34, "opened", 1), (36, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_expires_when_the_incomes_are_a_year_old() -> None:
    """An income of long ago is no rhythm any more: the episode ends and the borrower can be forgotten."""
    # 0 30 60 salary   96 alert ... 12 steps ...   365 expired   460 forgotten
    told = world().play(*salary(0, 30, 60), until=500)
    assert "expired" == told.alerts[-1].data.resolution
    assert {} == told.borrowers()


def test_a_balance_that_rose_shows_an_income_that_was_not_told() -> None:
    """What was bought since leaves more in the account than before the usual day: the income has come."""
    # 0 30 60 salary   88 balance 500   91 purchase, balance 5400   96 silence   97 the salary of 90 is told
    seen = [booked(88, -10, 500), booked(91, -100, 5_400)]
    told = world().play(*salary(0, 30, 60), *seen, *salary(90, recorded=at(97)), until=99)
    assert [] == told.said()
    # 88 balance 500   91 purchase, balance 400   96 alert
    poor = world().play(*salary(0, 30, 60), booked(88, -10, 500), booked(91, -100, 400), until=99)
    assert [(96, "opened", 1)] == poor.told(KEY)


def test_a_first_missing_wage_is_only_noted() -> None:
    """Of a weekly earner the second one in a row is what counts."""
    # 0 7 14 21 salary   28 usual day   34 noted   35 usual day   41 high
    told = world().play(*salary(0, 7, 14, 21), until=42)
    assert [(34, "opened", 1), (41, "escalated", 2)] == told.told(KEY)
    assert ["info", "high"] == [alert.data.severity.value for alert in told.alerts]
