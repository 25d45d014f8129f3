from __future__ import annotations

import pytest

from tests.builders import World, at, booked, engine_of

KEY = "negative_balance"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_after_the_third_day_below_zero() -> None:
    """A balance stays as it is until the next transaction."""
    # 10 balance -50   10 11 12 end below zero   13 alert
    told = world().play(booked(10, -100, -50), until=14)
    assert [(13, "opened", 1)] == told.told(KEY)
    assert [3, -50] == [measure.value for measure in told.alerts[0].data.measures]


def test_is_silent_where_it_is_made_up_in_time() -> None:
    """Below zero for an afternoon or for two days is no trouble."""
    # 10 -50   10 500   20 -50   22 500
    facts = [booked(10, -100, -50), booked(10, 550, 500, hour=18), booked(20, -550, -50), booked(22, 550, 500)]
    assert [] == world().play(*facts, until=40).said()


@pytest.mark.parametrize(("balance", "alerts"), [(-1, 1), (0, 0)])
def test_zero_is_the_threshold(balance: int, alerts: int) -> None:
    """Nothing is not below zero."""
    assert alerts == len(world().play(booked(10, -100, balance), until=14).alerts)


@pytest.mark.parametrize(("third", "alerts"), [(16, 1), (17, 0)])
def test_seven_days_are_the_window(third: int, alerts: int) -> None:
    """Two days below zero and a third six days after the first are inside, seven days after it outside."""
    # 10 11 below   12 above   16 / 17 below for a day
    facts = [booked(10, -100, -50), booked(12, 100, 50), booked(third, -100, -50), booked(third + 1, 100, 50)]
    told = world().play(*facts, until=18.5)
    assert alerts == len(told.alerts)


def test_is_over_after_seven_calm_days() -> None:
    """The account is filled: the days leave the window, and seven days later it is over."""
    # 10 -50   13 alert   14 500   19 two days are left in the window   26 over
    told = world().play(booked(10, -100, -50), booked(14, 550, 500), until=40)
    assert [(13, "opened", 1), (26, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_an_idle_account_that_is_overdrawn_stays_so_for_a_while() -> None:
    """Silence does not fill an account; after 90 days nothing is said of it any more."""
    # 10 -50   13 alert   103 expired
    told = world().play(booked(10, -100, -50), until=120)
    assert (13, "opened", 1) == told.told(KEY)[0]
    assert "expired" == told.alerts[-1].data.resolution
    assert 2 == len(told.alerts)
    assert 103 <= told.told(KEY)[-1][0] <= 111


def test_accounts_are_looked_at_one_by_one() -> None:
    """Savings elsewhere do not hide an overdraft, and two accounts for a day each are no three days."""
    # 10 a-1 -50, a-2 900
    told = world().play(booked(10, -100, -50), booked(10, 100, 900, account="a-2", hour=11), until=14)
    assert [(13, "opened", 1)] == told.told(KEY)


def test_a_transaction_told_late_may_show_that_it_was_not_so() -> None:
    """The balance of the second day becomes known later: what is open ends after its calm."""
    # 10 -50   13 alert   11 500, told on 14
    told = world().play(booked(10, -100, -50), booked(11, 550, 500, recorded=at(14)), until=30)
    assert [(13, "opened", 1), (21, "resolved", 1)] == told.told(KEY)
