"""What is too rare to come by chance among a thousand borrowers, for those who ask for it.

They are borrowers of their own beside the portfolio, which stays as it is whether they are there or not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator.conduct import NEVER, Conduct, Settlement
from streams.history.simulator.tape import DIALLER

if TYPE_CHECKING:
    from streams.history.simulator.dice import Dice
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan

HOUR = 3600
OVERDRAWN_DAYS = 14
CHANGED = "ews.contact.details_changed.v1"


class MandateBroken(Conduct):
    """The account is closed or blocked, or the mandate withdrawn: debits come back, and nothing else is paid."""

    willing = False
    may_borrow = False

    def start(self, life: Life, day: int, second: int) -> None:
        """One of the three from now on."""
        life.troubled(day, second)
        self.return_code = life.dice.pick(("AC04", "AC06", "MD01"))

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """Presented and returned, twice."""
        return Settlement(after=max(0, line.due - day), bounces=2)


class Deceased(MandateBroken):
    """The borrower has died. Banks return debits with that reason; nobody answers any more."""

    unreachable = 0.5
    answers = 0.0

    def start(self, life: Life, day: int, second: int) -> None:
        """No more income, no more spending."""
        life.troubled(day, second)
        self.return_code = "MD07"

    def income(self, life: Life, day: int) -> float:  # noqa: ARG002
        """None."""
        return 0.0

    def thrift(self, life: Life, day: int) -> float:  # noqa: ARG002
        """Next to nothing."""
        return 0.01


class Moved(Conduct):
    """Stops paying, and within two weeks has another telephone and another number."""

    willing = False
    may_borrow = False
    unreachable = 0.8
    answers = 0.0

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """Nothing more."""
        return NEVER

    def refused(self, life: Life, due: int, second: int) -> None:
        """The first time, device and number change some days later."""
        if life.trouble_at is not None:
            return
        life.troubled(due, second)
        for detail in ("device", "phone"):
            life.plan(due + life.dice.whole(3, 14), 12 * HOUR, change, detail)


def change(life: Life, day: int, second: int, detail: str) -> None:
    """The borrower is to be reached in another way."""
    data = {"detail": detail, "token": f"{detail}-new-{life.person.token[1:]}"}
    life.tape.add(DIALLER, CHANGED, life.at(day, second), data)


class Overdrawn(Conduct):
    """An agreed overdraft, used to the end for two weeks: a large bill, and the next salary fills the hole again."""

    def start(self, life: Life, day: int, second: int) -> None:
        """The bill takes the account below zero."""
        life.troubled(day, second)
        self.begun = day
        bill = life.account.balance + int(life.person.income_minor * 0.4)
        life.account.debit(life.at(day, 16 * HOUR), bill, mcc="8062", counterparty="m8062-1")

    def each_day(self, life: Life, day: int) -> None:
        """Small purchases go on."""
        if self.begun < day < self.begun + OVERDRAWN_DAYS:
            life.account.debit(life.at(day, 12 * HOUR), max(1, life.person.income_minor // 200), mcc="5411")


class Juggler(Conduct):
    """Pays each installment with a small loan from elsewhere, taken hours before."""

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:
        """The other lender's money comes first."""
        life.troubled(day, 0)
        lender = f"lender-{line.number % 5 + 1}"
        life.account.credit(life.at(day, 4 * HOUR), int(line.unpaid * 1.05), purpose="LOAN", counterparty=lender)
        return super().settle(life, loan, line, day)


class Friend(Conduct):
    """Pays everything, and shares device, number and guarantor with the one who has moved: the borrower before."""


def draw_begin(dice: Dice, days: int) -> int:
    """A day in the first half, so that what follows is seen."""
    return dice.whole(5, max(6, days // 2))
