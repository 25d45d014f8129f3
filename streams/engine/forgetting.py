"""What a borrower's state lets go of with time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.engine.calendar import DAY_MS
from streams.engine.loan import ACTIVE
from streams.engine.measure import expire
from streams.engine.past import remembered

if TYPE_CHECKING:
    from streams.engine.borrower import Borrower
    from streams.engine.measure import Measure
    from streams.engine.policy import Limits


def tidy(borrower: Borrower, now_ms: int, limits: Limits) -> None:
    """Drop loans that ended long ago, and the ended episodes of loans that are gone or of long ago."""
    today = now_ms // DAY_MS
    known = borrower.loans
    borrower.loans = [
        loan
        for loan in known
        if loan.status == ACTIVE or loan.told is not None or loan.ended_on + limits.closed_loan_days > today
    ]
    alive = {loan.id for loan in borrower.loans}
    borrower.past = remembered(borrower.past, [loan for loan in known if loan.id not in alive])
    aged = now_ms - limits.horizon_days * DAY_MS
    borrower.episodes = [
        e for e in borrower.episodes if e.is_open or e.loan in alive or (not e.loan and e.changed_ms > aged)
    ]


def drop_expired(borrower: Borrower, measure: Measure, at_ms: int) -> None:
    """Drop what has left a measure's window, and with it the parts (an account, a lender) of which nothing is left."""
    parts = borrower.parts(measure.key)
    for part, store in list(parts.items()):
        expire(measure, store, at_ms)
        if measure.per is not None and store.is_empty:
            del parts[part]


def may_forget(borrower: Borrower) -> bool:
    """Whether nothing of the borrower runs, is open or waits."""
    return not (
        any(loan.status == ACTIVE for loan in borrower.loans)
        or any(episode.is_open for episode in borrower.episodes)
        or borrower.waiting
    )
