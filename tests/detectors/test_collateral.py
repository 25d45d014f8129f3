from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, charged_off, closed, engine_of, opened, paid, worth

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "collateral"
DUES = [60, 120, 180, 240, 300]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def loan(value: int, dues: list[int] | None = None) -> Event:
    """A loan of 5,000 on a car."""
    return opened(dues or DUES, collateral={"kind": "car", "value_minor": value})


@pytest.mark.parametrize(("value", "step"), [(5_556, 0), (5_555, 1), (5_001, 1), (5_000, 2)])
def test_ninety_per_cent_is_watched_and_a_hundred_critical(value: int, step: int) -> None:
    """Exactly at the thresholds: loan to value of 90 % and of 100 %."""
    # 0 worth 6,100: 82 %   20 valued
    told = world().play(loan(6_100), worth(20, value), until=25)
    assert ([(20, "opened", step)] if step else []) == told.told(KEY)
    assert [[], ["watch"], ["critical"]][step] == [a.data.severity for a in told.alerts]


def test_what_was_granted_so_high_is_silent() -> None:
    """A loan granted at 93 % that falls as it is paid is as agreed."""
    # 0 worth 5,400: 93 %   60 paid
    assert [] == world().play(loan(5_400), worth(20, 5_350), paid(60), until=80).said()


def test_escalates_and_ends_when_enough_is_paid() -> None:
    """From 95 % to 100 %, and after two installments it is covered again."""
    # 0 82 %   20 95 %: alert   40 100 %: critical   60 paid 4,000: covered
    told = world().play(loan(6_100), worth(20, 5_263), worth(40, 5_000), paid(60, 4_000), until=65)
    assert [(20, "opened", 1), (40, "escalated", 2), (60, "resolved", 2)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


@pytest.mark.parametrize(("value", "alerts"), [(6_001, 0), (6_000, 0), (5_950, 1)])
def test_a_fall_of_fifteen_per_cent_counts_where_the_cover_is_thin(value: int, alerts: int) -> None:
    """Down 15 % in 90 days: from 7,000 it takes 5,950 or less, and the loan is then 84 % of it."""
    # 0 worth 7,000: 71 %   80 valued
    assert alerts == len(world().play(loan(7_000, [100, 200, 300, 400, 500]), worth(80, value), until=85).alerts)


def test_a_fall_that_leaves_ample_cover_is_let_pass() -> None:
    """Half of the value gone, and still 1.6 times the loan."""
    # 0 worth 16,000   80 valued 8,000: 62 %
    assert [] == world().play(loan(16_000, [100, 200, 300, 400, 500]), worth(80, 8_000), until=85).said()


def test_the_value_at_the_beginning_of_the_window_counts_but_not_an_older_one() -> None:
    """A valuation each quarter is 91 days after the last; just outside is one that is half a year old."""
    # 0 worth 7,000   91 worth 5,950: alert    /   0 worth 7,000   181 worth 5,950: silent
    dues = [250, 300, 350, 400, 450]
    assert 1 == len(world().play(loan(7_000, dues), worth(91, 5_950), until=95).alerts)
    assert [] == world().play(loan(7_000, dues), worth(181, 5_950), until=185).said()


def test_a_fall_is_over_when_it_is_long_ago() -> None:
    """Ended by silence once the higher value has left the window."""
    # 0 7,000   80 5,950: alert   170 the fall is 90 days ago, and the value of 80 is that of the window's beginning
    told = world().play(loan(7_000, [250, 300, 350, 400, 450]), worth(80, 5_950), until=200)
    assert [(80, "opened", 1), (170, "resolved", 1)] == told.told(KEY)


def test_interest_to_come_is_not_owed() -> None:
    """Only the principal of what is not due counts, and all of what is due."""
    # 5 x 1,000 of which 100 interest each: 4,500 of 5,000 are 90 %; 4,500 of 5,001 are less
    lines = [
        {"number": n, "due_on": f"2025-{n + 1:02}-01", "amount_minor": 1_000, "interest_minor": 100}
        for n in range(1, 6)
    ]
    for value, alerts in ((5_000, 1), (5_001, 0)):
        fact = opened([], schedule=lines, principal_minor=4_500, collateral={"kind": "car", "value_minor": 5_700})
        assert alerts == len(world().play(fact, worth(20, value), until=25).alerts)


def test_late_truth_withdraws_it() -> None:
    """A payment booked late and valued before shows that the loan was covered."""
    # 0 82 %   20 95 %: alert   25 booked, valued 10: withdrawn
    told = world().play(loan(6_100), worth(20, 5_263), paid(25, 2_000, valued=10), until=30)
    assert [(20, "opened", 1), (25, "withdrawn", 1)] == told.told(KEY)


def test_without_collateral_it_is_silent() -> None:
    """Nothing is said of a loan that has none."""
    # 0 opened   31 missed
    assert [] == world().play(opened(DUES), until=90).said()


@pytest.mark.parametrize(("fact", "resolution"), [(closed(45), "closed"), (charged_off(45), "charged_off")])
def test_ends_with_the_loan(fact: Event, resolution: str) -> None:
    """The loan's end and a charge-off end it, each under its own name."""
    # 20 alert   45 closed / charged off
    told = world().play(loan(6_100), worth(20, 5_263), fact, until=50)
    assert [(20, "opened", 1), (45, "resolved", 1)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution
