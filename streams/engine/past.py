"""What is left of a loan when the loan itself is dropped: as much as its successors are judged by, in some 25 bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from streams.engine.loan import ACTIVE

if TYPE_CHECKING:
    from streams.engine.loan import Loan

PAST_MAX = 12
"""How many past loans are remembered after they were dropped: the latest. What older ones say has faded."""


class Past(msgspec.Struct, array_like=True, gc=False):
    """A loan in short. `opened` is a local day; the others are days since then, None for what has not happened."""

    opened: int
    term: int
    """To the first due date."""
    paid_in: int | None
    """To the day on which the first installment was paid."""
    ended_in: int | None
    principal: int
    currency: str

    @property
    def due(self) -> int:
        """The first due date."""
        return self.opened + self.term

    @property
    def ended(self) -> int | None:
        """The day on which it was over."""
        return None if self.ended_in is None else self.opened + self.ended_in

    def days_late(self, day: int) -> int | None:
        """Days from the first due date to its payment, or to `day` if that is overdue; None if neither is so."""
        if self.paid_in is not None:
            return self.paid_in - self.term
        return day - self.due if day > self.due else None


def past_of(loan: Loan) -> Past:
    """A loan in short. A snapshot counts as opened on the day it was taken on."""
    first = loan.installments[0] if loan.installments else None
    cleared = None if first is None or first.cleared is None else first.cleared - loan.watched_from
    return Past(
        loan.watched_from,
        0 if first is None else first.due - loan.watched_from,
        cleared,
        None if loan.status == ACTIVE else loan.ended_on - loan.watched_from,
        loan.principal,
        loan.currency,
    )


def remembered(past: list[Past], dropped: list[Loan]) -> list[Past]:
    """What is remembered once these loans are dropped too."""
    return [*past, *map(past_of, dropped)][-PAST_MAX:]
