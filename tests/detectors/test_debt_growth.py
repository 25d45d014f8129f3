from __future__ import annotations

import pytest

from tests.builders import World, at, engine_of, opened, tradeline

KEY = "debt_growth"
DUES = [30 * n for n in range(1, 13)]


def world() -> World:
    """A world with the one detector, and a loan with twelve installments of 1,000."""
    return World(engine_of(KEY)).play(opened(DUES))


def owed(*reports: tuple[float, int], **more: object) -> list:
    """What the bureau reports of one card over time."""
    return [tradeline(day, owed=amount, kind="card", **more) for day, amount in reports]


def test_the_debt_grows_by_half_in_two_months() -> None:
    """From 10,000 to 15,000: above 30 %, and above three installments."""
    # 1 10,000   40 10,000   100 15,000
    told = world().play(*owed((1, 10_000), (40, 10_000), (100, 15_000)), until=101)
    assert [(100, "opened", 1)] == told.told(KEY)
    measures = {measure.name: measure.value for measure in told.alerts[0].data.measures}
    assert {"debt_growth_share": 0.5, "debt_growth_installments": 5.0, "debt_elsewhere_minor": 15_000} == measures
    assert "watch" == told.alerts[0].data.severity.value


@pytest.mark.parametrize(("now", "alerts"), [(13_000, 1), (12_999, 0)])
def test_exactly_thirty_percent(now: int, alerts: int) -> None:
    """The relative trigger: 30 % of what was owed before."""
    # 1 10,000   100 13,000 / 12,999
    assert alerts == len(world().play(*owed((1, 10_000), (100, now)), until=101).alerts)


@pytest.mark.parametrize(("now", "alerts"), [(4_000, 1), (3_999, 0)])
def test_exactly_three_installments(now: int, alerts: int) -> None:
    """The absolute trigger: a small debt may grow fourfold and mean nothing."""
    # 1 1,000   100 4,000 / 3,999
    assert alerts == len(world().play(*owed((1, 1_000), (100, now)), until=101).alerts)


@pytest.mark.parametrize(("now", "severity"), [(20_000, "high"), (19_999, "watch")])
def test_debt_that_doubles_is_high(now: int, severity: str) -> None:
    """A second level at 100 %."""
    # 1 10,000   100 20,000 / 19,999
    told = world().play(*owed((1, 10_000), (100, now)), until=101)
    assert [severity] == [alert.data.severity.value for alert in told.alerts]


def test_growth_over_a_longer_time_is_none() -> None:
    """Nine percent a month are less than 30 % within 90 days, whatever they are in a year."""
    # 1 10,000   +900 each month
    reports = [(1 + 30 * month, 10_000 + 900 * month) for month in range(11)]
    assert [] == world().play(*owed(*reports), until=310).said()


def test_a_new_loan_elsewhere_is_growth() -> None:
    """What another lender lends adds to the total."""
    # 1 card 10,000   60 a loan of 9,000
    told = world().play(*owed((1, 10_000), (60, 10_000)), tradeline(60, "x-2", "lender-2", owed=9_000), until=61)
    assert [(60, "opened", 1)] == told.told(KEY)


def test_lines_that_the_bureau_reports_one_after_the_other_are_no_growth() -> None:
    """In the first month the total is not complete: each line adds to it."""
    # 1 10,000   9 another 10,000   20 a third   31 61 91 121 as before
    facts = [
        tradeline(day + 30 * month, f"x-{n}", f"lender-{n}", owed=10_000)
        for month in range(5)
        for n, day in enumerate((1, 9, 20))
    ]
    assert [] == world().play(*facts, until=150).said()


def test_without_a_loan_here_or_of_another_currency_it_is_silent() -> None:
    """The debt is looked at beside the own installments."""
    # 1 10,000   100 15,000
    reports = owed((1, 10_000), (100, 15_000), currency="USD")
    assert [] == world().play(*reports, until=101).said()
    assert [] == World(engine_of(KEY)).play(*owed((1, 10_000), (100, 15_000)), until=101).said()


def test_it_is_over_when_the_debt_is_paid_back_or_the_window_has_passed() -> None:
    """The comparison is always with 90 days ago."""
    # 1 10,000   100 15,000   130 11,000
    told = world().play(*owed((1, 10_000), (100, 15_000), (130, 11_000)), until=131)
    assert [(100, "opened", 1), (130, "resolved", 1)] == told.told(KEY)
    # 1 40 70 10,000   100 130 160 15,000   190 the day of the rise is what is compared with
    steady = [(1, 10_000), (40, 10_000), (70, 10_000), (100, 15_000), (130, 15_000), (160, 15_000)]
    told = world().play(*owed(*steady), until=220)
    assert [(100, "opened", 1), (190, "resolved", 1)] == told.told(KEY)


def test_it_grows_by_silence_when_the_base_falls() -> None:
    """Debt that was paid back and came again is growth against the low, once that lies 90 days back."""
    # 1 20,000   40 10,000   70 15,000   130 the day of the low is what is compared with
    told = world().play(*owed((1, 20_000), (40, 10_000), (70, 15_000)), until=140)
    assert [(130, "opened", 1)] == told.told(KEY)


def test_an_old_report_told_late_changes_nothing() -> None:
    """What was known later of a line stands."""
    # 1 10,000   100 10,000   95 told on 101: 15,000
    late = tradeline(95, owed=15_000, kind="card", recorded=at(101))
    assert [] == world().play(*owed((1, 10_000), (100, 10_000)), late, until=110).said()
