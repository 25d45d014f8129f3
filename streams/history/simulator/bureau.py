"""The bureau's view: accounts with other lenders each month, a score each quarter, an inquiry now and then."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator.life import OtherLine
from streams.history.simulator.tape import BUREAU

if TYPE_CHECKING:
    from streams.history.simulator.life import Life

HOUR = 3600
STATUSES = ("11", "71", "78", "80", "82", "83", "84", "97")
"""Metro 2 account statuses, from current to charged off."""
MONTH_DAYS = 30
SCORE_EVERY = 3
SCORE_LOW, SCORE_HIGH = 300, 850
LENDERS = 60
OWN_AREA = ("card", "instalment", "telecom", "retail")


def begin(life: Life) -> None:
    """Give the borrower accounts elsewhere and plan the first report."""
    life.score = life.person.score
    for _ in range(life.person.other_lines):
        add_line(life, life.first_day - life.dice.whole(60, 1500), life.dice.pick(OWN_AREA), 0.6)
    life.plan(life.first_day + life.dice.whole(0, MONTH_DAYS - 1), 2 * HOUR, report, 0)


def add_line(life: Life, opened: int, kind: str, share: float) -> OtherLine:
    """A new account with another lender; `share` is its size in months of income."""
    limit = int(life.person.income_minor * share * life.dice.between(0.6, 1.4))
    token = f"x{life.person.token[1:]}-{len(life.lines) + 1}"
    balance = int(limit * life.dice.between(0.1, 0.6))
    line = OtherLine(f"lender-{life.dice.whole(1, LENDERS)}", token, kind, balance, limit, opened)
    life.lines.append(line)
    return line


def report(life: Life, day: int, second: int, count: int) -> None:
    """The month's lines, and each quarter a score. Statuses worsen while the conduct is strained, and mend after."""
    at = life.at(day, second)
    strained = life.conduct.strained(life, day)
    for offset, line in enumerate(life.lines):
        _age(life, line, strained=strained)
        _tell(life, line, at + offset)
    _score(life, strained=strained)
    if count % SCORE_EVERY == 0:
        data = {"model": "one-score", "value": life.score, "scale_min": SCORE_LOW, "scale_max": SCORE_HIGH}
        life.tape.add(BUREAU, "ews.score.reported.v1", at + 60, data)
    if life.dice.chance(0.06):
        inquire(life, day, life.dice.whole(9, 18) * HOUR, "soft" if life.dice.chance(0.6) else "hard", "consumption")
    life.plan(day + MONTH_DAYS, second, report, count + 1)


def _age(life: Life, line: OtherLine, *, strained: bool) -> None:
    if strained:
        line.behind = min(line.behind + life.dice.chance(0.6), len(STATUSES) - 1)
        line.balance = int(line.balance * 1.03)
    else:
        line.behind = 0
        line.balance = min(line.limit, max(0, int(line.balance * life.dice.between(0.88, 1.13))))


def _tell(life: Life, line: OtherLine, at: int) -> None:
    data = {
        "lender_token": line.lender,
        "tradeline": line.token,
        "kind": line.kind,
        "status": STATUSES[line.behind],
        "balance_minor": line.balance,
        "limit_minor": line.limit,
        "currency": life.account.currency,
        "opened_on": life.almanac.date_of(line.opened_day).isoformat(),
        "days_past_due": line.behind * 30,
    }
    life.tape.add(BUREAU, "ews.tradeline.reported.v1", at, data)


def _score(life: Life, *, strained: bool) -> None:
    drift = -life.dice.whole(15, 45) if strained else life.dice.whole(-6, 7)
    life.score = min(SCORE_HIGH, max(SCORE_LOW, life.score + drift))


def inquire(life: Life, day: int, second: int, kind: str, purpose: str, lender: str | None = None) -> None:
    """Some other lender asks about the borrower."""
    who = lender or f"lender-{life.dice.whole(1, LENDERS)}"
    amount = int(life.person.income_minor * life.dice.between(0.5, 3.0))
    data = {"lender_token": who, "kind": kind, "purpose": purpose, "amount_minor": amount}
    life.inquiries += 1
    life.tape.add(BUREAU, "ews.inquiry.made.v1", life.at(day, second), data | {"currency": life.account.currency})


def file_record(life: Life, day: int, second: int, kind: str, amount: int) -> None:
    """A public record is filed: a judgment, an enforcement."""
    data = {"kind": kind, "reference": f"pr{life.person.token[1:]}-{day}", "amount_minor": amount}
    at = life.at(day, second)
    life.tape.add(BUREAU, "ews.public_record.filed.v1", at, data | {"currency": life.account.currency})
