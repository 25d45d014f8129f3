from __future__ import annotations

import pytest

from tests.builders import World, at, charged_off, closed, engine_of, event, events, opened, paid, returned

KEY = "returned_payment"
DUES = [30, 60, 90]


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_fires_at_the_second_return_in_a_row() -> None:
    """Two debits returned for insufficient funds."""
    # 30 paid, 32 returned   40 paid, 42 returned: alert
    told = world().play(
        opened(DUES), paid(30, payment="a"), returned(32, "a"), paid(40, payment="b"), returned(42, "b"), until=50
    )
    assert [(42, "opened", 2)] == told.told(KEY)
    assert 2 == len(told.alerts[0].data.evidence)


def test_one_return_is_not_enough() -> None:
    """Exactly below the threshold."""
    # 30 paid, 32 returned
    assert [] == world().play(opened(DUES), paid(30, payment="a"), returned(32, "a"), until=50).said()


def test_a_payment_that_stands_breaks_the_row() -> None:
    """Two returns with a good payment between them are not in a row."""
    # 30 returned   35 paid   60 returned
    told = world().play(opened(DUES), returned(30, "a"), paid(35), returned(60, "b"), until=70)
    assert [] == told.said()


@pytest.mark.parametrize("reason", ["MS03", "AC04"])
def test_other_reasons_are_outside(reason: str) -> None:
    """Only insufficient funds count."""
    # 30 returned AM04   40 returned for another reason
    assert [] == world().play(opened(DUES), returned(30, "a"), returned(40, "b", reason), until=50).said()


def test_nacha_codes_count_as_insufficient_funds() -> None:
    """R01 and R09 are read as AM04."""
    # 30 R01   40 R09: alert
    told = world().play(opened(DUES), returned(30, "a", "R01"), returned(40, "b", "R09"), until=50)
    assert [(40, "opened", 2)] == told.told(KEY)


def test_escalates_with_each_further_one_and_recovers() -> None:
    """The third makes it high; a payment that has stood for three days ends it; two more make another episode."""
    # 30 40 returned: alert   50 returned: high   60 paid   63 recovered   70 80 returned: another
    told = world().play(
        opened(DUES), *(returned(day, str(day)) for day in (30, 40, 50)), paid(60),
        *(returned(day, str(day)) for day in (70, 80)), until=85,
    )  # fmt: skip
    assert [(40, "opened", 2), (50, "escalated", 3), (63, "resolved", 3), (80, "opened", 2)] == told.told(KEY)
    assert ["watch", "high"] == [a.data.severity.value for a in told.alerts[:2]]
    assert 2 == len({a.data.episode_id for a in told.alerts})


@pytest.mark.parametrize(("fact", "resolution"), [(closed(45), "closed"), (charged_off(45), "charged_off")])
def test_ends_with_the_loan(fact: object, resolution: str) -> None:
    """The loan's end and a charge-off end it, each under its own name."""
    # 30 40 returned: alert   45 closed / charged off
    told = world().play(opened(DUES), returned(30, "a"), returned(40, "b"), fact, until=50)
    assert [(40, "opened", 2), (45, "resolved", 2)] == told.told(KEY)
    assert resolution == told.alerts[-1].data.resolution


def test_returns_that_waited_for_their_loan_count_when_it_is_known() -> None:
    """Facts that came before their loan are judged with it."""
    # 30 32 returned, loan unknown   33 loan opened (told late): alert
    told = world().play(returned(30, "a"), returned(32, "b"), opened(DUES, recorded=at(33)), until=34)
    assert [(33, "opened", 2)] == told.told(KEY)


def test_nothing_is_said_of_another_loan() -> None:
    """Returns of two loans are not in a row."""
    # 30 l-1 returned   40 l-2 returned
    told = world().play(
        opened(DUES), opened(DUES, loan="l-2"), returned(30, "a"),
        event(events.RepaymentReturned, at(40), loan="l-2", payment_id="b", reason_code="AM04"), until=50,
    )  # fmt: skip
    assert [] == told.said()


def test_a_debit_that_comes_back_within_days_goes_on_in_the_same_episode() -> None:
    """While it might still be returned a payment ends nothing: one episode instead of one for each attempt."""
    # 30 40 returned: alert   50 debit   52 returned: high   60 debit   62 returned
    told = world().play(
        opened(DUES), returned(30, "a"), returned(40, "b"), paid(50, payment="c"), returned(52, "c"),
        paid(60, payment="d"), returned(62, "d"), until=63,
    )  # fmt: skip
    assert [(40, "opened", 2), (52, "escalated", 3), (62, "escalated", 4)] == told.told(KEY)


def test_a_payment_valued_long_ago_ends_it_at_once() -> None:
    """Late truth need not wait: what was valued three days ago stands."""
    # 20 25 returned: alert   29 booked, valued 26: recovered
    told = world().play(opened(DUES), returned(20, "a"), returned(25, "b"), paid(29, valued=26), until=30)
    assert [(25, "opened", 2), (29, "resolved", 2)] == told.told(KEY)
