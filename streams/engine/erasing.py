"""What is left of a borrower who was erased, and when the mark of it ends.

Nothing of the person stays but a mark: the instant, and the hash of the event that said so. While it stands, whatever
still arrives about the token is passed over, so that no profile grows anew from what was on its way; a loan that is
opened later ends it, for the borrower is a customer once more. Loans that cohorts and links count are kept as empty
shells until the end of the day, when they are taken out of the count.
"""

from __future__ import annotations

import msgspec

from schemas import events
from streams.engine.borrower import Borrower
from streams.engine.loan import CLOSED, Loan
from streams.engine.portfolio.contributions import plan_telling

OVER = "The borrower was erased."


def erase(borrower: Borrower, at_ms: int) -> None:
    """Leave nothing of a borrower but the mark, and the shells of loans that are still counted elsewhere."""
    shells = [_shell(loan) for loan in borrower.loans if loan.told is not None]
    blank = Borrower()
    for name in Borrower.__slots__:
        setattr(borrower, name, getattr(blank, name))
    borrower.loans, borrower.erased_ms = shells, at_ms
    if shells:
        plan_telling(borrower, at_ms)


def passes_over(borrower: Borrower, event: events.Event, occurred_ms: int) -> bool:
    """Whether an event is nothing any more, because its borrower was erased."""
    if not borrower.erased_ms:
        return False
    again = isinstance(event, events.LoanOpened | events.LoanSnapshot | events.BorrowerErased)
    return occurred_ms <= borrower.erased_ms or not again


def end_mark(borrower: Borrower, event: events.Event) -> None:
    """An event that is not passed over was applied: with a loan the borrower is a customer again."""
    if borrower.erased_ms and not isinstance(event, events.BorrowerErased):
        borrower.erased_ms = 0


def drop_shells(borrower: Borrower) -> None:
    """Cohorts and links count nothing of the borrower any more."""
    if borrower.erased_ms:
        borrower.loans = [loan for loan in borrower.loans if loan.told is not None]


def _shell(loan: Loan) -> Loan:
    """What is needed to take a loan out of the count: in which cohorts and links it is, and with how much."""
    profile = loan.profile and msgspec.structs.replace(loan.profile, stated_income=None)
    return Loan(
        loan.id, loan.currency, loan.zone, loan.source, loan.product, loan.channel, principal=0, opened_event="",
        watched_from=loan.watched_from, installments=[], status=CLOSED, profile=profile, told=loan.told,
    )  # fmt: skip
