"""Money coming in: salaries on their usual day, weekly wages, irregular earnings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator import repaying
from streams.history.simulator.almanac import next_monthday
from streams.history.simulator.person import Pay

if TYPE_CHECKING:
    from streams.history.simulator.life import Life

HOUR = 3600
FRIDAY = 4
SATURDAY = 5
WEEKS_A_MONTH = 4.33
IRREGULAR_A_MONTH = 6
JOBS_DAYS = (2, 8)
"""Days between two earnings of an irregular worker."""


def begin(life: Life) -> None:
    """Plan the first income."""
    _plan_next(life, life.first_day)


def _plan_next(life: Life, day: int) -> None:
    person = life.person
    if person.pay is Pay.MONTHLY:
        nominal = next_monthday(life.almanac.date_of(day + 2), person.payday)
        # A payday on a weekend is brought forward to Friday.
        early = max(0, nominal.weekday() - FRIDAY)
        due = life.almanac.day_of(nominal) - early
    elif person.pay is Pay.WEEKLY:
        due = day + 1 + (person.payday - life.almanac.date_of(day + 1).weekday()) % 7
    else:
        due = day + life.dice.whole(*JOBS_DAYS)
    life.plan(due, life.dice.whole(1 * HOUR, 5 * HOUR), payday)


def payday(life: Life, day: int, second: int) -> None:
    """The usual day has come: the money comes too, or later, or not."""
    delay = life.conduct.payday_delay(life, day)
    if delay:
        life.plan(day + delay, second, receive)
    else:
        receive(life, day, second)
    _plan_next(life, day)


def receive(life: Life, day: int, second: int) -> None:
    """Income is credited, as much as the conduct leaves of it."""
    person = life.person
    amount = int(_portion(life) * life.conduct.income(life, day) * person.income_minor)
    if amount <= 0:
        return
    purpose = None if person.pay is Pay.IRREGULAR else "SALA"
    payer = f"payer-{life.dice.whole(1, 9999)}" if person.pay is Pay.IRREGULAR else person.employer
    life.account.credit(life.at(day, second), amount, purpose=purpose, counterparty=payer)
    if life.owed(day - 1):
        life.plan(day, 9 * HOUR, repaying.catch_up)


def _portion(life: Life) -> float:
    match life.person.pay:
        case Pay.MONTHLY:
            return life.dice.between(0.98, 1.04)
        case Pay.WEEKLY:
            return life.dice.between(0.96, 1.04) / WEEKS_A_MONTH
        case Pay.IRREGULAR:
            return life.dice.between(0.5, 1.55) / IRREGULAR_A_MONTH
