"""What an alert says of an installment, as a message to the borrower keeps it until it is written out: no person."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING

import orjson

if TYPE_CHECKING:
    from schemas.alerts import AlertData

UPCOMING = "upcoming_installment"
"""The detector whose alerts are of an installment that is not due yet."""
DUE_MINOR = "due_minor"
"""The measure with what is due then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """An installment that is due or overdue."""

    amount_minor: int
    currency: str
    due: date
    days: int
    """Days past due, not below 0."""


def figures_of(data: AlertData) -> Figures | None:
    """The figures of an alert about a loan; None if it says nothing of the loan."""
    loan = next((one for one in data.loans if one.loan == data.loan), None)
    if loan is None:
        return None
    amount = loan.overdue_minor
    if data.detector == UPCOMING:
        amount = next((int(m.value) for m in data.measures if m.name == DUE_MINOR), amount)
    days = max(0, loan.days_past_due)
    return Figures(amount_minor=amount, currency=loan.currency, due=data.onset, days=days)


def written(figures: Figures | None) -> str:
    """As JSON."""
    return orjson.dumps(asdict(figures) if figures else None).decode()


def read(text: str) -> Figures | None:
    """From JSON."""
    values = orjson.loads(text)
    return None if values is None else Figures(**(values | {"due": date.fromisoformat(values["due"])}))
