from __future__ import annotations

from tests.builders import World, charged_off, engine_of, opened, paid, rescheduled, returned

KEY = "first_payment_default"
DUES = [30, 60, 90]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_when_the_first_installment_is_unpaid() -> None:
    """Due + 1 opens, + 7 and + 30 confirm, with rising severity."""
    # 30 due   31 alert   37 confirmed   60 confirmed again
    told = world().play(opened(DUES), until=60.5)
    assert [(31, "opened", 1), (37, "escalated", 7), (60, "escalated", 30)] == told.told(KEY)
    assert ["watch", "high", "critical"] == [a.data.severity.value for a in told.alerts]


def test_is_silent_when_a_later_one_is_missed() -> None:
    """Only the first installment counts here."""
    # 30 paid   60 missed
    assert [] == world().play(opened(DUES), paid(30), until=90).said()


def test_paid_on_the_due_day_is_in_time() -> None:
    """Exactly at the threshold: paid on the due day raises nothing, a day later it does."""
    # 30 due, paid
    assert [] == world().play(opened(DUES), paid(30.5), until=60).said()
    assert [(31, "opened", 1), (31, "resolved", 1)] == world().play(opened(DUES), paid(31), until=60).told(KEY)


def test_a_loan_with_one_installment_has_no_first_payment() -> None:
    """A single installment is left to missed_installment."""
    # 30 due, unpaid
    assert [] == world().play(opened([30]), until=60).said()


def test_goes_on_beside_the_second_and_ends_with_the_first() -> None:
    """Paying the first installment ends it even when the second is open."""
    # 30 due   31 alert   60 second due   65 one paid: cured
    told = world().play(opened(DUES), paid(65), until=70)
    assert [(31, "opened", 1), (37, "escalated", 7), (60, "escalated", 30), (65, "resolved", 30)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_withdrawn_returned_rescheduled_and_charged_off() -> None:
    """It is withdrawn, reopened, and ended like every run of days past due."""
    # 30 due   31 alert   33 booked, valued 30: withdrawn   35 returned: opened again
    told = world().play(opened(DUES), paid(33, valued=30, payment="p"), returned(35, "p"), until=36)
    assert [(31, "opened", 1), (33, "withdrawn", 1), (35, "opened", 1)] == told.told(KEY)
    # 30 due   31 alert   32 extended
    told = world().play(opened(DUES), rescheduled(32, "extension", [50, 80, 110]), until=40)
    assert [(31, "opened", 1), (32, "resolved", 1)] == told.told(KEY)
    assert "rescheduled" == told.alerts[-1].data.resolution
    # 30 due   31 alert   33 charged off
    told = world().play(opened(DUES), charged_off(33), until=40)
    assert "charged_off" == told.alerts[-1].data.resolution
