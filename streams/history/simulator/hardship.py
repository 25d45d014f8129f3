"""Borrowers who cannot pay: income lost, too many loans, gambling, a gap in the cash flow."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator import bureau, spending
from streams.history.simulator.conduct import Conduct, Settlement

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan

HOUR = 3600
HOSPITAL = "8062"
CASH_ADVANCE = "6010"
SETTLED_DAYS = 60
"""Life must have been in order for so long before the lender lends again."""


class JobLoss(Conduct):
    """The salary stops; a benefit may come in its place. Most find work again, some too late."""

    may_borrow = False
    asks_extension = "plan"

    def start(self, life: Life, day: int, second: int) -> None:
        """The last salary has been paid."""
        life.troubled(day, second)
        self.begun = day
        self.until = day + life.dice.whole(90, 360)
        self.benefit = life.dice.between(0.15, 0.35) if life.dice.chance(0.4) else 0.0
        self.new_pay = life.dice.between(0.75, 1.0)

    def income(self, life: Life, day: int) -> float:  # noqa: ARG002 - the same for every life
        """A benefit at first, then a new job."""
        self.may_borrow = day >= self.until + SETTLED_DAYS
        return self.benefit if day < self.until else self.new_pay

    def thrift(self, life: Life, day: int) -> float:  # noqa: ARG002
        """People without work spend less."""
        return 0.9 if day < self.until else 0.8

    def strained(self, life: Life, day: int) -> bool:  # noqa: ARG002
        """After three months other lenders go unpaid too."""
        return self.begun + 90 < day < self.until


class Spiral(Conduct):
    """Over-borrowing: loans from many lenders within weeks, each to pay the last, until nobody lends any more."""

    may_borrow = False
    effort = 0.45
    answers = 0.35

    def start(self, life: Life, day: int, second: int) -> None:
        """Plan the weeks of borrowing."""
        life.troubled(day, second)
        self.begun = day
        span = life.dice.whole(6, 45)
        first = life.dice.whole(1, bureau.LENDERS)
        for number in range(life.dice.whole(6, 15)):
            when = day + life.dice.whole(0, span)
            # Steps of seven visit every lender before one comes twice.
            lender = f"lender-{(first + number * 7) % bureau.LENDERS + 1}"
            life.plan(when, life.dice.whole(9, 22) * HOUR + number, self.borrow, lender)
        if life.dice.chance(0.25):
            amount = life.person.income_minor * 3
            life.plan(day + life.dice.whole(180, 320), 10 * HOUR, bureau.file_record, "enforcement", amount)

    def borrow(self, life: Life, day: int, second: int, lender: str) -> None:
        """Apply to one lender; more than half say yes and pay out the next day."""
        bureau.inquire(life, day, second, "hard", "consumption", lender)
        if life.dice.chance(0.65):
            line = bureau.add_line(life, day, "instalment", life.dice.between(0.5, 1.6))
            line.lender, line.balance = lender, line.limit
            life.plan(day + 1, 11 * HOUR, self.pay_out, lender, line.limit)

    def pay_out(self, life: Life, day: int, second: int, lender: str, amount: int) -> None:
        """The other lender's money comes; most of it goes at once, and the installments begin in a month."""
        life.account.credit(life.at(day, second), amount, purpose="LOAN", counterparty=lender)
        gone = int(amount * life.dice.between(0.7, 1.0))
        life.plan(day + life.dice.whole(0, 3), 20 * HOUR, spending.spend, gone, "6051", "m6051-1")
        for month in range(1, 10):
            life.plan(day + 30 * month, 6 * HOUR, spending.spend, amount // 6, "6012", lender)

    def thrift(self, life: Life, day: int) -> float:  # noqa: ARG002 - the same for every life
        """Money flows at first."""
        return 1.25 if day < self.begun + 60 else 0.8

    def strained(self, life: Life, day: int) -> bool:  # noqa: ARG002
        """The other lenders go unpaid when the borrowing has ended."""
        return day > self.begun + 110


class Gambling(Conduct):
    """Bets in bursts, more each month; cash advances to go on. Half stop in the end."""

    may_borrow = False
    effort = 0.4
    answers = 0.45

    def start(self, life: Life, day: int, second: int) -> None:
        """The first burst."""
        life.troubled(day, second)
        self.begun = day
        self.until = day + (life.dice.whole(80, 240) if life.dice.chance(0.5) else 10_000)
        self.heat = life.dice.between(0.4, 0.75)

    def each_day(self, life: Life, day: int) -> None:
        """A burst of bets on many days, some cash in between."""
        if day >= self.until:
            self.may_borrow = day >= self.until + SETTLED_DAYS
            return
        dice = life.dice
        heat = min(0.9, self.heat + (day - self.begun) / 500)
        if dice.chance(heat):
            for _ in range(dice.whole(2, 6)):
                life.plan(day, dice.whole(20 * HOUR, 23 * HOUR), spending.bet, dice.between(0.015, 0.08))
        if dice.chance(heat * 0.25):
            amount = int(life.person.income_minor * dice.between(0.03, 0.09))
            life.plan(day, dice.whole(18 * HOUR, 23 * HOUR), spending.spend, amount, CASH_ADVANCE, "m6010-1")

    def strained(self, life: Life, day: int) -> bool:  # noqa: ARG002 - the same for every life
        """In the fifth month other lenders go unpaid too."""
        return self.begun + 130 < day < self.until


class CashFlowBreak(Conduct):
    """A large bill and a thin month or two; then income is back and the arrears are paid."""

    answers = 0.8
    asks_extension = "extension"

    def start(self, life: Life, day: int, second: int) -> None:
        """The bill is paid, and little comes in."""
        life.troubled(day, second)
        self.until = day + life.dice.whole(40, 100)
        bill = int(life.account.balance * life.dice.between(0.8, 0.98))
        life.plan(day, 15 * HOUR, spending.spend, bill, HOSPITAL, "m8062-1")

    def income(self, life: Life, day: int) -> float:  # noqa: ARG002 - the same for every life
        """Next to nothing for a while."""
        return 0.12 if day < self.until else 1.05

    def thrift(self, life: Life, day: int) -> float:  # noqa: ARG002
        """One saves."""
        return 0.85 if day < self.until + 30 else 1.0


class ReturnedDebits(Conduct):
    """Twice in a row the account is empty when the debit comes; a little later all is paid."""

    def start(self, life: Life, day: int, second: int) -> None:  # noqa: ARG002 - the signature of the family
        """One or two installments will be returned."""
        self.left = life.dice.whole(1, 2)

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:
        """The money is gone on the evening before."""
        if not self.left:
            return super().settle(life, loan, line, day)
        self.left -= 1
        life.troubled(day, 0)
        rest = int(life.person.income_minor * 0.04)
        spending.spend(life, day, 4 * HOUR, life.account.balance - rest, "5399", "m5399-3")
        return Settlement(after=max(1, line.due - day) if line.due > day else 0, bounces=2)


class PartialPayer(Conduct):
    """Pays a part of each installment for some months, then catches up."""

    willing = False
    answers = 0.7

    def start(self, life: Life, day: int, second: int) -> None:  # noqa: ARG002 - the signature of the family
        """How little, and for how long."""
        self.share = life.dice.between(0.4, 0.85)
        self.until = day + life.dice.whole(80, 240)

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:
        """A part, until better times."""
        if day >= self.until:
            self.willing = True
            return super().settle(life, loan, line, day)
        life.troubled(day, 0)
        return Settlement(after=max(0, line.due - day), share=self.share)
