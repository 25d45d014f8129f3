"""Money going out: fixed costs each month, purchases every day, a small bet now and then."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.history.simulator.almanac import next_monthday

if TYPE_CHECKING:
    from streams.history.simulator.life import Life

HOUR = 3600
BETTING = "7995"
CASH = "6011"


@dataclass(frozen=True, slots=True)
class Purchase:
    """A kind of daily spending. `share` is of the money that is free for it, `monthly` how often."""

    mcc: str
    monthly: float
    share: float
    shops: int


PURCHASES = (
    Purchase("5411", 8.0, 0.30, 12),
    Purchase("5812", 5.0, 0.14, 30),
    Purchase("4111", 5.0, 0.05, 4),
    Purchase("5541", 2.0, 0.09, 9),
    Purchase("5651", 1.0, 0.10, 20),
    Purchase("5912", 1.0, 0.04, 9),
    Purchase("5942", 2.0, 0.10, 25),
    Purchase("7832", 1.0, 0.04, 6),
    Purchase(CASH, 1.2, 0.14, 15),
)
A_MONTH = sum(purchase.monthly for purchase in PURCHASES)
SLOTS = 4
"""A day has so many chances of a purchase."""
A_SLOT = A_MONTH / 30.4 / SLOTS
_DECK = tuple(p for p in PURCHASES for _ in range(round(p.monthly * 5)))


@dataclass(frozen=True, slots=True)
class FixedCost:
    """A cost of every month. `share` is of the income."""

    name: str
    share: float
    mcc: str | None = None
    purpose: str | None = None


FIXED_COSTS = (
    FixedCost("rent", 0.26, purpose="RENT"),
    FixedCost("utilities", 0.05, mcc="4900"),
    FixedCost("telecom", 0.02, mcc="4814"),
    FixedCost("insurance", 0.03, mcc="6300"),
    FixedCost("streaming", 0.01, mcc="4899"),
)
FREE_SHARE = 1.0 - sum(cost.share for cost in FIXED_COSTS)


def begin(life: Life) -> None:
    """Plan the first day's purchases and each fixed cost."""
    for cost in FIXED_COSTS:
        monthday = life.dice.whole(1, 28)
        scale = life.dice.between(0.85, 1.1)
        _plan_cost(life, life.first_day, cost, monthday, scale)
    life.plan(life.first_day, 0, shop)


def _plan_cost(life: Life, day: int, cost: FixedCost, monthday: int, scale: float) -> None:
    due = life.almanac.day_of(next_monthday(life.almanac.date_of(day), monthday))
    life.plan(due, life.dice.whole(7 * HOUR, 9 * HOUR), pay_cost, cost, monthday, scale)


def pay_cost(life: Life, day: int, second: int, cost: FixedCost, monthday: int, scale: float) -> None:
    """A fixed cost is drawn, if the account has it."""
    amount = int(life.person.income_minor * cost.share * scale * life.dice.between(0.99, 1.01))
    if life.account.balance >= amount:
        life.account.debit(
            life.at(day, second), amount, purpose=cost.purpose, mcc=cost.mcc, counterparty=f"{cost.name}-{monthday}"
        )
    _plan_cost(life, day, cost, monthday, scale)


def shop(life: Life, day: int, second: int) -> None:
    """Plan the day's purchases: dearer ones when the account is well filled, few when it is empty."""
    dice = life.dice
    unit = dice.unit
    for _ in range(SLOTS):
        if unit() < A_SLOT:
            life.plan(day, 8 * HOUR + int(unit() * 14 * HOUR), buy, _DECK[int(unit() * len(_DECK))])
    if unit() < life.person.bets:
        life.plan(day, dice.whole(18, 22) * HOUR, bet, dice.between(0.002, 0.012))
    life.conduct.each_day(life, day)
    life.plan(day + 1, second, shop)


def buy(life: Life, day: int, second: int, purchase: Purchase) -> None:
    """One purchase."""
    account = life.account
    amount = int(_free(life, day) * purchase.share / purchase.monthly * life.dice.between(0.3, 1.7))
    if 0 < amount <= account.balance:
        shop_token = f"m{purchase.mcc}-{life.dice.whole(1, purchase.shops)}"
        account.debit(life.at(day, second), amount, mcc=purchase.mcc, counterparty=shop_token)


def _free(life: Life, day: int) -> float:
    """What a month leaves for purchases: less with large installments or a thin cushion, more with a thick one."""
    person = life.person
    installments = sum(loan.lines[0].amount for loan in life.loans if not loan.ended)
    free = max(person.income_minor * FREE_SHARE - installments, person.income_minor * 0.15)
    mood = min(1.5, max(0.55, life.account.balance / person.cushion_minor))
    return free * mood * life.conduct.thrift(life, day)


def bet(life: Life, day: int, second: int, share: float) -> None:
    """A bet of a share of the month's income; sometimes some of it comes back."""
    stake = int(life.person.income_minor * share)
    if not 0 < stake <= life.account.balance:
        return
    life.account.debit(life.at(day, second), stake, mcc=BETTING, counterparty=f"bet-{life.dice.whole(1, 5)}")
    if life.dice.chance(0.12):
        life.plan(day, second + 600, win, int(stake * life.dice.between(1.0, 4.0)))


def win(life: Life, day: int, second: int, amount: int) -> None:
    """A bet was won."""
    life.account.credit(life.at(day, second), amount, counterparty=f"bet-{life.dice.whole(1, 5)}")


def spend(life: Life, day: int, second: int, amount: int, mcc: str | None = None, to: str | None = None) -> None:
    """Spend so much at once, or what there is of it."""
    amount = min(amount, life.account.balance)
    if amount > 0:
        life.account.debit(life.at(day, second), amount, mcc=mcc, counterparty=to)
