from __future__ import annotations

from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import InvalidEvent, Reason
from streams.engine.borrower import Borrower, restore, snapshot
from streams.engine.calendar import day_of
from streams.engine.facts import LOAN_FACTS, open_loan
from streams.engine.loan import ACTIVE, CLOSED, bucket_of
from streams.engine.policy import Servicing
from tests.builders import at, charged_off, closed, event, events, on, opened, paid, rescheduled, returned, schedule
from tests.engine.oracle import Line, Money, days_past_due, outstanding

DAY_0 = day_of(on(0))


def play(*facts: events.Event, materiality: int = 0, business_days: str = "none") -> Borrower:
    """The borrower after some facts, in the order given."""
    borrower, servicing = Borrower(), Servicing(materiality_minor=materiality, business_days=business_days)
    for fact in facts:
        if isinstance(fact, events.LoanOpened | events.LoanSnapshot):
            open_loan(borrower, fact, servicing)
        else:
            LOAN_FACTS[type(fact)](borrower.loan(fact.data.loan), fact, servicing)
    return borrower


def late(borrower: Borrower, day: int) -> int:
    """Days past due on a day of the timeline."""
    return borrower.loans[0].days_past_due(DAY_0 + day)


amounts = st.integers(1, 400)
lives = st.fixed_dictionaries(
    {
        "gaps": st.lists(st.integers(0, 12), min_size=1, max_size=6),
        "owed": st.lists(amounts, min_size=6, max_size=6),
        "materiality": st.sampled_from([0, 0, 5, 50]),
        "payments": st.lists(
            st.fixed_dictionaries(
                {
                    "valued": st.integers(0, 60),
                    "amount": amounts,
                    "allocation": st.lists(st.tuples(st.integers(1, 7), amounts), max_size=2),
                    "returned": st.booleans(),
                    "return_first": st.booleans(),
                }
            ),
            max_size=8,
        ),
        "order": st.randoms(use_true_random=False),
    }
)


def facts_of(life: dict[str, Any]) -> tuple[list[events.Event], list[Line], list[Money]]:
    """A random life as events in a random order of arrival, and the same as the oracle takes it."""
    dues = list(accumulate(life["gaps"], initial=3))[1:]
    lines = [Line(n, due, life["owed"][n - 1]) for n, due in enumerate(dues, 1)]
    terms = [{"number": x.number, "due_on": on(x.due).isoformat(), "amount_minor": x.amount} for x in lines]
    arrivals: list[list[events.Event]] = []
    stands: list[Money] = []
    for number, payment in enumerate(life["payments"]):
        name, left, parts = f"p{number}", payment["amount"], []
        for line, amount in payment["allocation"]:
            part = min(amount, left)
            left -= part
            parts.append({"number": line, "amount_minor": part})
        facts = [paid(60, payment["amount"], payment=name, valued=payment["valued"], allocation=parts)]
        if payment["returned"]:
            facts.append(returned(61 + number, name))
            facts = facts[::-1] if payment["return_first"] else facts
        else:
            allocation = tuple((part["number"], part["amount_minor"]) for part in parts)
            stands.append(Money(payment["valued"], payment["amount"], allocation))
        arrivals.append(facts)
    queue = [fact for facts in arrivals for fact in facts[:1]]
    life["order"].shuffle(queue)
    rest = [fact for facts in arrivals for fact in facts[1:]]
    ordered = [opened([], schedule=terms), *queue, *rest]
    by_arrival = [f.data.payment_id for f in queue if isinstance(f, events.RepaymentReceived)]
    stands_of = dict(zip([f"p{n}" for n, p in enumerate(life["payments"]) if not p["returned"]], stands, strict=True))
    return ordered, lines, [stands_of[name] for name in by_arrival if name in stands_of]


@given(lives)
@settings(max_examples=400, deadline=None)
def test_days_past_due_and_allocation_are_those_of_the_oracle(life: dict[str, Any]) -> None:
    """In whatever order payments, backdated ones and returns arrive, each day counts as the rules say."""
    facts, lines, payments = facts_of(life)
    borrower = play(*facts, materiality=life["materiality"])
    loan = borrower.loans[0]
    absolute = [line._replace(due=DAY_0 + line.due) for line in lines]
    money = [payment._replace(valued=DAY_0 + payment.valued) for payment in payments]
    for day in range(DAY_0, DAY_0 + 75):
        assert days_past_due(absolute, money, day, life["materiality"]) == loan.days_past_due(day), day - DAY_0
    owed = outstanding(absolute, money, DAY_0 + 75)
    assert owed == {line.number: line.amount - line.paid for line in loan.installments}


@given(lives)
@settings(max_examples=100, deadline=None)
def test_runs_of_days_past_due_are_those_of_the_oracle(life: dict[str, Any]) -> None:
    """The runs that the facts tell begin and end on the days on which the oracle's count leaves and reaches zero."""
    facts, lines, payments = facts_of(life)
    loan = play(*facts, materiality=life["materiality"]).loans[0]
    absolute = [line._replace(due=DAY_0 + line.due) for line in lines]
    money = [payment._replace(valued=DAY_0 + payment.valued) for payment in payments]
    counts = {day: days_past_due(absolute, money, day, life["materiality"]) for day in range(DAY_0 - 1, DAY_0 + 200)}
    expected = {day for day, count in counts.items() if count}
    told = set()
    for spell in loan.spells():
        end = DAY_0 + 200 if spell.end is None else spell.end
        told |= set(range(spell.onset + 1, end))
    assert expected == told


@given(lives, st.integers(0, 10))
@settings(max_examples=100, deadline=None)
def test_a_loan_is_the_same_after_snapshot_and_restore(life: dict[str, Any], cut: int) -> None:
    """Kept and read back in the middle, it goes on as if it had not been."""
    facts, _, _ = facts_of(life)
    whole = play(*facts, materiality=life["materiality"])
    halfway = restore(snapshot(play(*facts[: cut + 1], materiality=life["materiality"])))
    for fact in facts[cut + 1 :]:
        LOAN_FACTS[type(fact)](halfway.loans[0], fact, Servicing(materiality_minor=life["materiality"]))
    assert snapshot(whole) == snapshot(halfway)


def test_the_due_day_is_zero_and_the_next_is_one() -> None:
    """The count is the local day minus the due day."""
    borrower = play(opened([30, 60]))
    assert [0, 0, 1, 31] == [late(borrower, day) for day in (29, 30, 31, 61)]


def test_buckets() -> None:
    """M1 is 1-30, M2 begins at 31."""
    assert ["M0", "M1", "M1", "M2", "M2", "M3", "M4"] == [bucket_of(d) for d in (0, 1, 30, 31, 60, 61, 91)]


def test_materiality_is_what_may_be_left() -> None:
    """Exactly the materiality outstanding is paid, one unit more is not."""
    assert 0 == late(play(opened([30]), paid(30, 990), materiality=10), 31)
    assert 1 == late(play(opened([30]), paid(30, 989), materiality=10), 31)


def test_small_rests_add_up() -> None:
    """Money goes to the oldest installment first, also where what it lacks is within the materiality."""
    short = [paid(due, 995) for due in (10, 20, 30)]
    borrower = play(opened([10, 20, 30]), *short, materiality=10)
    assert [1_000, 1_000, 985] == [line.paid for line in borrower.loans[0].installments]
    assert 1 == late(borrower, 31)


def test_money_reaches_penalty_fee_interest_principal_in_this_order() -> None:
    """Within an installment the waterfall goes from penalty to principal."""
    line = {"number": 1, "due_on": on(30).isoformat(), "amount_minor": 1_000}
    parts = {"penalty_minor": 100, "fee_minor": 200, "interest_minor": 300}
    borrower = play(opened([], schedule=[line | parts]), paid(30, 350))
    assert (100, 200, 50, 0) == borrower.loans[0].installments[0].split_paid()
    borrower = play(opened([], schedule=[line | parts]), paid(30, 700))
    assert (100, 200, 300, 100) == borrower.loans[0].installments[0].split_paid()


def test_a_surplus_prepays_the_next() -> None:
    """More than is due goes on to the next installment."""
    borrower = play(opened([30, 60]), paid(30, 1_500))
    assert [1_000, 500] == [line.paid for line in borrower.loans[0].installments]


def test_an_explicit_allocation_wins() -> None:
    """Money assigned to the second installment leaves the first unpaid."""
    borrower = play(opened([30, 60]), paid(30, allocation=[{"number": 2, "amount_minor": 1_000}]))
    assert [0, 1_000] == [line.paid for line in borrower.loans[0].installments]
    assert 31 == late(borrower, 61)


def test_a_return_names_its_payment() -> None:
    """Only the payment that is named is reversed; the others move up."""
    borrower = play(opened([30, 60]), paid(30, payment="a"), paid(60, payment="b"), returned(62, "a"))
    assert [1_000, 0] == [line.paid for line in borrower.loans[0].installments]
    assert 3 == late(borrower, 63)


def test_a_return_before_its_payment_is_the_same() -> None:
    """A return that arrives first keeps its payment from ever standing."""
    assert 5 == late(play(opened([30]), returned(32, "a"), paid(30, payment="a")), 35)


def test_a_return_that_came_first_does_not_disturb_the_order() -> None:
    """After a failed attempt payments still count in the order of their value days."""
    borrower = play(opened([10, 20]), paid(30), returned(11, "x"), paid(32, valued=20))
    assert [20, 30] == [line.cleared - DAY_0 for line in borrower.loans[0].installments]


def test_a_payment_valued_ahead_counts_from_then() -> None:
    """A payment booked now and valued in three days does not stand before."""
    borrower = play(opened([30]), paid(31, valued=34))
    assert [1, 3, 0] == [late(borrower, day) for day in (31, 33, 34)]


def test_the_same_payment_again_changes_nothing_and_another_under_its_id_is_a_conflict() -> None:
    """Payment ids are unique in the life of a loan."""
    borrower = play(opened([30, 60]), paid(30, payment="a"))
    before = snapshot(borrower)
    assert not LOAN_FACTS[events.RepaymentReceived](borrower.loans[0], paid(30, payment="a"), Servicing())
    with pytest.raises(InvalidEvent) as refused:
        LOAN_FACTS[events.RepaymentReceived](borrower.loans[0], paid(30, 999, payment="a"), Servicing())
    assert Reason.ID_CONFLICT is refused.value.reason
    assert before == snapshot(borrower)


def test_another_currency_is_refused() -> None:
    """A repayment, a disbursement and a valuation must be in the loan's currency."""
    borrower = play(opened([30]))
    for fact in (
        paid(30, currency="JPY"),
        event(events.LoanDisbursed, at(1), loan="l-1", amount_minor=1, currency="JPY"),
        event(events.LoanChargedOff, at(1), loan="l-1", amount_minor=1, currency="JPY"),
    ):
        with pytest.raises(InvalidEvent) as refused:
            LOAN_FACTS[type(fact)](borrower.loans[0], fact, Servicing())
        assert Reason.CURRENCY_MISMATCH is refused.value.reason


def test_the_business_day_rule_moves_due_days() -> None:
    """Saturday 2025-02-01 (day 31) and Sunday count as Monday the third by the rule `following`, else as themselves."""
    for due in (31, 32):
        assert 1 == late(play(opened([due])), due + 1)
        following = play(opened([due]), business_days="following")
        assert [0, 1] == [late(following, day) for day in (33, 34)]


def test_an_extension_counts_from_the_new_dates() -> None:
    """What was missed is owed at its new date."""
    borrower = play(opened([30, 60]), rescheduled(40, "extension", [50, 80]))
    assert [0, 0, 1] == [late(borrower, day) for day in (41, 50, 51)]


def test_a_new_schedule_keeps_what_was_paid() -> None:
    """The paid installments stay, the partly paid one ends with its part."""
    facts = [opened([30, 60, 90]), paid(30), paid(60, 400), rescheduled(65, "plan", [100, 130], 800, first=2)]
    loan = play(*facts).loans[0]
    assert [1_000, 400, 800, 800] == [line.amount for line in loan.installments]
    assert 1_600 == loan.outstanding()


def test_an_installment_of_nothing_is_never_overdue() -> None:
    """A line of amount zero, as in a payment holiday, is paid on its due day, also in a new schedule."""
    lines = [{**line, "amount_minor": 0 if n == 0 else 1_000} for n, line in enumerate(schedule([50, 80]))]
    assert 0 == late(play(opened([], schedule=lines)), 60)
    assert 0 == late(play(opened([30]), rescheduled(40, "plan", [], schedule=lines)), 60)


def test_a_return_after_a_new_schedule_is_owed_again() -> None:
    """The first of the new lines takes back what a replaced one had been paid."""
    facts = [opened([30, 60]), paid(30, payment="a"), rescheduled(50, "plan", [80], first=2), returned(55, "a")]
    loan = play(*facts).loans[0]
    assert 2_000 == loan.outstanding()


def test_forbearance_freezes_the_count() -> None:
    """Its days are not counted; afterwards the count goes on."""
    borrower = play(opened([30]), rescheduled(40, "forbearance", [], until=50))
    assert [10, 10, 10, 11] == [late(borrower, day) for day in (40, 45, 50, 51)]


def test_a_loan_that_ended_owes_nothing() -> None:
    """Closed and charged off: no days past due and nothing outstanding."""
    for end in (closed(40), charged_off(40)):
        loan = play(opened([30]), end).loans[0]
        assert (0, 0, 0) == (loan.days_past_due(DAY_0 + 50), loan.outstanding(), loan.overdue(DAY_0 + 50))


def test_a_return_opens_a_closed_loan_again() -> None:
    """The money it was closed with did not come."""
    loan = play(opened([30]), paid(30, payment="a"), closed(30.1), returned(33, "a")).loans[0]
    assert ACTIVE == loan.status
    assert CLOSED != loan.status


def test_a_running_loan_is_taken_on_as_it_stands() -> None:
    """A snapshot brings what is paid, with its days; what it lacks is past due from its due day."""
    terms = opened([30, 60, 90]).data.model_dump(mode="json", exclude_none=True)
    part = [{"number": 1, "paid_minor": 1_000, "cleared_on": on(29).isoformat()}, {"number": 2, "paid_minor": 400}]
    taken = event(events.LoanSnapshot, at(70), **(terms | {"as_of": on(70).isoformat(), "paid": part}))
    borrower = play(taken)
    assert [1_000, 400, 0] == [line.paid for line in borrower.loans[0].installments]
    assert 11 == late(borrower, 71)
