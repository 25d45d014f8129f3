"""Borrowers who will not pay: wilful default after good years, and fraud from the first installment on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator import bureau, lending, spending
from streams.history.simulator.conduct import NEVER, Conduct, Settlement

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan

HOUR = 3600
ELSEWHERE = "own-account-elsewhere"


class WilfulDefault(Conduct):
    """Stops paying though the money is there, moves it away right after, and goes dark."""

    willing = False
    may_borrow = False
    unreachable = 0.55
    answers = 0.03

    def start(self, life: Life, day: int, second: int) -> None:  # noqa: ARG002 - the signature of the family
        """From the next installment on."""
        self.moved_on: int | None = None
        self.pays_in_here = life.dice.chance(0.3)

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """Nothing more."""
        return NEVER

    def refused(self, life: Life, due: int, second: int) -> None:
        """The first time, the money goes elsewhere within days."""
        if self.moved_on is not None:
            return
        self.moved_on = due
        life.troubled(due, second)
        for part in (life.dice.between(0.5, 0.8), life.dice.between(0.4, 0.9)):
            life.plan(due + life.dice.whole(0, 2), 21 * HOUR + life.dice.whole(0, 3000), self.move, part)

    def move(self, life: Life, day: int, second: int, share: float) -> None:
        """A share of the balance is moved to an account of the same person elsewhere."""
        spending.spend(life, day, second, int(life.account.balance * share), None, ELSEWHERE)

    def income(self, life: Life, day: int) -> float:
        """Later the income arrives elsewhere too."""
        moved = self.moved_on is not None and day > self.moved_on + 20 and not self.pays_in_here
        return 0.0 if moved else super().income(life, day)


class FirstPaymentDefault(Conduct):
    """Fraud: the loan is taken to be kept. The money leaves in days, no installment is ever paid."""

    willing = False
    may_borrow = False
    diverts = True
    new_customer = True
    unreachable = 0.7
    answers = 0.02

    def start(self, life: Life, day: int, second: int) -> None:
        """Take the loan, and a few inquiries before it."""
        self.begun = day
        life.plan(day, second + 10 * HOUR, self.take)
        for _ in range(life.dice.whole(0, 2)):
            life.plan(day - 0, 9 * HOUR + life.dice.whole(0, 3000), bureau.inquire, "hard", "consumption")

    def take(self, life: Life, day: int, second: int) -> None:
        """The loan is opened and its money carried away."""
        life.troubled(day, second)
        loan = lending.open_loan(life, day, second)
        routes = (("6011", "m6011-7"), ("6051", "m6051-2"), (None, ELSEWHERE))
        for mcc, to in routes:
            amount = int(loan.principal * life.dice.between(0.25, 0.34))
            life.plan(
                day + life.dice.whole(0, 2), 22 * HOUR + life.dice.whole(0, 3000), spending.spend, amount, mcc, to
            )

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """Never."""
        return NEVER

    def income(self, life: Life, day: int) -> float:  # noqa: ARG002
        """The account is used for a month, then left."""
        return 1.0 if day < self.begun + 30 else 0.0
