from __future__ import annotations

import pytest

from tests.builders import World, at, booked, engine_of

KEY = "gambling_share"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def bets(*days: float, amount: int = 100, **more: object) -> list:
    """Stakes on days of the timeline."""
    return [booked(day, -amount, mcc="7995", **more) for day in days]


def test_fires_with_the_fifth_bet() -> None:
    """Five bets of a tenth of what is spent."""
    # 1 rent 4500   10 12 14 16 18 bets of 100: 500 of 5000
    stakes = bets(10, 12, 14, 16, 18)
    told = world().play(booked(1, -4_500), *stakes, until=20)
    assert [(18, "opened", 1)] == told.told(KEY)
    assert [0.1, 5, 500] == [measure.value for measure in told.alerts[0].data.measures]
    assert tuple(bet.id for bet in stakes) == told.alerts[0].data.evidence


def test_is_silent_about_a_small_bet_now_and_then() -> None:
    """Bets of a fiftieth of the spending are a pastime."""
    # 1 rent 25000   10 12 14 16 18 bets of 100
    assert [] == world().play(booked(1, -25_000), *bets(10, 12, 14, 16, 18), until=20).said()


@pytest.mark.parametrize(("rent", "alerts"), [(4_500, 1), (4_501, 0)])
def test_a_tenth_is_the_threshold(rent: int, alerts: int) -> None:
    """Exactly a tenth of what leaves the account fires, a little less does not."""
    assert alerts == len(world().play(booked(1, -rent), *bets(10, 12, 14, 16, 18), until=20).alerts)


@pytest.mark.parametrize(("first", "alerts"), [(1, 1), (-1, 0)])
def test_a_bet_of_more_than_thirty_days_ago_is_outside(first: int, alerts: int) -> None:
    """Four bets within the window and one just outside it are four."""
    # 1 / -1 bet   10 12 14 bets   30 bet
    told = world().play(*bets(first, 10, 12, 14, 30), until=31)
    assert alerts == len([alert for alert in told.alerts if alert.data.status.value == "opened"])


def test_is_high_where_a_third_goes_to_betting_and_ends_when_it_stops() -> None:
    """A share of 30 % is high; fourteen days after the bets have left the window it is over."""
    # 1 rent 1000   10-14 bets of 100   40 the first leaves   54 over
    told = world().play(booked(1, -1_000), *bets(10, 11, 12, 13, 14), until=80)
    assert (14, "opened", 2) == told.told(KEY)[0]
    assert "high" == told.alerts[0].data.severity.value
    assert "recovered" == told.alerts[-1].data.resolution
    assert 54 <= told.told(KEY)[-1][0] <= 56


def test_a_bet_told_late_counts_when_it_was_made() -> None:
    """The fifth bet of the window becomes known a week later."""
    # 10 12 14 16 bets   18 bet, told on 25
    told = world().play(booked(1, -2_000), *bets(10, 12, 14, 16), *bets(18, recorded=at(25)), until=26)
    assert [(25, "opened", 1)] == told.told(KEY)


def test_currencies_are_not_mixed() -> None:
    """Five bets in yuan are weighed against what is spent in yuan."""
    # 1 rent 90000 JPY   10-18 bets in CNY, rent 4600 CNY
    rents = [booked(1, -90_000, currency="JPY"), booked(1, -4_600)]
    assert [] == world().play(*rents, *bets(10, 12, 14, 16, 18), until=20).said()


def test_is_held_while_a_burst_is_told() -> None:
    """One alert instead of two: who plays in bursts is told once."""
    told = World(engine_of(KEY, "gambling_burst")).play(
        booked(1, -1_000), *[booked(10, -100, mcc="7995", hour=20 + n / 10) for n in range(5)], until=12
    )
    assert {"gambling_burst"} == {line[0] for line in told.said()}
