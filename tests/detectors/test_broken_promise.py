from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, charged_off, closed, engine_of, opened, paid, promised, rescheduled, returned

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "broken_promise"
DUES = [30, 60, 90]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_when_the_day_after_the_promised_one_has_passed() -> None:
    """By silence: the promised day and the one after it pass without money."""
    # 30 due   33 promise for 36   38 alert
    told = world().play(opened(DUES), promised(33, 36), until=40)
    assert [(38, "opened", 1)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity
    assert told.alerts[0].data.onset == at(36).date()


@pytest.mark.parametrize("day", [36, 37])
def test_a_promise_kept_by_the_day_after_is_none(day: int) -> None:
    """Paid on the promised day, or just inside on the next."""
    # 33 promise for 36   36 or 37 paid
    assert [] == world().play(opened(DUES), promised(33, 36), paid(day), until=45).said()


def test_a_payment_a_day_later_is_outside() -> None:
    """Just outside: paid two days after the promised day it was broken, and is over."""
    # 33 promise for 36   38 alert   38 paid: cured
    told = world().play(opened(DUES), promised(33, 36), paid(38), until=45)
    assert [(38, "opened", 1), (38, "resolved", 1)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_ninety_per_cent_exactly_is_kept() -> None:
    """Exactly at the threshold it is silent, one unit below it fires."""
    # 33 promise of 1000 for 36   36 paid 900 / 899
    assert [] == world().play(opened(DUES), promised(33, 36), paid(36, 900), until=45).said()
    assert [(38, "opened", 1)] == world().play(opened(DUES), promised(33, 36), paid(36, 899), until=45).told(KEY)


def test_a_payment_before_the_promise_does_not_count() -> None:
    """Only what came since the promise keeps it."""
    # 31 paid 500   33 promise of 500 for 36   38 alert
    told = world().play(opened(DUES), paid(31, 500), promised(33, 36, 500), until=40)
    assert [(38, "opened", 1)] == told.told(KEY)


def test_a_promise_renewed_in_time_is_not_broken() -> None:
    """The later promise counts in its place."""
    # 33 promise for 36   35 promise for 40   42 alert
    told = world().play(opened(DUES), promised(33, 36), promised(35, 40), until=45)
    assert [(42, "opened", 1)] == told.told(KEY)


def test_the_second_one_of_a_run_is_high_and_the_next_run_begins_anew() -> None:
    """Escalates with each broken one while the arrears last."""
    # 33 for 36: 38 alert   40 for 44: 46 high   50 paid: cured   60 due   62 for 63: 65 another
    told = world().play(opened(DUES), promised(33, 36), promised(40, 44), paid(50), promised(62, 63), until=70)
    assert [(38, "opened", 1), (46, "escalated", 2), (50, "resolved", 2), (65, "opened", 1)] == told.told(KEY)
    assert "high" == told.alerts[1].data.severity


def test_nothing_is_broken_where_nothing_is_overdue() -> None:
    """A promise to pay what is not due yet is left to the due day."""
    # 10 promise for 20   30 due
    assert [] == world().play(opened(DUES), promised(10, 20), until=29).said()


def test_late_truth_withdraws_it() -> None:
    """A payment booked late and valued on the promised day shows that it was kept."""
    # 33 promise for 36   38 alert   40 booked, valued 36: withdrawn
    told = world().play(opened(DUES), promised(33, 36), paid(40, valued=36), until=45)
    assert [(38, "opened", 1), (40, "withdrawn", 1)] == told.told(KEY)
    assert "disproved" == told.alerts[-1].data.resolution


def test_a_payment_that_is_returned_breaks_it() -> None:
    """What was sent back has not kept the promise, once that is known."""
    # 33 promise for 36   36 paid   39 returned: alert
    told = world().play(opened(DUES), promised(33, 36), paid(36, payment="a"), returned(39, "a"), until=45)
    assert [(39, "opened", 1)] == told.told(KEY)


def test_more_promises_than_are_kept_go_on_in_one_episode() -> None:
    """The ninth promise pushes out the first, and the episode keeps its name."""
    # 33 40 47 ... promises, each broken
    many = [promised(day, day + 2) for day in range(33, 33 + 9 * 7, 7)]
    told = world().play(opened([30]), *many, until=100)
    assert 1 == len({a.data.episode_id for a in told.alerts})
    assert {"opened", "escalated"} == {a.data.status for a in told.alerts}


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(41, "plan", [80, 110, 140]), "rescheduled"),
        (closed(41), "closed"),
        (charged_off(41), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: Event, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 38 alert   41 plan / closed / charged off
    told = world().play(opened(DUES), promised(33, 36), fact, until=45)
    assert ["opened", "resolved"] == [a.data.status for a in told.alerts]
    assert resolution == told.alerts[-1].data.resolution
