from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, booked, closed, disbursed, engine_of, opened

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "proceeds_diversion"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def lent(day: float = 5, amount: int = 4_000) -> list[Event]:
    """A loan whose money goes out on a day at ten o'clock."""
    return [opened([40, 70, 100, 130], day=day), disbursed(day, amount, hour=10.5)]


def test_fires_when_half_of_it_is_gone() -> None:
    """Cash and quasi-cash of together half the payout."""
    # 5 10:30 payout 4000   6 cash 1000   7 quasi-cash 1000: alert
    facts = lent()
    spent = [booked(6, -1_000, mcc="6011"), booked(7, -1_000, mcc="6051")]
    told = world().play(*facts, *spent, until=10)
    assert [(7, "opened", 1)] == told.told(KEY)
    assert "high" == told.alerts[0].data.severity.value
    assert (facts[1].id, spent[0].id, spent[1].id) == told.alerts[0].data.evidence
    assert [0.5, 2_000, 4_000] == [measure.value for measure in told.alerts[0].data.measures]


def test_is_silent_where_it_is_used_for_its_purpose() -> None:
    """A shop, and a little cash."""
    # 5 payout 4000   6 car dealer 3500   7 cash 500
    assert [] == world().play(*lent(), booked(6, -3_500, mcc="5511"), booked(7, -500, mcc="6011"), until=10).said()


@pytest.mark.parametrize(("amount", "alerts"), [(2_000, 1), (1_999, 0)])
def test_half_is_the_threshold(amount: int, alerts: int) -> None:
    """Exactly half fires, one unit less does not."""
    assert alerts == len(world().play(*lent(), booked(6, -amount, mcc="7995"), until=10).alerts)


@pytest.mark.parametrize(("day", "hour", "alerts"), [(8, 10.2, 1), (8, 11.2, 0), (5, 9.5, 0), (5, 10.9, 1)])
def test_the_window_is_the_72_hours_after_the_payout(day: int, hour: float, alerts: int) -> None:
    """Inside the third day, just after it, before the payout and right after it."""
    # 5 10:30 payout ........ 8 10:30
    assert alerts == len(world().play(*lent(), booked(day, -2_500, mcc="6012", hour=hour), until=10).alerts)


def test_is_told_when_the_payout_becomes_known_late() -> None:
    """The spending came first; with the payout it has a meaning."""
    # 5 payout, told on 9   6 cash 3000
    late = [opened([40, 70], day=5), disbursed(5, 4_000, recorded=at(9))]
    assert [(9, "opened", 1)] == world().play(*late, booked(6, -3_000, mcc="6011"), until=10).told(KEY)


def test_ends_with_the_loan_or_after_ninety_days() -> None:
    """Closed early, or long ago."""
    # 6 alert   20 closed
    told = world().play(*lent(), booked(6, -3_000, mcc="6011"), closed(20), until=25)
    assert [(6, "opened", 1), (20, "resolved", 1)] == told.told(KEY)
    assert "closed" == told.alerts[-1].data.resolution
    # 6 alert   95 expired
    told = world().play(*lent(), booked(6, -3_000, mcc="6011"), until=120)
    assert [(6, "opened", 1), (95, "resolved", 1)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution


def test_another_currency_is_other_money() -> None:
    """Yen that leave are not the yuan that came."""
    assert [] == world().play(*lent(), booked(6, -3_000, mcc="6011", currency="JPY"), until=10).said()


@pytest.mark.parametrize(("stated", "alerts"), [(15_000, 1), (15_001, 0)])
def test_pocket_money_is_no_diversion(stated: int, alerts: int) -> None:
    """A small loan is half drawn in cash by anybody: less than a fifth of a month's income does not count."""
    # 5 payout 4000   6 cash 3000, a fifth of 15000
    facts = [opened([40, 70], day=5, stated_income_minor=stated), disbursed(5, 4_000, hour=10.5)]
    assert alerts == len(world().play(*facts, booked(6, -3_000, mcc="6011"), until=10).alerts)
