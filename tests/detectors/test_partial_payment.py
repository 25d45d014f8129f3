from __future__ import annotations

import pytest

from tests.builders import World, charged_off, closed, engine_of, opened, paid, rescheduled, returned

KEY = "partial_payment"
DUES = [30, 60, 90, 120, 150]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_at_due_plus_one() -> None:
    """A part paid by the due day, and no more, is told the next day."""
    # 28 half paid   30 due   31 alert
    told = world().play(opened(DUES), paid(28, 500), until=32)
    assert [(31, "opened", 1)] == told.told(KEY)
    assert 0.5 == told.alerts[0].data.measures[0].value


def test_nothing_paid_is_not_a_part() -> None:
    """Nothing at all is a missed installment, not a partial payment."""
    # 30 due, nothing
    assert [] == world().play(opened(DUES), until=50).said()


@pytest.mark.parametrize(("amount", "alerts"), [(899, 1), (900, 0), (1_000, 0), (1, 1)])
def test_ninety_per_cent_counts_as_full(amount: int, alerts: int) -> None:
    """Exactly 90 % is full, one unit less is not."""
    # 28 paid 899 / 900 / 1000 / 1   30 due
    assert alerts == len(world().play(opened(DUES), paid(28, amount), until=32).alerts)


def test_a_part_paid_after_the_due_day_is_outside() -> None:
    """Only what was paid by the due day makes a part."""
    # 30 due, nothing   31 half paid
    assert [] == world().play(opened(DUES), paid(31, 500), until=50).said()


def test_is_cured_by_the_rest() -> None:
    """The rest ends it."""
    # 28 half   31 alert   35 the rest
    told = world().play(opened(DUES), paid(28, 500), paid(35, 500), until=50)
    assert [(31, "opened", 1), (35, "resolved", 1)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_is_withdrawn_by_the_rest_valued_in_time() -> None:
    """The rest booked late and valued in time withdraws it; returned, it is opened again."""
    # 28 half   31 alert   33 rest valued 30: withdrawn   36 returned: opened
    told = world().play(opened(DUES), paid(28, 500), paid(33, 500, valued=30, payment="p"), returned(36, "p"), until=50)
    assert [(31, "opened", 1), (33, "withdrawn", 1), (36, "opened", 1)] == told.told(KEY)


def test_stays_open_for_as_long_as_the_rest_is_missing() -> None:
    """An old part is never taken back only because it is old."""
    # 28 half   31 alert   60 90 120 due, unpaid   150
    told = world().play(opened(DUES), paid(28, 500), until=160)
    assert [(31, "opened", 1)] == told.told(KEY)
    told.play(paid(161, 500), until=170)
    assert (161, "resolved", 1) == told.told(KEY)[-1]
    assert "cured" == told.alerts[-1].data.resolution


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(40, "extension", [80, 110], first=2), "rescheduled"),
        (closed(40), "closed"),
        (charged_off(40), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: object, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 28 half   31 alert   40 rescheduled / closed / charged off
    told = world().play(opened(DUES), paid(28, 500), fact, until=45)
    assert [(31, "opened", 1), (40, "resolved", 1)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution
