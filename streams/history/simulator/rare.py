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


class Friend(Conduct):
    """Pays everything, and shares device, number and guarantor with the one who has moved: the borrower before."""


def draw_begin(dice: Dice, days: int) -> int:
    """A day in the first half, so that what follows is seen."""
    return dice.whole(5, max(6, days // 2))
