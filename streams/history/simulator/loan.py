"""A loan of the lender's own books while it lives: its schedule, what is paid, what is owed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streams.history.simulator.truth import DueLine, LoanTruth, Paid

if TYPE_CHECKING:
    from streams.history.simulator.almanac import Almanac


@dataclass(frozen=True, slots=True)
class Product:
    """A kind of loan the lender sells."""

    name: str
    terms: tuple[int, ...]
    burden: tuple[float, float]
    """An installment's share of a month's income, from and to."""
    monthly_rate: float
    purpose: str
    spent_on: str
    """MCC of what the money is for."""
    collateral: str | None = None


PRODUCTS: tuple[tuple[Product, float], ...] = (
    (Product("cash_loan", (3, 6, 6, 12), (0.06, 0.20), 0.018, "consumption", "5399"), 0.46),
    (Product("pos_loan", (3, 6, 9, 12), (0.03, 0.09), 0.012, "consumption", "5732"), 0.27),
    (Product("home_improvement", (12, 18, 24), (0.06, 0.16), 0.010, "renovation", "1520"), 0.12),
    (Product("car_loan", (12, 18, 24), (0.10, 0.22), 0.007, "car", "5511", "car"), 0.15),
)
CHANNELS = ("app", "app", "app", "branch", "partner")


@dataclass(slots=True)
class Line:
    """An installment while it is being paid."""

    number: int
    due: int
    amount: int
    interest: int
    unpaid: int
    cleared: int | None = None


@dataclass(slots=True)
class Loan:
    """A loan. Days are local, counted from the file's first; amounts are minor units."""

    token: str
    product: Product
    channel: str
    principal: int
    lines: list[Line]
    truth: LoanTruth
    collateral_minor: int = 0
    ended: bool = False
    dunned: bool = False
    extended: bool = False
    payments: int = 0
    bounces_until: int = -10_000
    """The day on which a debit that was presented comes back."""

    def owed(self, day: int) -> int:
        """Unpaid on installments due on that day or before."""
        return sum(line.unpaid for line in self.lines if line.due <= day)

    def outstanding(self) -> int:
        """Unpaid on all installments."""
        return sum(line.unpaid for line in self.lines)

    def days_past_due(self, day: int) -> int:
        """Days since the oldest unpaid installment fell due."""
        for line in self.lines:
            if line.unpaid:
                return max(0, day - line.due)
        return 0

    def oldest_owed(self, day: int) -> int:
        """Unpaid on the oldest installment that is due."""
        return next((line.unpaid for line in self.lines if line.unpaid and line.due <= day), 0)

    def next_payment(self) -> str:
        """The id of a new payment."""
        self.payments += 1
        return f"{self.token}-p{self.payments}"

    def pay(self, day: int, amount: int) -> None:
        """Money arrives: oldest installment first."""
        self.truth.payments.append(Paid(day, amount))
        for line in self.lines:
            part = min(amount, line.unpaid)
            if part:
                line.unpaid -= part
                amount -= part
                line.cleared = line.cleared if line.unpaid else day

    def bounce(self, day: int, amount: int, returned: int) -> None:
        """Money arrives and is sent back later: nothing is paid in the end."""
        self.bounces_until = returned
        self.truth.payments.append(Paid(day, amount, returned))

    def reschedule(self, day: int, dues: list[int]) -> None:
        """New due days for the unpaid installments, in their order."""
        for line, due in zip((line for line in self.lines if line.unpaid), dues, strict=True):
            line.due = due
        self.note_schedule(day)

    def note_schedule(self, day: int) -> None:
        """Write the schedule, as it is now, into the truth."""
        self.truth.schedules.append((day, [DueLine(line.number, line.due, line.amount) for line in self.lines]))

    def schedule(self, almanac: Almanac, *, unpaid_only: bool = False) -> list[dict[str, Any]]:
        """The schedule as events carry it."""
        return [
            {
                "number": line.number,
                "due_on": almanac.date_of(line.due).isoformat(),
                "amount_minor": line.amount,
                "interest_minor": line.interest,
            }
            for line in self.lines
            if line.unpaid or not unpaid_only
        ]
