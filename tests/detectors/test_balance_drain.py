from __future__ import annotations

import pytest

from tests.builders import World, at, booked, closed, engine_of, opened

KEY = "balance_drain"
DUES = [30 * n for n in range(1, 15)]
AUGUST_3 = 214
"""The timeline begins on 1 January; July is judged on 3 August."""


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def account(*ends: tuple[float, int], **more: object) -> list:
    """A loan with installments of 1000, and balances on days."""
    return [opened(DUES), *[booked(day, -1, amount, **more) for day, amount in ends]]


def test_fires_when_the_month_is_judged() -> None:
    """4000 at the end of January, 100 at the end of July."""
    # 20 balance 4000   Jan 31 ...   205 balance 100   Jul 31   Aug 3: alert
    told = world().play(*account((20, 4_000), (205, 100)), until=AUGUST_3 + 2)
    assert [(AUGUST_3, "opened", 1)] == told.told(KEY)
    assert [0.975, 4_000, 100] == [measure.value for measure in told.alerts[0].data.measures]


def test_is_silent_where_some_is_left() -> None:
    """A balance that halves is no drain."""
    assert [] == world().play(*account((20, 4_000), (205, 2_000)), until=AUGUST_3 + 2).said()


@pytest.mark.parametrize(("left", "alerts"), [(200, 1), (201, 0)])
def test_ninety_five_percent_are_the_threshold(left: int, alerts: int) -> None:
    """Exactly 95 % less fires, one unit more does not."""
    assert alerts == len(world().play(*account((20, 4_000), (205, left)), until=AUGUST_3 + 1).alerts)


@pytest.mark.parametrize(("held", "alerts"), [(3_000, 1), (2_999, 0)])
def test_three_installments_are_the_floor(held: int, alerts: int) -> None:
    """Who never had much has nothing to drain."""
    assert alerts == len(world().play(*account((20, held), (205, 10)), until=AUGUST_3 + 1).alerts)


@pytest.mark.parametrize(("day", "alerts"), [(30, 1), (32, 0)])
def test_six_months_are_the_window(day: int, alerts: int) -> None:
    """What was there at the end of January counts, what came in February does not yet."""
    # 30 (31 Jan) / 32 (2 Feb) balance 4000
    assert alerts == len(world().play(*account((day, 4_000), (205, 10)), until=AUGUST_3 + 1).alerts)


def test_accounts_are_added_up() -> None:
    """Money that moved to another account of the borrower is still there."""
    other = booked(205, 3_900, 3_900, account="a-2")
    assert [] == world().play(*account((20, 4_000), (205, 100)), other, until=AUGUST_3 + 2).said()


def test_ends_with_the_loans_or_with_a_better_month() -> None:
    """A better month-end resolves it, and so does the end of the loan."""
    # Aug 3 alert   230 balance 3000   Sep 3 resolved
    drained = account((20, 4_000), (205, 100))
    told = world().play(*drained, booked(230, 2_900, 3_000), until=260)
    assert [(AUGUST_3, "opened", 1), (245, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution
    told = world().play(*drained, closed(230), until=260)
    assert [(AUGUST_3, "opened", 1), (230, "resolved", 1)] == told.told(KEY)
    assert "closed" == told.alerts[-1].data.resolution


def test_is_withdrawn_by_a_balance_told_late() -> None:
    """A credit of July that becomes known in August disproves it."""
    # 205 balance 100   Aug 3 alert   208 balance 3000, told on 220: withdrawn
    late = booked(208, 2_900, 3_000, recorded=at(220))
    told = world().play(*account((20, 4_000), (205, 100)), late, until=225)
    assert [(AUGUST_3, "opened", 1), (220, "withdrawn", 1)] == told.told(KEY)


def test_without_a_loan_nothing_is_said() -> None:
    """Savings of others are no business of the lender."""
    facts = account((20, 4_000), (205, 100))[1:]
    assert [] == world().play(*facts, until=AUGUST_3 + 2).said()
