"""One borrower's whole story: drawn, lived, and told as rows, truths and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from streams.history.simulator import bureau, income, lending, spending
from streams.history.simulator.almanac import almanac
from streams.history.simulator.dice import Dice
from streams.history.simulator.life import Life
from streams.history.simulator.person import draw_person
from streams.history.simulator.plan import PAST_DAYS
from streams.history.simulator.tape import Account, Row, Tape
from streams.history.simulator.trouble import Kind, Trouble, draw_fate, rare_fate, turn

if TYPE_CHECKING:
    from streams.history.simulator.plan import Plan
    from streams.history.simulator.truth import LoanTruth


@dataclass(frozen=True, slots=True)
class Story:
    """A borrower's events without noise, and what is true."""

    borrower: str
    rows: list[Row]
    loans: list[LoanTruth]
    kind: Kind | None
    """The trouble that came; None also where it never showed."""
    trouble_at: int | None
    life: Life


def tell(plan: Plan, index: int) -> Story:
    """The story of the borrower with that number."""
    token = f"b{index:07d}"
    dice = Dice(f"{plan.seed}/{index}/life")
    person = draw_person(token, dice)
    number = index - plan.borrowers
    fate = draw_fate(dice, -PAST_DAYS, plan.days) if number < 0 else rare_fate(dice, number, plan.days)
    days = almanac(person.market.zone, plan.start, -PAST_DAYS - 1, plan.days + 1)
    tape = Tape(token, days.at(0, 0), days.at(plan.days, 0))
    account = Account(tape, f"a{token[1:]}", person.market.currency, person.cushion_minor)
    life = Life(person, days, dice, tape, account, fate.before, -PAST_DAYS, plan.days)
    if number >= 0 and fate.kind:
        _share(life, index, fate.kind.trouble)
    for part in (income, spending, bureau, lending):
        part.begin(life)
    if fate.kind:
        life.plan(fate.begins, 0, turn, fate.kind)
    life.run()
    came = fate.kind if life.trouble_at is not None else None
    loans = [loan.truth for loan in life.loans]
    return Story(token, tape.rows, loans, came, life.trouble_at, life)


def _share(life: Life, index: int, trouble: Trouble) -> None:
    """The one who moves has a guarantor; the friend who comes next has the same one, and the same telephone."""
    owner = index - (trouble is Trouble.FRIEND)
    if trouble in {Trouble.MOVED, Trouble.FRIEND}:
        life.shares, life.guarantor = f"{owner:07d}", f"g{owner:07d}"
