from __future__ import annotations

from datetime import date, timedelta

from streams.casework.contact import Holds
from streams.casework.holds import holds_of
from streams.stores.case import Book
from tests.casework.builders import SUE, do, promise, told
from tests.consumers.builders import START, alert


def opened() -> Book:
    """A case that nothing stands against."""
    return told(alert(dpd=15, step=15))


def test_a_case_alone_holds_nothing_back() -> None:
    """Nor does a borrower without one."""
    assert Holds() == holds_of(Book("b-1")) == holds_of(opened())


def test_hardship_and_dispute_hold_until_they_are_settled() -> None:
    """Granted hardship goes on, a dispute that ended does not."""
    asked = do(opened(), "hardship", note="lost the job").book
    granted = do(asked, "decide_hardship", SUE, hours=2, granted=True).book
    disputed = do(opened(), "dispute", note="paid in cash").book

    assert Holds(hardship=True) == holds_of(asked) == holds_of(granted)
    assert Holds(dispute=True) == holds_of(disputed)
    assert Holds() == holds_of(do(disputed, "end_dispute", hours=2, note="it was not").book)


def test_a_hold_has_its_end_and_a_promise_its_day() -> None:
    """Both as people have set them."""
    until = START + timedelta(days=5)

    assert Holds(until=until) == holds_of(do(opened(), "hold", until=until, reason="on holiday").book)
    assert Holds(promise_until=date(2026, 3, 5)) == holds_of(promise(opened(), days=3).book)


def test_of_the_dead_nothing_is_asked_whatever_the_case() -> None:
    """In the open case, and after it."""
    dead = alert(detector="mandate_broken", step=3, severity="high", loan=None)

    assert holds_of(told(dead)).deceased
    assert Holds(deceased=True) == holds_of(Book("b-1", deceased=True))
