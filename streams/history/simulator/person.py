"""Who a simulated borrower is: the market lived in, the income, the habits. Drawn once, before life begins."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streams.history.simulator.dice import Dice


@dataclass(frozen=True, slots=True)
class Market:
    """A country the lender works in. `income_minor` is a usual monthly income, in minor units of the currency."""

    zone: str
    currency: str
    income_minor: int
    region: str


MARKETS: tuple[tuple[Market, float], ...] = (
    (Market("Asia/Shanghai", "CNY", 800_000, "cn"), 0.52),
    (Market("Europe/Berlin", "EUR", 260_000, "de"), 0.14),
    (Market("Asia/Tokyo", "JPY", 290_000, "jp"), 0.10),
    (Market("Africa/Lagos", "NGN", 28_000_000, "ng"), 0.12),
    (Market("America/Mexico_City", "MXN", 1_600_000, "mx"), 0.09),
    (Market("Asia/Kuwait", "KWD", 720_000, "kw"), 0.03),
)
"""The markets and their share of the borrowers. The yen has no minor unit, the dinar a thousandth."""

INDUSTRIES = ("retail", "manufacturing", "transport", "construction", "health", "education", "hospitality", "it")


class Pay(StrEnum):
    """How income comes."""

    MONTHLY = "monthly"
    WEEKLY = "weekly"
    IRREGULAR = "irregular"


PAYS: tuple[tuple[Pay, float], ...] = ((Pay.MONTHLY, 0.82), (Pay.WEEKLY, 0.08), (Pay.IRREGULAR, 0.10))
PAYDAYS: tuple[tuple[int, float], ...] = ((31, 0.25), (25, 0.25), (15, 0.2), (10, 0.15), (5, 0.1), (1, 0.05))


@dataclass(frozen=True, slots=True)
class Person:
    """The traits that last. Amounts are minor units of the market's currency."""

    token: str
    market: Market
    income_minor: int
    pay: Pay
    payday: int
    """Day of the month, or weekday for weekly pay."""
    employer: str
    industry: str
    cushion_minor: int
    """The balance that the person likes to keep."""
    debit: bool
    """Installments are drawn by direct debit; else they are paid by hand, `lead_days` ahead."""
    lead_days: int
    forgetful: float
    """How often an installment paid by hand is forgotten for a day or three."""
    bets: float
    """How often a day sees a small bet. Most people never bet."""
    other_lines: int
    """Accounts with other lenders, as the bureau sees them."""
    score: int


def draw_person(token: str, dice: Dice) -> Person:
    """A borrower out of the markets' mix."""
    market = dice.weighted(MARKETS)
    pay = dice.weighted(PAYS)
    income = int(market.income_minor * dice.skewed(0.6, 2.4)) // 100 * 100
    debit = dice.chance(0.6)
    return Person(
        token=token,
        market=market,
        income_minor=income,
        pay=pay,
        payday=4 if pay is Pay.WEEKLY else dice.weighted(PAYDAYS),
        employer=f"employer-{market.region}-{dice.whole(1, 400)}",
        industry=dice.pick(INDUSTRIES),
        cushion_minor=int(income * dice.skewed(0.5, 1.8)),
        debit=debit,
        lead_days=0 if debit else dice.whole(0, 4),
        forgetful=0.0 if debit else dice.skewed(0.0, 0.05),
        bets=dice.between(0.02, 0.12) if dice.chance(0.07) else 0.0,
        other_lines=dice.whole(0, 3),
        score=int(dice.between(580, 800)),
    )
