"""Recurring income as detectors see it: payments of a few days put together, how often they come, how much a month.

And what of it is due in a month: installments here and at other lenders.

Each currency is kept by itself; the one that paid last is looked at.
"""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import local_day
from streams.engine.codes import ABSENT, FINANCIAL, REPAYMENT, TRANSACTION
from streams.engine.measure import Kind, Measure

if TYPE_CHECKING:
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan

WINDOW_DAYS = 365
TOGETHER_DAYS = 3
"""Payments within so many days are one income: a salary in two parts."""
MONTH_DAYS = 30.4
MONTHLY_FROM = 20
"""Incomes at least so many days apart are monthly ones: each stands for itself."""
RECENT = 3


class Income(NamedTuple):
    """One income: the local day of its first part, the sum, its last event, and where that came from."""

    day: int
    amount: int
    event: str
    source: str


class Rhythm(NamedTuple):
    """A steady income: the last one's day, the least and most days between two, the source and the usual amount."""

    last: int
    least: int
    period: int
    source: str
    amount: float


class Incomes(NamedTuple):
    """The latest incomes of a borrower in one currency, oldest first."""

    currency: str
    payments: list[Income]
    first_ms: int
    """When the oldest one that is kept came."""

    @property
    def gap(self) -> float:
        """The usual number of days between two; 0 with less than two."""
        return median(b.day - a.day for a, b in pairwise(self.payments)) if len(self.payments) > 1 else 0

    @property
    def monthly(self) -> float:
        """What comes in a month, by the median of the last three (monthly) or of all."""
        if self.gap >= MONTHLY_FROM:
            return median(p.amount for p in self.payments[-RECENT:]) / max(1, round(self.gap / MONTH_DAYS))
        return median(p.amount for p in self.payments) * MONTH_DAYS / self.gap

    def rhythm(self, occurrences_min: int, period_max_days: int, tolerance_days: int) -> Rhythm | None:
        """How regularly they come; None with too few, too long or too different distances."""
        if len(self.payments) < occurrences_min:
            return None
        gaps = [b.day - a.day for a, b in pairwise(self.payments)]
        if max(gaps) > period_max_days or max(abs(gap - self.gap) for gap in gaps) > tolerance_days:
            return None
        last = self.payments[-1]
        return Rhythm(last.day, min(gaps), max(gaps), last.source, median(p.amount for p in self.payments))


def income_measure(purposes: frozenset[str]) -> Measure:
    """The latest credits with such a purpose, for each currency."""
    where = (("indicator", frozenset({"CRDT"})), ("purpose", purposes))
    return Measure("income.last", TRANSACTION, Kind.LAST, WINDOW_DAYS, where, value="amount_minor", per="currency")


def incomes(view: BorrowerView, measure: Measure) -> Incomes | None:
    """The incomes in the currency that was paid last, or None if there is none."""
    kept = [(store.seen[-1].at, part, store.seen) for part, store in view.stores(measure) if store.seen]
    if not kept:
        return None
    _, currency, seen = max(kept, key=lambda entry: entry[:2])
    payments: list[Income] = []
    for entry in seen:
        day = local_day(entry.at, view.zone)
        if payments and day - payments[-1].day <= TOGETHER_DAYS:
            first = payments[-1]
            payments[-1] = Income(first.day, first.amount + entry.what, entry.event, entry.source)
        else:
            payments.append(Income(day, entry.what, entry.event, entry.source))
    return Incomes(currency, payments, seen[0].at)


def monthly_due(loan: Loan) -> float:
    """What a loan's next installment comes to in a month, by the days between it and the one beside it."""
    index = next((i for i, line in enumerate(loan.installments) if line.cleared is None), None)
    if index is None:
        return 0.0
    line, beside = loan.installments[index], loan.installments[index + 1 : index + 2]
    beside = beside or loan.installments[max(0, index - 1) : index]
    gap = max(1, abs(beside[0].due - line.due)) if beside else MONTH_DAYS
    return line.amount / max(1, round(gap / MONTH_DAYS)) if gap >= MONTHLY_FROM else line.amount * MONTH_DAYS / gap


def paid_elsewhere(own_lenders: frozenset[str], days: int) -> tuple[Measure, Measure]:
    """What goes to other lenders each day: by the merchant category, and by the purpose where there is none."""
    debit = ("indicator", frozenset({"DBIT"}))
    by_category = Measure(
        "lenders.paid", TRANSACTION, Kind.TOTAL, days, (debit, ("mcc", FINANCIAL)), value="amount_minor",
        unless=(("counterparty_token", own_lenders),),
    )  # fmt: skip
    by_purpose = by_category._replace(
        name="lenders.repaid", where=(debit, ("purpose", REPAYMENT)),
        unless=(("counterparty_token", own_lenders | {ABSENT}), ("mcc", FINANCIAL)),
    )  # fmt: skip
    return by_category, by_purpose
