from __future__ import annotations

import pytest

from tests.builders import World, at, booked, engine_of

KEY = "gambling_burst"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def play(day: float, *hours: float, amount: int = 100, **more: object) -> list:
    """Bets at hours of a day."""
    return [booked(day, -amount, mcc="7995", hour=hour, **more) for hour in hours]


def test_fires_with_the_fourth_bet_of_an_evening() -> None:
    """Four bets in an evening, a fifth of what is spent."""
    # 1 rent 1600   10 18:00 19:00 20:00 21:00 bets of 100
    evening = play(10, 18, 19, 20, 21)
    told = world().play(booked(1, -1_600), *evening, until=12)
    assert [(10, "opened", 1)] == told.told(KEY)
    assert [4, 0.2, 1] == [measure.value for measure in told.alerts[0].data.measures]
    assert tuple(bet.id for bet in evening) == told.alerts[0].data.evidence


def test_is_silent_about_as_many_bets_over_days() -> None:
    """The same sum spread over a week is no burst."""
    # 10 12 14 16 18 bets
    facts = [bet for day in (10, 12, 14, 16, 18) for bet in play(day, 20)]
    assert [] == world().play(booked(1, -1_600), *facts, until=20).said()


@pytest.mark.parametrize(("last", "alerts"), [(20, 1), (20.1, 0)])
def test_twelve_hours_are_the_window(last: float, alerts: int) -> None:
    """Exactly twelve hours from the first bet is inside, a little later is outside."""
    # 10 08:00 10:00 12:00 ... 20:00 / 20:06
    assert alerts == len(world().play(booked(1, -1_600), *play(10, 8, 10, 12, last), until=11).alerts)


@pytest.mark.parametrize(("rent", "alerts"), [(12_933, 1), (13_000, 0)])
def test_cheap_games_are_left_alone(rent: int, alerts: int) -> None:
    """The stakes must be 3 % of what leaves the account in 30 days."""
    # 1 rent   10 four bets of 100
    assert alerts == len(world().play(booked(1, -rent), *play(10, 18, 19, 20, 21), until=11).alerts)


def test_a_second_burst_is_high() -> None:
    """It happens again within the month."""
    # 10 burst   20 burst: high
    told = world().play(booked(1, -1_600), *play(10, 18, 19, 20, 21), *play(20, 18, 19, 20, 21), until=22)
    assert [(10, "opened", 1), (20, "escalated", 2)] == told.told(KEY)
    assert "high" == told.alerts[-1].data.severity.value


def test_is_over_when_it_did_not_happen_again() -> None:
    """Thirty days after the burst, and fourteen of calm, it is over."""
    # 10 burst   40 forgotten   54 over
    told = world().play(booked(1, -1_600), *play(10, 18, 19, 20, 21), until=70)
    assert [(10, "opened", 1), (54, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_a_bet_told_late_completes_the_burst() -> None:
    """The third of four bets becomes known two days later."""
    # 10 18:00 19:00 21:00 bets   20:00 told on 12
    told = world().play(booked(1, -1_600), *play(10, 18, 19, 21), *play(10, 20, recorded=at(12)), until=13)
    assert [(12, "opened", 1)] == told.told(KEY)
