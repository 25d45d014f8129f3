from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, booked, closed, engine_of, heartbeat, opened, paid, rescheduled

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "drain_after_miss"
DUES = [30, 60]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def full() -> list[Event]:
    """A loan whose first installment could have been paid: the account held twice its amount."""
    return [opened(DUES), booked(28, 100, 2_000)]


def test_fires_when_half_the_balance_leaves_after_a_miss() -> None:
    """Money that was there leaves within 72 hours."""
    # 28 balance 2000   30 due, unpaid   32 out 1200: alert
    told = world().play(*full(), booked(32, -1_200, 800), until=40)
    assert [(32, "opened", 1)] == told.told(KEY)
    assert 0.6 == told.alerts[0].data.measures[0].value


def test_is_silent_where_the_installment_is_paid() -> None:
    """Without a miss an account may be emptied."""
    # 28 balance 2000   30 paid   32 out
    assert [] == world().play(*full(), paid(30), booked(32, -1_900, 100), until=40).said()


@pytest.mark.parametrize(("amount", "alerts"), [(1_000, 1), (999, 0)])
def test_half_of_the_balance_is_the_threshold(amount: int, alerts: int) -> None:
    """Exactly half fires, one unit less does not."""
    # 28 balance 2000   30 due   32 out 1000 / 999
    assert alerts == len(world().play(*full(), booked(32, -amount, 2_000 - amount), until=40).alerts)


@pytest.mark.parametrize(("day", "hour", "alerts"), [(33, 23, 1), (34, 1, 0), (30, 1, 1), (29, 23, 0)])
def test_the_window_is_the_due_day_and_the_72_hours_after_it(day: int, hour: int, alerts: int) -> None:
    """The first hour of the due day and the last of the third day after it count; just before or after do not."""
    # 30 00:00 due day ........ 34 00:00
    told = world().play(*full(), booked(day, -1_500, 500, hour=hour), until=40)
    assert alerts == len(told.alerts)


def test_a_balance_that_could_not_have_paid_is_left_alone() -> None:
    """Who could not pay is unable, not unwilling."""
    # 28 balance 999 < 1000   30 due   32 out
    facts = [opened(DUES), booked(28, 100, 999), booked(32, -900, 99)]
    assert [] == world().play(*facts, until=40).said()


def test_the_own_late_repayment_is_no_drain() -> None:
    """Money that goes to the loan is not moved away."""
    # 28 balance 2000   30 due   32 pays 999 of 1000 from the account
    told = world().play(*full(), paid(31.9, 999), booked(32, -1_000, 1_000), until=40)
    assert [] == told.said()


def test_is_cured_withdrawn_closed_and_rescheduled() -> None:
    """It ends with the missed installment."""
    # 32 alert   35 paid
    drained = [*full(), booked(32, -1_200, 800)]
    told = world().play(*drained, paid(35), until=40)
    assert [(32, "opened", 1), (35, "resolved", 1)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution
    # 32 alert   35 booked, valued 30
    told = world().play(*drained, paid(35, valued=30), until=40)
    assert [(32, "opened", 1), (35, "withdrawn", 1)] == told.told(KEY)
    # 32 alert   35 closed
    told = world().play(*drained, closed(35), until=40)
    assert "closed" == told.alerts[-1].data.resolution
    # 32 alert   35 extended
    told = world().play(*drained, rescheduled(35, "extension", [50, 80]), until=40)
    assert "rescheduled" == told.alerts[-1].data.resolution


def test_a_drain_seen_before_the_miss_is_known_is_told_with_it() -> None:
    """The outflow comes first, the feed's word that nothing was paid later: then it is told."""
    # 30 due   31 08:00 out 1500   31 12:00 heartbeat: complete: alert
    beats = [heartbeat(29), heartbeat(31, hour=12)]
    told = world().play(*full(), *beats, booked(31, -1_500, 500, hour=8), until=32)
    assert [(31, "opened", 1)] == told.told(KEY)


def test_money_in_another_currency_is_not_counted() -> None:
    """Measures are per currency."""
    # 28 balance 2000 CNY   30 due   32 out 1500 JPY
    told = world().play(*full(), booked(32, -1_500, 9_999, currency="JPY"), until=40)
    assert [] == told.said()


def test_a_late_balance_does_not_replace_a_newer_one_of_the_same_hour() -> None:
    """The closing balance of an hour is the last by when it occurred, not by when it came."""
    # 28 10:05 balance 500, told first   10:01 balance 2000, told later   32 out
    facts = [
        opened(DUES),
        booked(28, 100, 500, hour=10 + 5 / 60),
        booked(28, 100, 2_000, hour=10 + 1 / 60, recorded=at(28, 12)),
        booked(32, -400, 100),
    ]
    assert [] == world().play(*facts, until=40).said()


def test_bills_and_purchases_move_no_assets() -> None:
    """Rent is paid whatever happens, and what is bought is not put aside; cash is."""
    # 28 balance 2000   30 due   32 rent / shop / cash 1500
    rent = world().play(*full(), booked(32, -1_500, 500, purpose="RENT"), until=40)
    shop = world().play(*full(), booked(32, -1_500, 500, mcc="5399"), until=40)
    cash = booked(32, -1_500, 500, mcc="6011")
    told = world().play(*full(), cash, until=40)
    assert [] == rent.said() == shop.said()
    assert [(32, "opened", 1)] == told.told(KEY)
    assert cash.id in told.alerts[0].data.evidence


def test_accounts_are_added_up() -> None:
    """A transfer between two accounts of the borrower takes nothing away from the other one's balance."""
    # 28 balances 2000 and 4000   30 due   32 out 1200 of 6000
    other = booked(28, 100, 4_000, account="a-2")
    told = world().play(*full(), other, booked(32, -1_200, 800), until=40)
    assert [] == told.said()


def test_money_that_comes_on_the_due_day_was_there_too() -> None:
    """A transfer that is large against the day before, and small against what was there at the miss, is no drain."""
    # 28 balance 2000   30 05:00 in 8000   30 18:00 out 1500: of 10000
    facts = [*full(), booked(30, 8_000, 10_000, hour=5), booked(30, -1_500, 8_500, hour=18)]
    assert [] == world().play(*facts, until=40).said()


def test_a_repayment_that_the_bank_tells_first_is_no_drain() -> None:
    """The account shows it on the due day, the lender books it days later."""
    # 28 balance 2000   30 repayment leaves the account   33 it is booked, valued on 30
    facts = [*full(), booked(30, -1_000, 1_000, hour=20, purpose="LOAR"), paid(33, valued=30)]
    assert [] == world().play(*facts, until=40).said()
