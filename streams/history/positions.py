"""What is outstanding on each loan of an export, followed row by row, for exports whose payments have no amount."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class _Position:
    owed: int
    payments: dict[str, int] = field(default_factory=dict)


class Positions:
    """The loans that run. Memory grows with them; closed ones are forgotten but for their name."""

    def __init__(self) -> None:
        self._open: dict[str, _Position] = {}

    def outstanding(self, loan: str) -> int | None:
        """What is owed on a loan, 0 once it is settled or closed; None for one that was never opened."""
        position = self._open.get(loan)
        return position.owed if position else None

    def follow(self, event_type: str, data: dict[str, Any]) -> None:
        """Take in an event."""
        position = self._open.get(data.get("loan", ""))
        match event_type:
            case "ews.loan.opened.v1" | "ews.loan.snapshot.v1":
                total = sum(line["amount_minor"] for line in data["schedule"])
                paid = sum(line["paid_minor"] for line in data.get("paid", ()))
                self._open[data["loan"]] = _Position(total - paid)
            case "ews.repayment.received.v1" if position:
                paid = min(data["amount_minor"], position.owed)
                position.owed -= paid
                position.payments[data["payment_id"]] = paid
            case "ews.repayment.returned.v1" if position:
                position.owed += position.payments.pop(data["payment_id"], 0)
            case "ews.loan.closed.v1" | "ews.loan.charged_off.v1" if position:
                position.owed = 0
                position.payments.clear()
            case _:
                pass
