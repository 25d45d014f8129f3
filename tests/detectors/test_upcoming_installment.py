from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.engine.policy import Policy
from tests.builders import (
    World,
    at,
    booked,
    charged_off,
    closed,
    engine_of,
    opened,
    paid,
    rescheduled,
    returned,
)

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "upcoming_installment"
DUES = [30, 60, 90, 120, 150]


def world(**settings: int) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(detectors={KEY: settings})))


def test_reminds_three_days_before_where_the_balance_is_too_low() -> None:
    """By silence, once, as of the due day, and it is over when that has passed."""
    # 20 balance 999   27 reminder   30 due   31 expired
    told = world().play(opened(DUES), booked(20, -1, 999), until=35)
    assert [(27, "opened", 1), (31, "resolved", 1)] == told.told(KEY)
    assert "info" == told.alerts[0].data.severity
    assert at(30).date() == told.alerts[0].data.onset
    assert "expired" == told.alerts[-1].data.resolution


def test_a_balance_of_the_amount_is_enough() -> None:
    """Exactly at the threshold it is silent."""
    # 20 balance 1000
    assert [] == world().play(opened(DUES), booked(20, -1, 1_000), until=35).said()


def test_a_balance_that_falls_later_is_seen_the_next_day() -> None:
    """Looked at each day until the due day."""
    # 20 balance 5000   27 enough   28 balance 10   29 reminder
    told = world().play(opened(DUES), booked(20, -1, 5_000), booked(28, -4_990, 10), until=30)
    assert [(29, "opened", 1)] == told.told(KEY)


def test_who_paid_late_lately_is_reminded() -> None:
    """One of the last three was late; the fourth before is just outside."""
    # 30 paid 32   57 87 117 reminders   147 silent
    told = world().play(opened(DUES), paid(32), paid(60), paid(90), paid(120), until=149)
    assert [(57, "opened", 1), (60, "resolved", 1)] == told.told(KEY)[:2]
    assert [57, 87, 117] == [day for day, status, _ in told.told(KEY) if status == "opened"]
    assert "cured" == told.alerts[1].data.resolution


def test_who_had_a_payment_returned_lately_is_reminded() -> None:
    """For sixty days after the return."""
    # 29 returned: reminder   30 paid   57 and 87 reminders (58 days)   117 silent
    told = world().play(opened(DUES), returned(29, "a"), paid(30), paid(60), paid(90), until=119)
    assert [29, 57, 87] == [day for day, status, _ in told.told(KEY) if status == "opened"]


def test_others_are_reminded_only_where_that_is_asked_for() -> None:
    """Off by default; with `plain_days` one day before, as in the catalogue."""
    # 20 the first paid ahead   59 reminder   60 paid
    facts = (opened(DUES), paid(20), paid(60))
    assert [] == world().play(*facts, until=62).said()
    assert [(59, "opened", 1), (60, "resolved", 1)] == world(plain_days=1).play(*facts, until=62).told(KEY)


def test_who_is_overdue_is_not_reminded() -> None:
    """The alarms speak then."""
    # 30 missed   60 due
    assert [] == world().play(opened(DUES), booked(31, -1, 10), until=65).said()


def test_late_truth_withdraws_it() -> None:
    """A payment that was valued before, and booked after the reminder."""
    # 20 balance 10   27 reminder   28 booked, valued 25: withdrawn
    told = world().play(opened(DUES), booked(20, -1, 10), paid(28, valued=25), until=32)
    assert [(27, "opened", 1), (28, "withdrawn", 1)] == told.told(KEY)


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(28, "extension", [60, 90]), "rescheduled"),
        (closed(28), "closed"),
        (charged_off(28), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: Event, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 27 reminder   28 extension / closed / charged off
    told = world().play(opened(DUES), booked(20, -1, 10), fact, until=35)
    assert [(27, "opened", 1), (28, "resolved", 1)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution
