"""What an open case says against contacting its borrower: the pauses that people, promises and the bank have set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.casework.contact import Holds
from streams.stores.case import Pause
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from streams.stores.case import Book


def holds_of(book: Book) -> Holds:
    """The holds of a borrower's book. Without an open case only that the borrower has died stands against it."""
    case = book.case
    if case is None:
        return Holds(deceased=book.deceased)
    promised = [promise.promised_on for promise in book.promises if promise.state is PromiseState.OPEN]
    return Holds(
        hardship=case.hardship_granted or Pause.HARDSHIP in case.pauses,
        dispute=Pause.DISPUTE in case.pauses,
        deceased=case.deceased or book.deceased,
        promise_until=max(promised, default=None),
        until=case.hold_until,
    )
