from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.builders import World, at, booked, closed, disbursed, engine_of, opened, paid, returned

if TYPE_CHECKING:
    from schemas.events import Event

KEY = "borrow_to_repay"
DUES = [30, 60, 90, 120, 150, 180]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def credit(day: float, amount: int = 1_000, **more: object) -> Event:
    """Money of another lender comes in."""
    return booked(day, amount, **({"purpose": "LOAN", "counterparty_token": "lender-7"} | more))


def test_fires_with_the_repayment() -> None:
    """The other lender's money is in, and goes out two days later."""
    # 28 credit 1000   30 repayment 1000: alert
    facts = [credit(28), paid(30)]
    told = world().play(opened(DUES), *facts, until=35)
    assert [(30, "opened", 1)] == told.told(KEY)
    assert tuple(fact.id for fact in facts) == told.alerts[0].data.evidence
    assert [1.0, 1] == [measure.value for measure in told.alerts[0].data.measures]


def test_is_silent_where_the_loan_is_larger_or_nothing_is_borrowed() -> None:
    """A large loan elsewhere is not taken for this installment; a salary is no loan."""
    # 28 credit 9000 / salary 1000   30 repayment 1000
    assert [] == world().play(opened(DUES), credit(28, 9_000), paid(30), until=35).said()
    assert [] == world().play(opened(DUES), credit(28, purpose="SALA"), paid(30), until=35).said()


@pytest.mark.parametrize(("amount", "alerts"), [(1_250, 1), (1_251, 0)])
def test_eighty_percent_are_the_threshold(amount: int, alerts: int) -> None:
    """Exactly 80 % of the credit goes into the loan, or a little less."""
    assert alerts == len(world().play(opened(DUES), credit(28, amount), paid(30), until=35).alerts)


@pytest.mark.parametrize(("day", "alerts"), [(27, 1), (26, 0), (31, 0)])
def test_three_days_are_the_window(day: int, alerts: int) -> None:
    """The credit of three days before counts, of four days before or the day after not."""
    # 26 27 credit   30 repayment   31 credit
    assert alerts == len(world().play(opened(DUES), credit(day), paid(30), until=35).alerts)


def test_a_small_credit_did_not_pay_a_large_installment() -> None:
    """Less than half of the repayment cannot be what paid it."""
    assert [] == world().play(opened(DUES), credit(28, 499), paid(30), until=35).said()
    assert 1 == len(world().play(opened(DUES), credit(28, 500), paid(30), until=35).alerts)


def test_the_second_time_is_high() -> None:
    """It has become a way to live."""
    # 30 paid by a credit   60 again: high
    told = world().play(opened(DUES), credit(28), paid(30), credit(59), paid(60), until=65)
    assert [(30, "opened", 1), (60, "escalated", 2)] == told.told(KEY)
    assert "high" == told.alerts[-1].data.severity.value


def test_the_own_payout_is_no_other_lender() -> None:
    """By its counterparty, or by its amount where that is not known."""
    # 28 payout and credit 1000   30 repayment
    own = credit(28, counterparty_token="own")
    assert [] == world().play(opened(DUES), own, paid(30), until=35).said()
    payout = [disbursed(28, 1_000), booked(28, 1_000, purpose="LOAN", hour=11)]
    assert [] == world().play(opened(DUES), *payout, paid(30), until=35).said()


def test_is_withdrawn_when_the_repayment_comes_back() -> None:
    """The debit is returned: nothing was repaid."""
    # 28 credit   30 repayment: alert   32 returned: withdrawn
    told = world().play(opened(DUES), credit(28), paid(30, payment="p-9"), returned(32, "p-9"), until=35)
    assert [(30, "opened", 1), (32, "withdrawn", 1)] == told.told(KEY)


def test_a_credit_told_late_counts_when_it_came() -> None:
    """The bank tells of it after the repayment."""
    # 28 credit, told on 33   30 repayment
    told = world().play(opened(DUES), credit(28, recorded=at(33)), paid(30), until=35)
    assert [(33, "opened", 1)] == told.told(KEY)


def test_ends_with_the_loan_or_after_sixty_days() -> None:
    """Closed, or not again for long."""
    # 30 alert   50 closed
    told = world().play(opened(DUES), credit(28), paid(30), closed(50), until=55)
    assert "closed" == told.alerts[-1].data.resolution
    # 30 alert   90 expired
    told = world().play(opened(DUES), credit(28), paid(30), until=100)
    assert [(30, "opened", 1), (90, "resolved", 1)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution
