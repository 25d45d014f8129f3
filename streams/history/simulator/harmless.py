"""What looks like trouble and is none: late by habit, bank holidays, booking mistakes, shopping for a mortgage."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator import bureau
from streams.history.simulator.conduct import Conduct, Settlement
from streams.history.simulator.person import Pay

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan

HOUR = 3600


class HonestLate(Conduct):
    """Always some days late, and always pays."""

    def start(self, life: Life, day: int, second: int) -> None:  # noqa: ARG002 - the signature of the family
        """A habit of so many days."""
        self.usual = life.dice.whole(2, 7)

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """Late, about as much as always."""
        life.troubled(day, 0)
        return Settlement(after=self.usual + life.dice.whole(-1, 2))


class PayrollHoliday(Conduct):
    """A bank holiday or a payroll fault: one salary comes a week late."""

    done = False

    def payday_delay(self, life: Life, day: int) -> int:
        """Once."""
        if self.done or life.person.pay is not Pay.MONTHLY:
            return 0
        self.done = True
        life.troubled(day, 0)
        return life.dice.whole(5, 9)


class DoubleBooking(Conduct):
    """One payment is booked twice, and the second one sent back."""

    done = False

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:
        """Once, on an installment that is not the last."""
        if self.done or line is loan.lines[-1]:
            return super().settle(life, loan, line, day)
        self.done = True
        life.troubled(day, 0)
        return Settlement(twice=True)


class LateBooking(Conduct):
    """Payments made in time that the lender books days later: what was alarmed then was never true."""

    left: int

    def start(self, life: Life, day: int, second: int) -> None:  # noqa: ARG002 - the signature of the family
        """For one to three installments."""
        self.left = life.dice.whole(1, 3)

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:
        """In time, and booked late."""
        if not self.left:
            return super().settle(life, loan, line, day)
        self.left -= 1
        life.troubled(day, 0)
        return Settlement(booked_after=life.person.lead_days + life.dice.whole(2, 6))


class RateShopping(Conduct):
    """Several lenders asked for a mortgage within two weeks: a comparison, not need."""

    def start(self, life: Life, day: int, second: int) -> None:
        """Ask around."""
        life.troubled(day, second)
        first = life.dice.whole(1, bureau.LENDERS)
        for number in range(life.dice.whole(4, 7)):
            lender = f"lender-{(first + number * 11) % bureau.LENDERS + 1}"
            when = day + life.dice.whole(0, 13)
            life.plan(when, life.dice.whole(9, 18) * HOUR, bureau.inquire, "hard", "mortgage", lender)
