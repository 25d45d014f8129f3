from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, charged_off, closed, engine_of, opened, paid, rescheduled

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "relapse_after_restructuring"
DUES = [30, 60, 90]
NEW = [50, 80, 110, 140]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


@pytest.mark.parametrize("reason", ["extension", "re_age", "plan"])
def test_fires_the_day_after_the_first_new_due_day(reason: str) -> None:
    """By silence, on the day after, and goes on up its steps."""
    # 30 missed   35 new schedule   50 due   51 alert   55 high   81 critical
    told = world().play(opened(DUES), rescheduled(35, reason, NEW), until=85)
    assert [(51, "opened", 1), (55, "escalated", 5), (81, "escalated", 31)] == told.told(KEY)
    assert ["watch", "high", "critical"] == [a.data.severity for a in told.alerts]


def test_a_new_schedule_that_is_kept_is_silent() -> None:
    """Paid on each new due day."""
    # 35 plan   50 80 110 140 paid
    assert [] == world().play(opened(DUES), rescheduled(35, "plan", NEW), *map(paid, NEW), until=150).said()


def test_the_third_installment_is_inside_and_the_fourth_outside() -> None:
    """Exactly the third still counts; the fourth is an ordinary miss."""
    # 35 plan   50 80 paid   110 missed: 111 alert  /  50 80 110 paid   140 missed: silent
    new = rescheduled(35, "plan", NEW)
    told = world().play(opened(DUES), new, paid(50), paid(80), until=112)
    assert [(111, "opened", 1)] == told.told(KEY)
    assert [] == world().play(opened(DUES), new, paid(50), paid(80), paid(110), until=170).said()


def test_a_miss_without_a_change_is_none() -> None:
    """Neither without a change nor after a forbearance, which freezes the count."""
    # 30 missed
    assert [] == world().play(opened(DUES), until=55).said()
    assert [] == world().play(opened(DUES), rescheduled(35, "forbearance", NEW, until=45), until=60).said()


def test_paid_it_is_cured_and_another_miss_is_another_one() -> None:
    """One episode for each run of days past due."""
    # 35 plan   51 alert   53 paid: cured   80 paid   111 another
    told = world().play(opened(DUES), rescheduled(35, "plan", NEW), paid(53), paid(80), until=112)
    assert [(51, "opened", 1), (53, "resolved", 1), (111, "opened", 1)] == told.told(KEY)
    assert "cured" == told.alerts[1].data.resolution


def test_late_truth_withdraws_it() -> None:
    """A payment valued in time shows that it was never missed."""
    # 35 plan   51 alert   53 booked, valued 50: withdrawn
    told = world().play(opened(DUES), rescheduled(35, "plan", NEW), paid(53, valued=50), until=60)
    assert [(51, "opened", 1), (53, "withdrawn", 1)] == told.told(KEY)


def test_the_latest_change_counts() -> None:
    """A second new schedule ends the episode and begins the watch anew."""
    # 35 extension   51 alert   56 plan: rescheduled   71 alert
    told = world().play(
        opened(DUES), rescheduled(35, "extension", NEW), rescheduled(56, "plan", [70, 100, 130]), until=72
    )
    assert ["opened", "escalated", "resolved", "opened"] == [a.data.status for a in told.alerts]
    assert "rescheduled" == told.alerts[2].data.resolution


@pytest.mark.parametrize(("fact", "resolution"), [(closed(53), "closed"), (charged_off(53), "charged_off")])
def test_ends_with_the_loan(fact: Event, resolution: str) -> None:
    """The loan's end and a charge-off end it, each under its own name."""
    # 35 plan   51 alert   53 closed / charged off
    told = world().play(opened(DUES), rescheduled(35, "plan", NEW), fact, until=60)
    assert ["opened", "resolved"] == [a.data.status for a in told.alerts]
    assert resolution == told.alerts[-1].data.resolution
