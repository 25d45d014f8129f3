"""The ruler itself: days past due and overdue rate from what is true of a loan."""

from __future__ import annotations

import pytest

from streams.history.simulator.truth import DueLine, LoanTruth, Paid, overdue_rate


def loan(*payments: Paid, **more: int | None) -> LoanTruth:
    """Three installments of 100, due on the days 10, 40 and 70."""
    lines = [DueLine(n, 30 * n - 20, 100) for n in (1, 2, 3)]
    truth = LoanTruth("l1", "b1", "Asia/Shanghai", "CNY", 1000, opened=0, **more)  # type: ignore[arg-type]
    truth.schedules.append((0, lines))
    truth.payments.extend(payments)
    return truth


@pytest.mark.parametrize(("day", "days_past_due"), [(9, 0), (10, 0), (11, 1), (40, 30), (41, 31)])
def test_days_past_due_count_from_the_oldest_unpaid_installment(day: int, days_past_due: int) -> None:
    """The due day itself is 0, and a second missed installment does not start anew."""
    assert loan().days_past_due(day) == days_past_due


def test_payments_count_by_value_day_and_oldest_first() -> None:
    """A part leaves the installment open; the rest moves on to the next one."""
    part = loan(Paid(10, 60))
    assert (part.days_past_due(12), part.outstanding(12)) == (2, 240)
    more = loan(Paid(10, 60), Paid(12, 90))
    assert (more.days_past_due(11), more.days_past_due(12), more.days_past_due(45)) == (1, 0, 5)


def test_a_returned_payment_counts_until_it_is_returned() -> None:
    """The arrears are back on the day of the return, as old as if nothing had been paid."""
    truth = loan(Paid(10, 100, returned=13))
    assert [truth.days_past_due(day) for day in (11, 12, 13)] == [0, 0, 3]


def test_a_new_schedule_counts_from_its_day() -> None:
    """An extension moves the due dates."""
    truth = loan()
    truth.schedules.append((15, [DueLine(n, 30 * n + 10, 100) for n in (1, 2, 3)]))
    assert [truth.days_past_due(day) for day in (14, 15, 41)] == [4, 0, 1]


def test_the_first_day_past_due_is_found_within_the_time() -> None:
    """The first day at a value, or None if it never comes or comes after the end."""
    assert loan().first_day_past_due(100) == 11
    assert loan().first_day_past_due(100, past_due=31) == 41
    assert loan().first_day_past_due(11) is None
    assert loan(Paid(10, 100), Paid(44, 100), Paid(70, 100)).first_day_past_due(100) == 41
    assert loan(charged_off=30).first_day_past_due(100, past_due=31) is None


def test_the_overdue_rate_weighs_by_what_is_outstanding() -> None:
    """Outstanding of loans past due over outstanding of the loans that run."""
    late, good = loan(), loan(Paid(10, 100))
    assert overdue_rate([late, good], 12) == 300 / 500
    assert overdue_rate([late, good, loan(closed=5)], 12) == 300 / 500
    assert overdue_rate([], 12) == 0
