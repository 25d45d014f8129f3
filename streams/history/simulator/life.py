"""One borrower's life: the state, and an agenda of what is going to happen when.

Every part of life (income, spending, lending, repaying, the bureau, the collectors) is a module of actions. An action
is called with the life, the local day and the second of that day, and what it was planned with; it writes to the tape
and plans what follows from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.history.simulator.almanac import Almanac
    from streams.history.simulator.conduct import Conduct
    from streams.history.simulator.dice import Dice
    from streams.history.simulator.loan import Loan
    from streams.history.simulator.person import Person
    from streams.history.simulator.tape import Account, Tape

    Action = Callable[..., None]


def nothing(life: Life, day: int, second: int) -> None:
    """An action that does nothing."""


@dataclass(slots=True)
class OtherLine:
    """An account with another lender, as the bureau reports it."""

    lender: str
    token: str
    kind: str
    balance: int
    limit: int
    opened_day: int
    behind: int = 0
    """How many steps down the ladder of account statuses it has gone."""


@dataclass(slots=True)
class Life:
    """All that is going on with one borrower."""

    person: Person
    almanac: Almanac
    dice: Dice
    tape: Tape
    account: Account
    conduct: Conduct
    first_day: int
    days: int
    loans: list[Loan] = field(default_factory=list)
    lines: list[OtherLine] = field(default_factory=list)
    score: int = 0
    inquiries: int = 0
    shares: str = ""
    """The number of the borrower whose device and telephone this one uses, if not an own one."""
    guarantor: str = ""
    trouble_at: int | None = None
    """Epoch second at which the trouble really began; None while it has not."""
    reapply: Action = nothing
    """What follows when a loan is paid off: the next application."""
    agenda: list[tuple[int, int, int, Action, tuple[Any, ...]]] = field(default_factory=list)
    planned: int = 0

    def at(self, day: int, second: int) -> int:
        """Epoch seconds of a moment."""
        return self.almanac.at(day, second)

    def plan(self, day: int, second: int, action: Action, *args: object) -> None:
        """Have an action happen. What lies beyond the end never does."""
        if day < self.days:
            self.planned += 1
            heappush(self.agenda, (day, second, self.planned, action, args))

    def run(self) -> None:
        """Let everything planned happen, and all that follows from it, in order of time."""
        agenda = self.agenda
        while agenda:
            day, second, _, action, args = heappop(agenda)
            action(self, day, second, *args)

    def troubled(self, day: int, second: int) -> None:
        """The trouble begins now, if it has not before, and if that is not after the end."""
        if self.trouble_at is None and day < self.days:
            self.trouble_at = self.at(day, second)

    @property
    def active_loans(self) -> list[Loan]:
        """The loans that run."""
        return [loan for loan in self.loans if not loan.ended]

    def owed(self, day: int) -> int:
        """What is due and unpaid on all loans."""
        return sum(loan.owed(day) for loan in self.loans if not loan.ended)

    def past_due(self, day: int) -> int:
        """Days past due of the worst loan."""
        return max((loan.days_past_due(day) for loan in self.loans if not loan.ended), default=0)
