from __future__ import annotations

import pytest

from streams.engine.policy import Policy
from tests.builders import World, at, engine_of, inquired

KEY = "multi_lending_spike"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def lenders(*days: float, **more: object) -> list:
    """Each day another lender asks."""
    return [inquired(day, f"lender-{n}", **more) for n, day in enumerate(days)]


def test_three_in_seven_days_are_watched() -> None:
    """Three other lenders within a week."""
    # 1 2 3: alert
    told = world().play(*lenders(1, 2, 3), until=4)
    assert [(3, "opened", 1)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity.value
    assert 3 == len(told.alerts[0].data.evidence)


def test_two_are_not_enough() -> None:
    """Just below the threshold."""
    # 1 2
    assert [] == world().play(*lenders(1, 2), until=20).said()


@pytest.mark.parametrize(("last_hour", "alerts"), [(9.99, 1), (10, 0)])
def test_the_window_is_seven_days(last_hour: float, alerts: int) -> None:
    """Exactly seven days after the first the first has left the window."""
    # 1 10:00   2   8 09:59 / 10:00
    facts = [*lenders(1, 2), inquired(8, "lender-9", hour=last_hour)]
    assert alerts == sum(a.data.status.value == "opened" for a in world().play(*facts, until=8.9).alerts)


def test_five_in_seven_days_are_high() -> None:
    """The episode that opened at three escalates at five."""
    # 1 2 3: watch   4 5: high
    told = world().play(*lenders(1, 2, 3, 4, 5), until=6)
    assert [(3, "opened", 1), (5, "escalated", 2)] == told.told(KEY)


def test_five_in_thirty_days_are_watched_and_ten_in_ninety_are_high() -> None:
    """The longer windows have counts of their own."""
    # 0 7 14 21 28: watch by 30 days
    told = world().play(*lenders(0, 7, 14, 21, 28), until=29)
    assert [(28, "opened", 1)] == told.told(KEY)
    # every 9 days: never 5 in 30; the tenth within 90 days is high
    told = world().play(*lenders(*range(0, 90, 9)), until=82)
    assert [(81, "opened", 2)] == told.told(KEY)


def test_soft_inquiries_the_same_lender_and_the_own_one_do_not_count() -> None:
    """Only different other lenders with hard inquiries count."""
    # 1 2 hard   3 soft, again the first, and ourselves
    more = [inquired(3, "lender-7", kind="soft"), inquired(3.1, "lender-0"), inquired(3.2, "own")]
    assert [] == world().play(*lenders(1, 2), *more, until=5).said()


def test_a_burst_of_an_aggregator_counts_once() -> None:
    """Lenders asked within half an hour are one application; a minute more and they are two."""
    # 1 10:00 10:10 10:30 one application
    burst = [inquired(1, f"lender-{n}", hour=10 + minutes / 60) for n, minutes in enumerate((0, 10, 30))]
    assert [] == world().play(*burst, until=5).said()
    # 1 10:00 10:31 11:02 three
    apart = [inquired(1, f"lender-{n}", hour=10 + minutes / 60) for n, minutes in enumerate((0, 31, 62))]
    assert 1 == len(world().play(*apart, until=1.9).alerts)


def test_the_own_inquiry_does_not_hide_another_lenders() -> None:
    """An application here does not make those elsewhere within half an hour a burst."""
    # 1 2 3 own at 10:00, another at 10:10
    facts = [
        fact for day in (1, 2, 3) for fact in (inquired(day, "own"), inquired(day, f"lender-{day}", hour=10 + 1 / 6))
    ]
    assert [(3, "opened", 1)] == world().play(*facts, until=4).told(KEY)


def test_a_burst_does_not_depend_on_who_asked_before() -> None:
    """A lender known from before, asked in a burst, does not count once more for it."""
    # 1 a   5 12:00 b, 12:10 a (one application)   6 c: b and c are two, a is of day 1
    facts = [inquired(1, "a"), inquired(5, "b", hour=12), inquired(5, "a", hour=12.17), inquired(9, "c")]
    assert [] == world().play(*facts, until=10).said()


def test_is_resolved_after_a_week_of_calm() -> None:
    """Once below every level for the cool-down it is over; rising again opens another."""
    # 1 2 3: alert   8 first leaves: calm   15 resolved   20 21 22 another
    told = world().play(*lenders(1, 2, 3), until=16)
    assert [(3, "opened", 1), (15, "resolved", 1)] == told.told(KEY)
    told.play(*[inquired(day, f"new-{day}") for day in (20, 21, 22)], until=23)
    assert 2 == len({a.data.episode_id for a in told.alerts})


def test_rising_again_within_the_cool_down_goes_on() -> None:
    """Calm is broken by another lender: the same episode goes on."""
    # 1 2 3: alert   8 calm   9 another: three within seven days
    told = world().play(*lenders(1, 2, 3, 8.5), until=14)
    assert [(3, "opened", 1)] == told.told(KEY)


def test_a_late_inquiry_counts_in_its_own_window_only() -> None:
    """Told late, an inquiry of long ago does not add to this week's."""
    # 20 21   1 told on 22
    told = world().play(*lenders(20, 21), inquired(1, "late", recorded=at(22)), until=25)
    assert [] == told.said()
    # 20 21   19 told on 22: the third of the week
    told = world().play(*lenders(20, 21), inquired(19, "late", recorded=at(22)), until=22.9)
    assert [(22, "opened", 1)] == told.told(KEY)


def test_shopping_for_one_secured_loan_counts_once() -> None:
    """Seven lenders asked for a mortgage are one search; asked for cash they are seven."""
    # 1 2 3 4 5 6 7 mortgage
    assert [] == world().play(*lenders(*range(1, 8), purpose="mortgage"), until=60).said()
    # 1 mortgage   2 3 cash: three within a week
    more = [inquired(day, f"cash-{day}", purpose="consumption") for day in (2, 3)]
    assert [(3, "opened", 1)] == world().play(inquired(1, "m", purpose="mortgage"), *more, until=4).told(KEY)


@pytest.mark.parametrize(("last_day", "alerts"), [(46, 0), (46.1, 1)])
def test_a_search_goes_on_for_forty_five_days(last_day: float, alerts: int) -> None:
    """Exactly 45 days after the inquiry before it is the same search, a moment later it is another."""
    # 1 mortgage   10 20 cash   46 10:00 / 12:24 mortgage: a fourth within 90 days?
    policy = Policy(detectors={KEY: {"levels": [[4, 90, "watch"]]}})
    facts = [inquired(day, f"m-{day}", purpose="mortgage") for day in (1, last_day)]
    told = World(engine_of(KEY, policy=policy)).play(*facts, *lenders(10, 20), until=46.9)
    assert alerts == len(told.alerts)


def test_each_purpose_is_a_search_of_its_own() -> None:
    """A car and a home are two loans."""
    # 1 home   2 car   3 cash
    facts = [inquired(day, f"s-{day}", purpose=purpose) for day, purpose in ((1, "home"), (2, "car"), (3, "cash"))]
    assert [(3, "opened", 1)] == world().play(*facts, until=4).told(KEY)
