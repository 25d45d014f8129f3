"""What a characteristic looks like."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from streams.engine.detector import BorrowerView
    from streams.engine.loan import Loan


class Characteristic(Protocol):
    """A number of a borrower's past."""

    __name__: str

    def __call__(self, view: BorrowerView, loan: Loan | None = None, line: str = "") -> float | None:
        """The number as known now, about a loan or an account elsewhere where one is meant; None if not known."""
