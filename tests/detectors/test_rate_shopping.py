from __future__ import annotations

import pytest

from tests.builders import World, at, engine_of, inquired

KEY = "rate_shopping"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def shopped(*days: float, purpose: str = "mortgage", **more: object) -> list:
    """Each day another lender is asked for the same."""
    return [inquired(day, f"{purpose}-{n}", purpose=purpose, **more) for n, day in enumerate(days)]


def test_it_says_that_several_inquiries_were_counted_as_one() -> None:
    """Two lenders asked for one mortgage, then four: for information, with the events behind it."""
    # 1 2: said   3   5: said again
    told = world().play(*shopped(1, 2, 3, 5), until=6)
    assert [(2, "opened", 2), (5, "escalated", 4)] == told.told(KEY)
    assert {"info"} == {alert.data.severity.value for alert in told.alerts}
    last = told.alerts[-1].data
    assert "Inquiries of 4 lenders for one loan (mortgage) were counted as one." == last.reason
    assert (4, 4) == (last.measures[0].value, len(last.evidence))


def test_one_lender_is_no_search() -> None:
    """Just below the threshold: one lender, however often it asks."""
    # 1 1 again
    assert [] == world().play(*[inquired(day, "a", purpose="mortgage") for day in (1, 2)], until=9).said()


def test_other_purposes_and_soft_inquiries_are_none() -> None:
    """Cash applications, soft inquiries, the own lender and different purposes do not make a search."""
    # 1 2 cash   3 mortgage, soft   4 mortgage   5 car   6 mortgage, own
    facts = [*shopped(1, 2, purpose="consumption"), *shopped(3, kind="soft"), inquired(4, "x", purpose="mortgage")]
    facts += [*shopped(5, purpose="car"), inquired(6, "own", purpose="mortgage")]
    assert [] == world().play(*facts, until=9).said()


@pytest.mark.parametrize(("second", "alerts"), [(45.99, 1), (46, 0)])
def test_the_window_is_forty_five_days(second: float, alerts: int) -> None:
    """Exactly 45 days after the first the first has left the window."""
    # 1 10:00   45 / 46 10:00
    assert alerts == len(world().play(*shopped(1, second)).alerts)


def test_it_is_over_when_the_window_has_passed() -> None:
    """When the second last has left the window nothing is counted as one any more."""
    # 1 2 said   10   46 1 leaves   47 2 leaves: over
    told = world().play(*shopped(1, 2, 10), until=60)
    assert [(2, "opened", 2), (47, "resolved", 2)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution


def test_an_inquiry_told_late_counts_where_it_belongs() -> None:
    """Of long ago it makes no search; of this month it does, on the day on which it is told."""
    # 60   1 told on 61: 59 days apart
    late = {"purpose": "mortgage", "recorded": at(61)}
    assert [] == world().play(*shopped(60), inquired(1, "late", **late), until=70).said()
    # 60   40 told on 61
    assert [(61, "opened", 2)] == world().play(*shopped(60), inquired(40, "late", **late), until=70).told(KEY)
