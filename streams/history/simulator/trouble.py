"""The kinds of trouble, how often each comes in a year, and which of them are harmless.

The rates say how often life does this; nothing here knows what any detector looks for. Change them and every figure
that was measured on a simulated portfolio is void.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from streams.history.simulator.conduct import Conduct, Newcomer
from streams.history.simulator.hardship import (
    CashFlowBreak,
    Gambling,
    JobLoss,
    PartialPayer,
    ReturnedDebits,
    Spiral,
)
from streams.history.simulator.harmless import DoubleBooking, HonestLate, LateBooking, PayrollHoliday, RateShopping
from streams.history.simulator.rare import Deceased, Friend, Juggler, MandateBroken, Moved, Overdrawn, draw_begin
from streams.history.simulator.unwilling import FirstPaymentDefault, WilfulDefault

if TYPE_CHECKING:
    from streams.history.simulator.dice import Dice
    from streams.history.simulator.life import Life


class Trouble(StrEnum):
    """What may come over a borrower. `healthy` is nothing."""

    HEALTHY = "healthy"
    JOB_LOSS = "job_loss"
    OVER_BORROWING = "over_borrowing"
    GAMBLING = "gambling"
    WILFUL_DEFAULT = "wilful_default"
    CASH_FLOW_BREAK = "cash_flow_break"
    FIRST_PAYMENT_DEFAULT = "first_payment_default"
    RETURNED_DEBITS = "returned_debits"
    PARTIAL_PAYER = "partial_payer"
    HONEST_LATE = "honest_late"
    PAYROLL_HOLIDAY = "payroll_holiday"
    DOUBLE_BOOKING = "double_booking"
    LATE_BOOKING = "late_booking"
    RATE_SHOPPING = "rate_shopping"
    MANDATE_BROKEN = "mandate_broken"
    DECEASED = "deceased"
    MOVED = "moved"
    FRIEND = "friend"
    OVERDRAWN = "overdrawn"
    JUGGLER = "juggler"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of trouble: its conduct, its rate a year and borrower, whether it harms the lender."""

    trouble: Trouble
    conduct: type[Conduct]
    yearly: float
    harmful: bool


KINDS = (
    Kind(Trouble.JOB_LOSS, JobLoss, 0.048, harmful=True),
    Kind(Trouble.OVER_BORROWING, Spiral, 0.030, harmful=True),
    Kind(Trouble.GAMBLING, Gambling, 0.025, harmful=True),
    Kind(Trouble.WILFUL_DEFAULT, WilfulDefault, 0.024, harmful=True),
    Kind(Trouble.CASH_FLOW_BREAK, CashFlowBreak, 0.035, harmful=True),
    Kind(Trouble.FIRST_PAYMENT_DEFAULT, FirstPaymentDefault, 0.015, harmful=True),
    Kind(Trouble.RETURNED_DEBITS, ReturnedDebits, 0.025, harmful=True),
    Kind(Trouble.PARTIAL_PAYER, PartialPayer, 0.022, harmful=True),
    Kind(Trouble.HONEST_LATE, HonestLate, 0.030, harmful=False),
    Kind(Trouble.PAYROLL_HOLIDAY, PayrollHoliday, 0.020, harmful=False),
    Kind(Trouble.DOUBLE_BOOKING, DoubleBooking, 0.015, harmful=False),
    Kind(Trouble.LATE_BOOKING, LateBooking, 0.030, harmful=False),
    Kind(Trouble.RATE_SHOPPING, RateShopping, 0.020, harmful=False),
)
RARE = (
    Kind(Trouble.MANDATE_BROKEN, MandateBroken, 0.0, harmful=True),
    Kind(Trouble.DECEASED, Deceased, 0.0, harmful=True),
    Kind(Trouble.MOVED, Moved, 0.0, harmful=True),
    Kind(Trouble.FRIEND, Friend, 0.0, harmful=False),
    Kind(Trouble.OVERDRAWN, Overdrawn, 0.0, harmful=True),
    Kind(Trouble.JUGGLER, Juggler, 0.0, harmful=True),
)
"""In turn, for those who ask for the rare ones. Each friend is one of the borrower before."""
YEAR_DAYS = 365
NO_LOAN_DAYS = 15
SHARE_MAX = 0.9
"""However long the time, some borrowers stay without trouble."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What comes over one borrower, and on which local day."""

    kind: Kind | None
    begins: int = 0

    @property
    def before(self) -> Conduct:
        """The conduct until then."""
        return Newcomer() if self.kind and self.kind.conduct.new_customer else Conduct()


def draw_fate(dice: Dice, first_day: int, days: int) -> Fate:
    """At most one trouble, at its rate over the whole time; it begins on any day of it."""
    years = (days - first_day) / YEAR_DAYS
    wanted = sum(kind.yearly for kind in KINDS) * years
    left = dice.unit() * max(1.0, wanted / SHARE_MAX)
    begins = dice.whole(first_day, days - 1)
    for kind in KINDS:
        left -= kind.yearly * years
        if left < 0:
            return Fate(kind, begins)
    return Fate(None)


def rare_fate(dice: Dice, number: int, days: int) -> Fate:
    """The rare trouble of the rare borrower with that number."""
    return Fate(RARE[number % len(RARE)], draw_begin(dice, days))


def turn(life: Life, day: int, second: int, kind: Kind) -> None:
    """The trouble comes, once there is a loan that it can matter to."""
    if kind.harmful and not kind.conduct.new_customer and not life.active_loans:
        life.plan(day + NO_LOAN_DAYS, second, turn, kind)
        return
    life.conduct = kind.conduct()
    life.conduct.start(life, day, second)
