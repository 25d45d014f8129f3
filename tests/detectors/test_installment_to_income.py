from __future__ import annotations

import pytest

from tests.builders import World, at, booked, closed, engine_of, opened

KEY = "installment_to_income"
DUES = [30 * n for n in range(1, 13)]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def salary(*days: float, amount: int = 5_000, **more: object) -> list:
    """Salaries on days of the timeline."""
    return [booked(day, amount, purpose="SALA", **more) for day in days]


def elsewhere(day: float, amount: int, **more: object) -> object:
    """An installment that is paid to another lender."""
    return booked(day, -amount, **({"mcc": "6012", "counterparty_token": "lender-7"} | more))


def test_fires_when_an_installment_elsewhere_comes_on_top() -> None:
    """1000 here and 600 elsewhere of an income of 5000."""
    # 0 loan of 1000 a month   0 30 60 salary 5000   70 elsewhere 600: 32 %
    told = world().play(opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), elsewhere(70, 600), until=75)
    assert [(70, "opened", 1)] == told.told(KEY)
    assert [0.32, 0.2, 1_000, 600, 5_000] == [measure.value for measure in told.alerts[0].data.measures]
    assert 3 == len(told.alerts[0].data.evidence)


def test_is_silent_about_what_was_agreed_to() -> None:
    """A loan of 40 % of the stated income was granted with open eyes."""
    # 0 loan of 1000 a month, stated 2500   0 30 60 salary 2500
    told = world().play(opened(DUES, stated_income_minor=2_500), *salary(0, 30, 60, amount=2_500), until=75)
    assert [] == told.said()


@pytest.mark.parametrize(("amount", "alerts"), [(500, 0), (501, 1)])
def test_thirty_percent_are_the_threshold(amount: int, alerts: int) -> None:
    """Exactly 30 % is within the cap, one unit more above it."""
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), elsewhere(70, amount)]
    assert alerts == len(world().play(*facts, until=75).alerts)


@pytest.mark.parametrize(("first", "alerts"), [(50, 1), (38, 0)])
def test_a_month_is_the_window(first: int, alerts: int) -> None:
    """Two installments elsewhere within 31 days count together; one of just before does not."""
    # 50 / 38 elsewhere 300   70 elsewhere 300
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), elsewhere(first, 300), elsewhere(70, 300)]
    assert alerts == len(world().play(*facts, until=71).alerts)


def test_above_half_it_is_critical() -> None:
    """A second lender's installment takes it above 50 %."""
    # 70 elsewhere 600: 32 %   75 another 1000: 52 %
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), elsewhere(70, 600), elsewhere(75, 1_000)]
    told = world().play(*facts, until=80)
    assert [(70, "opened", 1), (75, "escalated", 2)] == told.told(KEY)
    assert "critical" == told.alerts[-1].data.severity.value


def test_fires_when_the_income_falls() -> None:
    """The median of three salaries: the second low one decides."""
    # 0 30 60 salary 5000   90 120 salary 1800: 56 %
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), *salary(90, 120, amount=1_800)]
    assert [(120, "opened", 2)] == world().play(*facts, until=125).told(KEY)


def test_the_stated_income_counts_where_none_is_seen() -> None:
    """With two salaries known the stated one is the ruler; with neither nothing is said."""
    # 0 loan, stated 3000   10 elsewhere 600
    assert 1 == len(world().play(opened(DUES, stated_income_minor=3_000), elsewhere(10, 600), until=12).alerts)
    assert [] == world().play(opened(DUES), elsewhere(10, 600), until=12).said()


def test_a_repayment_counts_by_its_purpose_too_and_the_own_one_does_not() -> None:
    """A transfer for a loan to somebody else is a loan elsewhere; to the own lender it is in the schedule."""
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60)]
    other = booked(70, -600, purpose="LOAR", counterparty_token="lender-7")
    own = booked(70, -600, purpose="LOAR", counterparty_token="own")
    assert 1 == len(world().play(*facts, other, until=75).alerts)
    assert [] == world().play(*facts, own, until=75).said()


def test_is_over_with_the_loan_or_when_nothing_is_paid_elsewhere() -> None:
    """It ends fourteen days after the payment has left the month, or after the loan is over."""
    # 70 alert   101 the payment leaves   115 over
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60), elsewhere(70, 600)]
    told = world().play(*facts, until=140)
    assert [(70, "opened", 1), (115, "resolved", 1)] == told.told(KEY)
    # 70 alert   80 closed   94 over
    told = world().play(*facts, closed(80), until=140)
    assert [(70, "opened", 1), (94, "resolved", 1)] == told.told(KEY)


def test_a_payment_told_late_counts_when_it_was_made() -> None:
    """An installment elsewhere becomes known days later, or too late to matter."""
    facts = [opened(DUES, stated_income_minor=5_000), *salary(0, 30, 60)]
    assert [(80, "opened", 1)] == world().play(*facts, elsewhere(70, 600, recorded=at(80)), until=82).told(KEY)
    assert [] == world().play(*facts, elsewhere(70, 600, recorded=at(110)), until=112).said()


def test_weekly_wages_and_weekly_installments_are_a_month() -> None:
    """Four and a third of them."""
    # 0 7 ... 63 wage 1000: 4343 a month   loan of 200 a week: 869   70 elsewhere 500: 31 %
    weekly = opened([7 * n for n in range(1, 40)], 200, stated_income_minor=4_300)
    told = world().play(weekly, *salary(*range(0, 64, 7), amount=1_000), elsewhere(64, 500), until=66)
    assert [(64, "opened", 1)] == told.told(KEY)
