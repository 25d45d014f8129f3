"""What is known of a borrower's money over time: loans with their installments, balance, inquiries. Values only.

It is made of the borrower's own events (`streams.history.timeline`) and drawn beside what the database knows. Days are
calendar days of the place where the money is; amounts are minor units of their currency.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date


class Standing(StrEnum):
    """What became of an installment."""

    PAID = "paid"
    LATE = "late"
    UNPAID = "unpaid"
    AHEAD = "ahead"


@dataclass(frozen=True, slots=True)
class DueInstallment:
    """One line of a schedule. `days_late` counts to the day it was cleared, or to the last day known."""

    number: int
    due_on: date
    amount_minor: int
    paid_minor: int
    standing: Standing
    days_late: int


@dataclass(frozen=True, slots=True)
class Received:
    """A repayment by its value day; `returned_on` if it was sent back."""

    on: date
    amount_minor: int
    returned_on: date | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LoanPast:
    """One loan: what was due, what came, and days past due by day (only days above 0)."""

    loan: str
    currency: str
    installments: tuple[DueInstallment, ...]
    received: tuple[Received, ...]
    days_past_due: tuple[tuple[date, int], ...]
    ended_on: date | None = None


@dataclass(frozen=True, slots=True)
class Balance:
    """What the accounts of one currency held together at the end of each day on which it changed."""

    currency: str
    days: tuple[tuple[date, int], ...]


@dataclass(frozen=True, slots=True)
class Inquiry:
    """A lender asked a bureau about the borrower."""

    on: date
    lender: str
    hard: bool


@dataclass(frozen=True, slots=True)
class TimelineView:
    """All of it, from the first day known to the last."""

    borrower: str
    first: date
    last: date
    loans: tuple[LoanPast, ...]
    balances: tuple[Balance, ...]
    inquiries: tuple[Inquiry, ...]


Timeline = Callable[[str], TimelineView | None]
"""Gives the timeline of a borrower's token; None where no events of it are to be had."""


def nothing_known(_borrower: str) -> TimelineView | None:
    """No source of events is at hand: what the database knows is drawn alone."""
    return None
