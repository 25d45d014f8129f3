"""The lender's own loans: applied for, opened, disbursed, taken on as running, valued."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.history.simulator import collecting, repaying, spending
from streams.history.simulator.almanac import months_later
from streams.history.simulator.loan import CHANNELS, PRODUCTS, Line, Loan
from streams.history.simulator.tape import BUREAU, OWN_LENDER, SERVICING
from streams.history.simulator.truth import LoanTruth, Paid

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Product

HOUR = 3600
LOANS_MAX = 2
VALUATION_DAYS = 91
AGAIN_DAYS = 45
"""After a refusal, the next application."""
FIRST_DUE_DAYS_MIN = 14


def begin(life: Life) -> None:
    """Most borrowers have a loan when the past begins; the others come in the course of time."""
    dice = life.dice
    life.reapply = apply
    life.plan(0, 300, snapshot)
    if life.conduct.new_customer:
        return
    if dice.chance(0.85):
        take_over(life)
        if dice.chance(0.2):
            take_over(life)
    else:
        life.plan(dice.whole(life.first_day, life.days), dice.whole(9, 17) * HOUR, apply)


def apply(life: Life, day: int, second: int) -> None:
    """Ask for another loan; the lender says yes unless there are two already, or trouble."""
    if len(life.active_loans) < LOANS_MAX and life.conduct.may_borrow and not life.past_due(day):
        open_loan(life, day, second)
    else:
        life.plan(day + AGAIN_DAYS, second, apply)


def draft(life: Life, opened: int, product: Product) -> Loan:
    """A loan with terms that suit the income."""
    dice, person = life.dice, life.person
    count = dice.pick(product.terms)
    amount = max(100, int(person.income_minor * dice.between(*product.burden)) // 10 * 10)
    principal = int(amount * count / (1 + product.monthly_rate * count))
    interest = (amount * count - principal) // count
    token = f"l{person.token[1:]}-{len(life.loans) + 1}"
    first_due = months_later(life.almanac.date_of(opened), 1).replace(day=dice.whole(1, 28))
    if life.almanac.day_of(first_due) - opened < FIRST_DUE_DAYS_MIN:
        first_due = months_later(first_due, 1)
    lines = [
        Line(number, life.almanac.day_of(months_later(first_due, number - 1)), amount, interest, amount)
        for number in range(1, count + 1)
    ]
    market = person.market
    truth = LoanTruth(token, person.token, market.zone, market.currency, market.income_minor, opened)
    collateral = int(principal * dice.between(1.1, 1.6)) if product.collateral else 0
    return Loan(token, product, dice.pick(CHANNELS), principal, lines, truth, collateral)


def take_over(life: Life) -> None:
    """A loan that already runs when the past begins, paid on time so far."""
    product = life.dice.weighted(PRODUCTS)
    age = life.dice.whole(20, 30 * max(product.terms) - 20)
    loan = draft(life, life.first_day - age, product)
    loan.note_schedule(loan.truth.opened)
    for line in loan.lines:
        if line.due <= life.first_day:
            loan.truth.payments.append(Paid(line.due, line.amount))
            line.unpaid, line.cleared = 0, line.due
    if loan.outstanding():
        _run(life, loan, life.first_day)


def open_loan(life: Life, day: int, second: int) -> Loan:
    """Inquiry, contract, disbursement, and the money in the account."""
    product = life.dice.weighted(PRODUCTS)
    loan = draft(life, day, product)
    loan.note_schedule(day)
    at = life.at(day, second)
    currency = life.account.currency
    inquiry = {"lender_token": OWN_LENDER, "kind": "hard", "purpose": product.purpose, "amount_minor": loan.principal}
    life.tape.add(BUREAU, "ews.inquiry.made.v1", at, {**inquiry, "currency": currency})
    life.tape.add(SERVICING, "ews.loan.opened.v1", at + 1200, terms(life, loan))
    paid_out = {"loan": loan.token, "amount_minor": loan.principal, "currency": currency}
    life.tape.add(SERVICING, "ews.loan.disbursed.v1", at + 1800, paid_out)
    life.plan(day, second + 2700, disburse, loan)
    _run(life, loan, day)
    return loan


def _run(life: Life, loan: Loan, day: int) -> None:
    life.loans.append(loan)
    for line in loan.lines:
        if line.due > day:
            life.plan(line.due - life.person.lead_days, 3 * HOUR, repaying.fall_due, loan, line)
            life.plan(line.due + 1, 10 * HOUR, collecting.look, loan)
    if loan.collateral_minor:
        life.plan(max(day, loan.truth.opened) + life.dice.whole(30, VALUATION_DAYS), 11 * HOUR, value, loan)


def disburse(life: Life, day: int, second: int, loan: Loan) -> None:
    """The money arrives, and most of it is spent on what it was for."""
    life.account.credit(life.at(day, second), loan.principal, purpose="LOAN", counterparty=OWN_LENDER)
    if not life.conduct.diverts:
        used = int(loan.principal * life.dice.between(0.75, 1.0))
        later = day + life.dice.whole(0, 4)
        shop = f"m{loan.product.spent_on}-{life.dice.whole(1, 20)}"
        life.plan(later, life.dice.whole(16, 20) * HOUR, spending.spend, used, loan.product.spent_on, shop)


def terms(life: Life, loan: Loan) -> dict[str, Any]:
    """What opening or taking on a loan says of it."""
    person = life.person
    device = life.shares or person.token[1:]
    data: dict[str, Any] = {
        "loan": loan.token,
        "currency": person.market.currency,
        "servicing_zone": person.market.zone,
        "product": loan.product.name,
        "channel": loan.channel,
        "principal_minor": loan.principal,
        "schedule": loan.schedule(life.almanac),
        "industry": person.industry,
        "region": person.market.region,
        "employer_token": person.employer,
        "device_tokens": [f"d{device}"],
        "phone_token": f"ph{device}",
        "stated_income_minor": person.income_minor,
    }
    if life.guarantor:
        data["guarantor_tokens"] = [life.guarantor]
    if loan.product.collateral:
        valued = life.almanac.date_of(loan.truth.opened).isoformat()
        worth = {"kind": loan.product.collateral, "value_minor": loan.collateral_minor, "valued_on": valued}
        data["collateral"] = worth
    return data


def snapshot(life: Life, day: int, second: int) -> None:
    """The file begins: loans that run are taken on as they stand."""
    for loan in life.active_loans:
        paid = [
            {"number": line.number, "paid_minor": line.amount - line.unpaid}
            | ({"cleared_on": life.almanac.date_of(line.cleared).isoformat()} if line.cleared is not None else {})
            for line in loan.lines
            if line.unpaid < line.amount
        ]
        data = {**terms(life, loan), "as_of": life.almanac.date_of(day).isoformat(), "paid": paid}
        life.tape.add(SERVICING, "ews.loan.snapshot.v1", life.at(day, second), data)


def value(life: Life, day: int, second: int, loan: Loan) -> None:
    """The collateral is valued anew, each quarter; some cars lose much at once."""
    if loan.ended:
        return
    drop = life.dice.between(0.15, 0.35) if life.dice.chance(0.02) else life.dice.between(0.02, 0.06)
    loan.collateral_minor = int(loan.collateral_minor * (1 - drop))
    data = {"loan": loan.token, "value_minor": loan.collateral_minor, "currency": life.account.currency}
    life.tape.add(SERVICING, "ews.collateral.valued.v1", life.at(day, second), data)
    life.plan(day + VALUATION_DAYS, second, value, loan)
