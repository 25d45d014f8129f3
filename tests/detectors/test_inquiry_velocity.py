from __future__ import annotations

import pytest

from tests.builders import World, at, engine_of, filed, inquired

KEY = "inquiry_velocity"


def world(*keys: str) -> World:
    """A world with the one detector, or others beside it."""
    return World(engine_of(KEY, *keys))


def known_since(day: float = 0) -> list:
    """Something of the bureau, so that it is known that there were no inquiries since."""
    return [filed(day)]


def lenders(*days: float, name: str = "lender", **more: object) -> list:
    """Each day another lender asks."""
    return [inquired(day, f"{name}-{n}", **more) for n, day in enumerate(days)]


def test_three_lenders_in_a_month_of_somebody_who_never_asks() -> None:
    """Nothing for half a year, then three lenders within thirty days."""
    # 0 known   201 210 229: three within 30 days
    told = world().play(*known_since(), *lenders(201, 210, 229), until=230)
    assert [(229, "opened", 1)] == told.told(KEY)
    measures = {measure.name: measure.value for measure in told.alerts[0].data.measures}
    assert {"distinct_lenders": 3, "z_score": 6.0, "periods_known": 6} == measures
    assert "watch" == told.alerts[0].data.severity.value


def test_two_lenders_are_not_enough() -> None:
    """However rare, two applications are below the absolute trigger."""
    # 0 known   201 210
    assert [] == world().play(*known_since(), *lenders(201, 210), until=240).said()


@pytest.mark.parametrize(("first_hour", "alerts"), [(10.01, 1), (10, 0)])
def test_the_period_is_thirty_days(first_hour: float, alerts: int) -> None:
    """Exactly thirty days after the first the first is no longer in the period."""
    # 0 known   200 10:00 / 10:01   210   230 10:00
    facts = [inquired(200, "x", hour=first_hour), *lenders(210, 230)]
    assert alerts == len(world().play(*known_since(), *facts, until=231).alerts)


@pytest.mark.parametrize(("asked_before", "alerts"), [(1, 1), (2, 0)])
def test_it_is_measured_against_the_own_past(asked_before: int, alerts: int) -> None:
    """One inquiry in each month before leaves z = (3 - 1) / 0.5 = 4; two in each leave 2, below 3."""
    # 20 50 80 ...: one or two a month   201 205 209
    months = [20 + 30 * month for month in range(6)]
    past = [inquired(day + n, f"p-{n}") for day in months for n in range(asked_before)]
    assert alerts == len(world().play(*known_since(), *past, *lenders(201, 205, 209), until=209.9).alerts)


@pytest.mark.parametrize(("known_for", "alerts"), [(120, 1), (119, 0)])
def test_a_baseline_needs_three_periods(known_for: int, alerts: int) -> None:
    """With less than three whole periods before the present one it says nothing."""
    # known since 120 / 119 days ago   202 206 210
    told = world().play(*known_since(210 - known_for), *lenders(202, 206, 210), until=210.9)
    assert alerts == len(told.alerts)


def test_shopping_and_bursts_count_once() -> None:
    """A mortgage search, and an aggregator's burst, are one application each."""
    # 0 known   200..206 mortgage   201 burst of three
    burst = [inquired(201, f"b-{n}", hour=12 + n / 10) for n in range(3)]
    shopping = lenders(200, 202, 204, 206, name="m", purpose="mortgage")
    assert [] == world().play(*known_since(), *shopping, *burst, until=215).said()


def test_it_is_held_while_the_spike_is_open() -> None:
    """One alert in place of two: what the spike says it does not repeat, and it speaks up when that is over."""
    # 0 known   201 202 203 both: the spike   208 210 calm for a week: over; three in 30 days are still there
    told = world("multi_lending_spike").play(*known_since(), *lenders(201, 202, 203), until=230)
    assert [("multi_lending_spike", 203, "opened", 1)] == told.said()[:1]
    spike_over = next(day for key, day, status, _ in told.said() if key != KEY and status == "resolved")
    assert [(spike_over, "opened", 1)] == told.told(KEY)


def test_it_is_over_when_the_month_has_passed() -> None:
    """When fewer than three are left in the period, and a week of calm has passed."""
    # 0 known   201 205 209: alert   231 the first leaves: calm   238 resolved
    told = world().play(*known_since(), *lenders(201, 205, 209), until=250)
    assert [(209, "opened", 1), (238, "resolved", 1)] == told.told(KEY)


def test_an_inquiry_told_late_counts_in_its_own_period() -> None:
    """Of half a year ago it belongs to the baseline; of this month it is the third lender."""
    # 0 known   201 210   100 or 205 told on 211
    for day, expected in ((100, []), (205, [(211, "opened", 1)])):
        late = inquired(day, "late", recorded=at(211))
        assert expected == world().play(*known_since(), *lenders(201, 210), late, until=220).told(KEY)
