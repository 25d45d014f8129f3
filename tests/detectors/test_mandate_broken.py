from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, charged_off, closed, engine_of, opened, paid, returned

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "mandate_broken"
DUES = [30, 60, 90]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


@pytest.mark.parametrize("reason", ["AC04", "AC06", "MD01"])
def test_fires_at_the_first_return_for_such_a_reason(reason: str) -> None:
    """A closed or blocked account, or a mandate that is gone, once."""
    # 28 debit   29 returned: alert, before anything is overdue
    told = world().play(opened(DUES), paid(28, payment="a"), returned(29, "a", reason), until=30)
    assert [(29, "opened", 1)] == told.told(KEY)
    assert "watch" == told.alerts[0].data.severity
    assert reason in told.alerts[0].data.reason


@pytest.mark.parametrize("reason", ["AM04", "MS03", "MD06"])
def test_other_reasons_are_outside(reason: str) -> None:
    """No money, a refund or no reason given say nothing of the mandate."""
    # 28 debit   29 returned for another reason
    told = world().play(opened(DUES), paid(28, payment="a"), returned(29, "a", reason), until=40)
    assert [] == told.said()


def test_is_high_once_an_installment_is_missed() -> None:
    """A broken mandate and money overdue: a case."""
    # 29 returned: alert   31 overdue: high
    told = world().play(opened(DUES), returned(29, "a", "AC04"), until=35)
    assert [(29, "opened", 1), (31, "escalated", 2)] == told.told(KEY)
    assert ["watch", "high"] == [a.data.severity for a in told.alerts]


def test_a_payment_ends_it_exactly_when_it_has_stood_three_days() -> None:
    """Not yet on the second day, but on the third."""
    # 29 returned: alert   30 paid by transfer   33: recovered
    facts = (opened(DUES), returned(29, "a", "MD01"), paid(30))
    assert ["opened"] == [line[1] for line in world().play(*facts, until=32.9).told(KEY)]
    told = world().play(*facts, until=34)
    assert [(29, "opened", 1), (33, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_a_payment_that_is_returned_too_does_not_end_it() -> None:
    """A second debit that fails within the days of grace leaves the one episode open."""
    # 25 returned: alert   26 debit   28 returned as well: still the same episode
    told = world().play(
        opened(DUES), returned(25, "a", "AC04"), paid(26, payment="b"), returned(28, "b", "AC04"), until=30
    )
    assert [(25, "opened", 1)] == told.told(KEY)


def test_a_payment_before_the_return_does_not_count() -> None:
    """Just outside: what was paid the day before the return says nothing of later."""
    # 28 paid   29 returned: alert, and no end
    told = world().play(opened(DUES), paid(28), returned(29, "a", "AC04"), until=50)
    assert [(29, "opened", 1)] == told.told(KEY)


def test_death_is_critical_and_stops_all_contact() -> None:
    """MD07 asks for a first step of its own, and a payment of the heirs does not end it."""
    # 29 returned: alert, critical   31 paid   45 closed
    facts = (opened(DUES), paid(28, payment="a"), returned(29, "a", "MD07"), paid(31))
    told = world().play(*facts, until=44)
    assert [(29, "opened", 3)] == told.told(KEY)
    assert "critical" == told.alerts[0].data.severity
    assert told.alerts[0].data.first_step.startswith("Stop all contact")
    assert (45, "resolved", 3) == world().play(*facts, closed(45), until=46).told(KEY)[-1]


def test_death_that_is_told_later_escalates() -> None:
    """First the account is closed, then the reason is known."""
    # 25 AC04: alert   28 MD07: critical
    told = world().play(opened(DUES), returned(25, "a", "AC04"), returned(28, "b", "MD07"), until=30)
    assert [(25, "opened", 1), (28, "escalated", 3)] == told.told(KEY)


def test_a_payment_booked_late_ends_it_as_of_its_value_day() -> None:
    """Late truth: what was valued after the return and long ago ends the alert at once."""
    # 20 returned: alert   30 booked, valued 21
    told = world().play(opened(DUES), returned(20, "a", "AC06"), paid(29, valued=21), until=30)
    assert [(20, "opened", 1), (29, "resolved", 1)] == told.told(KEY)


@pytest.mark.parametrize(("fact", "resolution"), [(closed(45), "closed"), (charged_off(45), "charged_off")])
def test_ends_with_the_loan(fact: Event, resolution: str) -> None:
    """The loan's end and a charge-off end it, each under its own name."""
    # 20 returned: alert   45 closed / charged off
    told = world().play(opened([60]), returned(20, "a", "AC04"), fact, until=50)
    assert ["opened", "resolved"] == [a.data.status for a in told.alerts]
    assert resolution == told.alerts[-1].data.resolution
