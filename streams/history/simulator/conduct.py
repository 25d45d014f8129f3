"""How a borrower behaves: the healthy way, which every kind of trouble changes in some respects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of one installment."""

    after: int = 0
    """Days after the due date."""
    share: float = 1.0
    bounces: int = 0
    """How often the bank returns the debit before it could work."""
    booked_after: int = 0
    """Days until the lender books the payment, which counts from its value date all the same."""
    twice: bool = False
    never: bool = False


ON_TIME = Settlement()
NEVER = Settlement(never=True)


class Conduct:
    """A borrower without trouble. Kinds of trouble override what they change; it applies from `start` on."""

    willing = True
    """Arrears are paid as soon as the account can bear it."""
    effort = 1.0
    """How often money that is there goes to the arrears when it could."""
    may_borrow = True
    diverts = False
    """Lent money is not used for its purpose."""
    new_customer = False
    """There is no loan before the trouble."""
    unreachable = 0.02
    """How often a message cannot be delivered."""
    answers = 0.6
    """How often a call or message is answered."""
    return_code = "AM04"
    """Why the bank returns a debit: for lack of funds."""
    asks_extension: str | None = None
    """The reason of the schedule change that the borrower may be granted."""

    def start(self, life: Life, day: int, second: int) -> None:
        """The conduct begins to apply."""

    def income(self, life: Life, day: int) -> float:  # noqa: ARG002 - the healthy way needs nothing
        """The share of the usual income that comes."""
        return 1.0

    def payday_delay(self, life: Life, day: int) -> int:  # noqa: ARG002
        """Days by which a payday is late."""
        return 0

    def thrift(self, life: Life, day: int) -> float:  # noqa: ARG002
        """The share of the usual spending."""
        return 1.0

    def each_day(self, life: Life, day: int) -> None:
        """Whatever else the conduct does on a day."""

    def settle(self, life: Life, loan: Loan, line: Line, day: int) -> Settlement:  # noqa: ARG002
        """What becomes of an installment: paid on time, now and then forgotten for a few days."""
        if life.dice.chance(life.person.forgetful):
            return Settlement(after=life.dice.whole(1, 3))
        return ON_TIME

    def refused(self, life: Life, due: int, second: int) -> None:
        """An installment will not be paid."""

    def strained(self, life: Life, day: int) -> bool:  # noqa: ARG002
        """Other lenders are not paid either."""
        return False


class Newcomer(Conduct):
    """Nobody the lender knows yet."""

    new_customer = True
