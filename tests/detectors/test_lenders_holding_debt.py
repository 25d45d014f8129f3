from __future__ import annotations

import pytest

from tests.builders import World, at, engine_of, tradeline

KEY = "lenders_holding_debt"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def owing(day: float, lenders: int, owed: int = 5_000, **more: object) -> list:
    """On a day the bureau reports a loan with each of so many lenders."""
    return [tradeline(day, f"x-{n}", f"lender-{n}", owed=owed, **more) for n in range(lenders)]


def test_three_lenders_are_watched_and_four_are_critical() -> None:
    """Three is the cap, more than three is above it."""
    # 1 three: watch   31 four: critical
    told = world().play(*owing(1, 3), *owing(31, 4), until=32)
    assert [(1, "opened", 1), (31, "escalated", 2)] == told.told(KEY)
    assert ["watch", "critical"] == [alert.data.severity.value for alert in told.alerts]
    assert (4, 4) == (told.alerts[-1].data.measures[0].value, len(told.alerts[-1].data.evidence))


def test_two_lenders_are_not_enough() -> None:
    """Two lenders, one of them with two loans."""
    # 1 two lenders, three loans
    assert [] == world().play(*owing(1, 2), tradeline(1, "x-9", "lender-1", owed=7_000), until=20).said()


def test_cards_telecom_and_retail_are_no_loans() -> None:
    """Nearly everybody has a card, a phone and a shop's account."""
    # 1 one loan, five others
    others = [
        tradeline(1, f"o-{n}", f"other-{n}", owed=9_000, kind=kind)
        for n, kind in enumerate(("card", "telecom", "retail", "card", "telecom"))
    ]
    assert [] == world().play(*owing(1, 1), *others, until=20).said()


@pytest.mark.parametrize(("owed", "status", "alerts"), [(1, "11", 1), (0, "11", 0), (9, "13", 0), (None, "11", 0)])
def test_something_must_be_owed(owed: int | None, status: str, alerts: int) -> None:
    """The least amount counts; nothing owed, a line that is paid or closed, or no balance at all does not."""
    # 1 two owe, the third as given
    third = tradeline(1, "x-9", "lender-9", owed=owed, status=status)
    assert alerts == len(world().play(*owing(1, 2), third, until=20).alerts)


@pytest.mark.parametrize(("third", "alerts"), [(62.99, 1), (63, 0)])
def test_a_report_is_believed_for_two_months(third: float, alerts: int) -> None:
    """Exactly 62 days after their report the first two have left the window."""
    # 1 two lenders   62 / 63 10:00 a third
    assert alerts == len(world().play(*owing(1, 2), tradeline(third, "x-9", "lender-9", owed=9)).alerts)


def test_it_is_over_when_loans_are_paid() -> None:
    """Reported with nothing owed, a lender counts no longer."""
    # 1 three   31 one of them is paid off
    told = world().play(*owing(1, 3), *owing(31, 2), tradeline(31, "x-2", "lender-2", owed=0), until=32)
    assert [(1, "opened", 1), (31, "resolved", 1)] == told.told(KEY)
    assert "recovered" == told.alerts[-1].data.resolution


def test_it_expires_when_nothing_is_reported_any_more() -> None:
    """What is not reported for two months is not taken for debt."""
    # 1 three   63 too old
    told = world().play(*owing(1, 3), until=70)
    assert [(1, "opened", 1), (63, "resolved", 1)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution


def test_an_old_report_told_late_changes_nothing() -> None:
    """What was known later of a line stands, whenever the older report comes."""
    # 1 two   31 the third with nothing owed   20 told on 35: it owed then
    late = tradeline(20, "x-2", "lender-2", owed=5_000, recorded=at(35))
    assert [] == world().play(*owing(1, 2), tradeline(31, "x-2", "lender-2", owed=0), late, until=40).said()
    # 1 two   20 told on 35: the third, of which nothing newer is known
    assert [(35, "opened", 1)] == world().play(*owing(1, 2), late, until=40).told(KEY)
