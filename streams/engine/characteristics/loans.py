"""Characteristics of the loans that a borrower had before, and of the one that is decided on.

A past loan is judged by its first due date: it is there for every loan, whoever lent it, and the borrower who is late
with it is rarely in time with the next ones. A loan that is overdue and unpaid counts as late by today.
"""

from __future__ import annotations

from math import sqrt
from typing import TYPE_CHECKING

from streams.engine.calendar import date_of, local_day
from streams.engine.past import Past, past_of

if TYPE_CHECKING:
    from streams.engine.characteristics.kinds import Characteristic
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan

EARLY_DAYS = 3
FADE = 0.6
"""What a loan weighs against the one after it in `recent_days_late`."""
LATE_SPAN = (-10, 15)
"""Where days late are cut off in `recent_days_late`: one loan 90 days late must not outweigh ten in time."""
FEW = 3


class _Record:
    """The loans before the one that is decided on, in the order in which they were opened."""

    __slots__ = ("loan", "loans", "now")

    def __init__(self, view: BorrowerView, loan: Loan | None) -> None:
        self.loan = loan
        self.now = local_day(view.now_ms, view.zone if loan is None else loan.zone)
        last = self.now if loan is None else loan.watched_from
        known = [*view.past, *(past_of(x) for x in view.loans if loan is None or x.id != loan.id)]
        self.loans: list[Past] = sorted((x for x in known if x.opened <= last), key=_opened)

    def late(self) -> list[int]:
        """Days late of those that are repaid, or overdue by today, in the order of their due dates."""
        told = [(x.due, x.days_late(self.now)) for x in self.loans]
        return [late for _, late in sorted((due, late) for due, late in told if late is not None)]

    def closed(self) -> list[Past]:
        """Those that are over, the last one last."""
        return sorted((x for x in self.loans if x.ended is not None), key=_ended)


def _opened(loan: Past) -> int:
    return loan.opened


def _ended(loan: Past) -> int:
    return loan.ended or 0


def last_loan_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days from the due date to the repayment of the last past loan, below 0 if it was early."""
    del line
    late = _Record(view, loan).late()
    return late[-1] if late else None


def second_last_loan_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The same of the loan before the last one."""
    del line
    late = _Record(view, loan).late()
    return late[-2] if len(late) > 1 else None


def recent_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Average days late of the past loans, the latest weighing most, each between 10 early and 15 late."""
    del line
    late = _Record(view, loan).late()[::-1]
    weights = [float(FADE**back) for back in range(len(late))]
    cut = [max(LATE_SPAN[0], min(LATE_SPAN[1], days)) for days in late]
    return round(sum(w * x for w, x in zip(weights, cut, strict=True)) / sum(weights), 2) if late else None


def worst_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The most days late among the last three past loans."""
    del line
    late = _Record(view, loan).late()
    return max(late[-FEW:]) if late else None


def spread_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How far the days late of the past loans lie apart (standard deviation)."""
    del line
    late = _Record(view, loan).late()
    if len(late) < 2:  # noqa: PLR2004 - one loan has no spread
        return None
    mean = sum(late) / len(late)
    return round(sqrt(sum((x - mean) ** 2 for x in late) / len(late)), 2)


def share_loans_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Share of the past loans repaid late, drawn towards a quarter while there are few of them."""
    del line
    late = _Record(view, loan).late()
    return round((sum(x > 0 for x in late) + 0.5) / (len(late) + 2), 3) if late else None


def share_loans_early(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Share of the past loans repaid at least three days early."""
    del line
    late = _Record(view, loan).late()
    return round(sum(x <= -EARLY_DAYS for x in late) / len(late), 3) if late else None


def loans_since_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How many loans in a row were repaid in time, up to the last one."""
    del line
    late = _Record(view, loan).late()
    return next((n for n, x in enumerate(reversed(late)) if x > 0), len(late)) if late else None


def loans_before(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How many loans the borrower had before this one (as far as they are kept)."""
    del line
    return len(_Record(view, loan).loans)


def loans_still_open(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How many of the loans before this one are not over."""
    del line
    return sum(x.ended is None for x in _Record(view, loan).loans)


def last_loan_use(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """How long the last loan that is over was kept, as a share of its term."""
    del line
    closed = _Record(view, loan).closed()
    return round((_ended(closed[-1]) - closed[-1].opened) / max(1, closed[-1].term), 2) if closed else None


def days_since_opening(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days from the opening of the loan before to that of this one (or to today)."""
    del line
    record = _Record(view, loan)
    upto = record.now if loan is None else loan.watched_from
    return upto - record.loans[-1].opened if record.loans else None


def days_since_closing(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days since the last loan that is over ended."""
    del line
    record = _Record(view, loan)
    closed = record.closed()
    return record.now - _ended(closed[-1]) if closed else None


def loans_per_month(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Loans before this one for each 30 days since the first of them."""
    del line
    record = _Record(view, loan)
    return round(len(record.loans) / max(1, record.now - record.loans[0].opened) * 30, 2) if record.loans else None


def principal_to_last(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The principal of this loan as a multiple of that of the loan before."""
    del line
    record = _Record(view, loan)
    same = [x for x in record.loans if loan is not None and x.currency == loan.currency and x.principal]
    return round(loan.principal / same[-1].principal, 2) if loan is not None and same else None


def principal_to_first(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The principal of this loan as a multiple of that of the first one kept."""
    del line
    record = _Record(view, loan)
    same = [x for x in record.loans if loan is not None and x.currency == loan.currency and x.principal]
    return round(loan.principal / same[0].principal, 2) if loan is not None and same else None


def cost_share(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """What all installments of this loan come to, as a multiple of its principal."""
    del view, line
    total = 0 if loan is None else sum(x.amount for x in loan.installments)
    return round(total / loan.principal, 3) if loan is not None and loan.principal else None


def term_days(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days from the opening of this loan to its first due date."""
    del view, line
    return None if loan is None or not loan.installments else loan.installments[0].due - loan.watched_from


def due_day_of_month(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """The day of the month of this loan's first due date: how far from payday it is."""
    del view, line
    return None if loan is None or not loan.installments else date_of(loan.installments[0].due).day


def days_past_due(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Days past due of this loan, or the most of all loans."""
    del line
    asked = list(view.loans) if loan is None else [loan]
    return max((x.days_past_due(view.day(x)) for x in asked), default=None)


def installments_days_late(view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
    """Average days late of the last six installments of this loan (or of all) that fell due."""
    del line
    told: list[tuple[int, int]] = []
    for x in view.loans if loan is None else [loan]:
        day = view.day(x)
        told += [(i.due, (day if i.cleared is None else i.cleared) - i.due) for i in x.installments if i.due < day]
    last = sorted(told)[-6:]
    return round(sum(late for _, late in last) / len(last), 1) if last else None


CHARACTERISTICS: tuple[Characteristic, ...] = (
    last_loan_days_late, second_last_loan_days_late, recent_days_late, worst_days_late, spread_days_late,
    share_loans_late, share_loans_early, loans_since_late, loans_before, loans_still_open, last_loan_use,
    days_since_opening, days_since_closing, loans_per_month, principal_to_last, principal_to_first, cost_share,
    term_days, due_day_of_month, days_past_due, installments_days_late,
)  # fmt: skip
"""All of them."""
