from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, charged_off, closed, engine_of, opened, paid, rescheduled

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "serial_roll"
# Month ends of the timeline: 30 (January), 58 (February), 89 (March), 119 (April), 150 (May).
DUES = [40, 70, 101, 131]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_after_the_second_month_end_and_escalates_with_the_third() -> None:
    """M0 in January, M1 in February, M2 in March: told on the first of April."""
    # 40 missed   58 M1   89 M2: 90 alert   119 M3: 120 critical
    told = world().play(opened(DUES), until=125)
    assert [(90, "opened", 2), (120, "escalated", 3)] == told.told(KEY)
    assert ["high", "critical"] == [a.data.severity for a in told.alerts]
    assert "M0 to M1 to M2" in told.alerts[0].data.reason
    assert told.alerts[0].data.onset == at(89).date()


def test_one_roll_is_not_two() -> None:
    """Just before the second month end has passed it is silent."""
    # 58 M1   89 is not over yet
    assert [] == world().play(opened(DUES), until=89.9).said()


def test_a_loan_that_stays_in_its_bucket_does_not_roll() -> None:
    """One behind, and then each month one paid: M1 at each month end."""
    # 40 missed   70 101 131 paid, each for the one before
    assert [] == world().play(opened(DUES), paid(70), paid(101), paid(131), until=155).said()


@pytest.mark.parametrize(("due", "alert"), [(27, 90), (28, 120)])
def test_a_later_bucket_begins_on_day_thirty_one(due: int, alert: int) -> None:
    """Exactly at the threshold: 31 days at the end of February are a roll into M2; 30 days are M1 still."""
    # due 27: 30 M1 (3 days)   58 M2 (31)   89 M3 (62): 90 alert
    # due 28: 30 M1 (2 days)   58 M1 (30)   89 M3 (61)   119 M4 (91): 120 alert
    assert [(alert, "opened", 2)] == world().play(opened([due]), until=alert + 1).told(KEY)


def test_paid_it_is_cured() -> None:
    """It ends when nothing has been overdue for three days, not only at the next month end."""
    # 90 alert   95 all paid   98 cured
    told = world().play(opened(DUES), paid(95, 2_000), until=100)
    assert [(90, "opened", 2), (98, "resolved", 2)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_a_month_end_without_a_roll_ends_it() -> None:
    """A part was paid: it rolled back at the next month end."""
    # 90 alert   95 one paid   119 M2 (since 70): still behind, no roll   123 recovered
    told = world().play(opened(DUES), paid(95), until=125)
    assert [(90, "opened", 2), (123, "resolved", 2)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_late_truth_withdraws_it() -> None:
    """A payment valued before the month's end shows that it did not roll."""
    # 90 alert   93 booked, valued 88   96 withdrawn
    told = world().play(opened(DUES), paid(93, 2_000, valued=88), until=100)
    assert [(90, "opened", 2), (96, "withdrawn", 2)] == told.told(KEY)


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(95, "plan", [130, 160, 190]), "rescheduled"),
        (closed(95), "closed"),
        (charged_off(95), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: Event, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 90 alert   95 plan / closed / charged off   98 the end
    told = world().play(opened(DUES), fact, until=100)
    assert [(90, "opened", 2), (98, "resolved", 2)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution
