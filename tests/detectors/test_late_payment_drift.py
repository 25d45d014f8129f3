from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, charged_off, closed, engine_of, opened, paid, rescheduled

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "late_payment_drift"
DUES = [30, 60, 90, 120, 150]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def late(*days: int) -> list[Event]:
    """For each installment in turn a payment so many days late."""
    return [paid(due + days_late) for due, days_late in zip(DUES, days, strict=False)]


def test_fires_when_the_third_gets_later_than_the_second() -> None:
    """By silence: the third is unpaid for longer than the second was."""
    # 30 +1   60 +4   90 unpaid: 95 alert (5 days)
    told = world().play(opened(DUES), *late(1, 4), until=97)
    assert [(95, "opened", 3)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity
    assert "1, 4, 5 days late" in told.alerts[0].data.reason


def test_two_are_not_three() -> None:
    """One below the threshold, as the first was paid on its day."""
    # 30 +0   60 +4   90 +9
    assert [] == world().play(opened(DUES), *late(0, 4, 9), until=115).said()


@pytest.mark.parametrize(("third", "alerts"), [(4, 0), (5, 1)])
def test_five_days_is_the_least(third: int, alerts: int) -> None:
    """Exactly at the threshold: a drift of a few days is none, five days are."""
    # 30 +1   60 +2   90 +4 / +5
    assert alerts == len(world().play(opened(DUES), *late(1, 2, third), until=96).alerts)


def test_as_late_as_before_is_no_drift() -> None:
    """Who always pays six days late is late, and does not drift."""
    # 30 +6   60 +6   90 +6   120 +6
    assert [] == world().play(opened(DUES), *late(6, 6, 6, 6), until=140).said()


def test_a_row_that_was_broken_is_outside() -> None:
    """One that came sooner begins the count anew."""
    # 30 +2   60 +5   90 +3   120 +7
    assert [] == world().play(opened(DUES), *late(2, 5, 3, 7), until=140).said()


def test_goes_on_with_the_fourth_and_ends_when_one_comes_sooner() -> None:
    """Each further one is a step; an installment paid sooner ends it."""
    # 30 +1   60 +3   90 +6: 95 alert   120: 127 fourth, paid +8   150 paid in time: recovered
    told = world().play(opened(DUES), *late(1, 3, 6, 8, 0), until=155)
    assert [(95, "opened", 3), (127, "escalated", 4), (150, "resolved", 4)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_late_truth_withdraws_it() -> None:
    """A payment valued earlier than it was booked shows that there was no drift."""
    # 30 +1   60 +4   95 alert   97 booked, valued 91: withdrawn
    told = world().play(opened(DUES), *late(1, 4), paid(97, valued=91), until=100)
    assert [(95, "opened", 3), (97, "withdrawn", 3)] == told.told(KEY)


@pytest.mark.parametrize("other", ["payment_ratio_drop", "serial_roll"])
def test_is_held_while_more_was_said(other: str) -> None:
    """A falling share or a second roll say as much and more."""
    assert other in engine_of(KEY).detectors[0].held_while


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(97, "plan", [130, 160]), "rescheduled"),
        (closed(97), "closed"),
        (charged_off(97), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: Event, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 95 alert   97 plan / closed / charged off
    told = world().play(opened(DUES), *late(1, 4), fact, until=100)
    assert [(95, "opened", 3), (97, "resolved", 3)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution
