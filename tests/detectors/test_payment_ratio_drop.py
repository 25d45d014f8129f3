from __future__ import annotations

import pytest

from streams.engine.policy import Policy, Servicing
from tests.builders import World, charged_off, closed, engine_of, opened, paid, rescheduled, returned

KEY = "payment_ratio_drop"
DUES = [10, 20, 30, 40, 50, 60, 70, 80]


def world(materiality: int = 0) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=Policy(servicing=Servicing(materiality_minor=materiality))))


def shares(*amounts: int) -> list:
    """For each due day a payment assigned to its installment."""
    return [
        paid(due, amount, allocation=[{"number": n, "amount_minor": amount}])
        for n, (due, amount) in enumerate(zip(DUES, amounts, strict=False), 1)
        if amount
    ]


def test_fires_when_two_are_short_and_less_than_eighty_per_cent_is_paid() -> None:
    """Two short ones of six and 79 % paid."""
    # 10 20 30 40 full   50 370   60 370   61 alert: 4740 of 6000
    told = world().play(opened(DUES), *shares(1000, 1000, 1000, 1000, 370, 370), until=61.5)
    assert [(61, "opened", 1)] == told.told(KEY)
    assert 0.79 == told.alerts[0].data.measures[0].value


def test_one_miss_alone_is_not_a_drop() -> None:
    """One short one is the missed-installment alarm, however much it lacks."""
    # 10 20 full   30 nothing: 2 of 3
    assert [] == world().play(opened(DUES), *shares(1000, 1000, 0), until=35).said()


def test_eighty_per_cent_exactly_is_enough() -> None:
    """Exactly at the threshold it is silent, one unit below it fires."""
    # 4800 of 6000   4799 of 6000
    assert [] == world().play(opened(DUES), *shares(1000, 1000, 1000, 1000, 400, 400), until=62).said()
    assert 1 == len(world().play(opened(DUES), *shares(1000, 1000, 1000, 1000, 400, 399), until=62).alerts)


def test_only_the_last_six_count() -> None:
    """Just outside: a short one that is seven installments old does not count."""
    # 10 short   20..60 full   70 short: in the last six only one
    amounts = (100, 1000, 1000, 1000, 1000, 1000, 100)
    assert [] == world().play(opened(DUES), *shares(*amounts), until=72).said()


def test_escalates_below_half_and_is_cured() -> None:
    """Below half paid it is high; caught up it is resolved, once the payment has stood for three days."""
    # 10 20 30 full   40 50 60 70 nothing: 2/4... below half   75 all paid   78 cured
    told = world().play(opened(DUES), *shares(1000, 1000, 1000), paid(75, 4_000), until=79)
    assert ["opened", "escalated", "resolved"] == [a.data.status.value for a in told.alerts]
    assert ["watch", "high"] == [a.data.severity.value for a in told.alerts[:2]]
    assert "cured" == told.alerts[-1].data.resolution
    assert 78 == told.told(KEY)[-1][0]


def test_a_debit_that_comes_back_ends_nothing() -> None:
    """One episode, however often the debit is tried and returned."""
    # 40 50 missed: 51 alert   52 debit of all   54 returned   56 debit   58 returned
    told = world().play(
        opened(DUES), *shares(1000, 1000, 1000), paid(52, 2_000, payment="a"), returned(54, "a"),
        paid(56, 2_000, payment="b"), returned(58, "b"), until=59,
    )  # fmt: skip
    assert [(51, "opened", 1)] == told.told(KEY)


def test_is_withdrawn_by_payments_valued_in_time() -> None:
    """What was valued before its first day disproves it."""
    # 40 50 missed: 51 alert   53 both booked, valued on their days
    told = world().play(opened(DUES), *shares(1000, 1000, 1000), paid(53, valued=40), paid(53.1, valued=50), until=55)
    assert ["opened", "withdrawn"] == [a.data.status.value for a in told.alerts]


def test_amounts_within_the_materiality_are_not_short() -> None:
    """An installment that counts as paid is not short."""
    # materiality 300: each of six paid to 70 %
    amounts = shares(700, 700, 700, 700, 700, 700)
    assert [] == world(300).play(opened(DUES), *amounts, until=62).said()


@pytest.mark.parametrize(
    ("fact", "resolution"),
    [
        (rescheduled(55, "plan", [100, 130, 160], first=4), "rescheduled"),
        (closed(55), "closed"),
        (charged_off(55), "charged_off"),
    ],
)
def test_ends_with_the_schedule_or_the_loan(fact: object, resolution: str) -> None:
    """A new schedule, the loan's end and a charge-off end it, each under its own name."""
    # 40 50 missed: 51 alert   55 plan / closed / charged off
    told = world().play(opened(DUES), *shares(1000, 1000, 1000), fact, until=58)
    assert ["opened", "resolved"] == [a.data.status.value for a in told.alerts]
    assert resolution == told.alerts[-1].data.resolution
