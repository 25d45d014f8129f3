"""Installments falling due: paid, paid late, paid in part, returned by the bank, or not paid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator.almanac import stamp
from streams.history.simulator.tape import OWN_LENDER, SERVICING

if TYPE_CHECKING:
    from streams.history.simulator.conduct import Settlement
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Line, Loan

HOUR = 3600
DAY = 86_400
BOUNCES_MAX = 2
"""A direct debit is presented twice."""
REPRESENT_DAYS = 5
RECEIVED = "ews.repayment.received.v1"
RETURNED = "ews.repayment.returned.v1"


def fall_due(life: Life, day: int, second: int, loan: Loan, line: Line) -> None:
    """Decide what becomes of an installment, on its due day or as many days ahead as the borrower pays."""
    if loan.ended or not line.unpaid or line.due - day > life.person.lead_days:
        return
    settlement = life.conduct.settle(life, loan, line, day)
    if settlement.never:
        life.conduct.refused(life, line.due, second)
        return
    pay_on = line.due + settlement.after if settlement.after else day
    hour = life.dice.whole(6 * HOUR, 8 * HOUR) if life.person.debit else life.dice.whole(17 * HOUR, 21 * HOUR)
    life.plan(pay_on, hour, present, loan, line, settlement, 0)


def present(life: Life, day: int, second: int, loan: Loan, line: Line, settlement: Settlement, tries: int) -> None:
    """Draw or send what is owed by then; without money a debit is returned and presented once more."""
    owed = loan.owed(max(day, line.due))
    if loan.ended or not owed or (tries and line.due > day):
        return
    amount = max(1, int(owed * settlement.share))
    if tries >= settlement.bounces and life.account.balance >= amount:
        receive(life, day, second, loan, amount, settlement)
        return
    if life.person.debit or settlement.bounces:
        if tries < BOUNCES_MAX:
            _bounce(life, day, second, loan, amount)
        if tries < BOUNCES_MAX - 1:
            life.plan(day + REPRESENT_DAYS, second, present, loan, line, settlement, tries + 1)
            return
    life.plan(day + life.dice.whole(2, 6), 12 * HOUR, catch_up)


def receive(life: Life, day: int, second: int, loan: Loan, amount: int, settlement: Settlement | None = None) -> None:
    """A repayment: it leaves the account, counts from now, and is booked now or some days later."""
    late = settlement.booked_after if settlement else 0
    at = life.at(day, second)
    life.account.debit(at, amount, purpose="LOAR", counterparty=OWN_LENDER)
    _record(life, loan, loan.next_payment(), at, amount, at + late * DAY if late else None)
    loan.pay(day, amount)
    if not loan.outstanding():
        life.plan(day + 1 + late, 5 * HOUR, close, loan)
    elif settlement and settlement.twice:
        _book_twice(life, day, second, loan, amount)


def _record(life: Life, loan: Loan, payment: str, at: int, amount: int, recorded: int | None = None) -> None:
    data = {"loan": loan.token, "payment_id": payment, "amount_minor": amount, "currency": life.account.currency}
    valued = {"valued_at": stamp(at)}
    life.tape.add(SERVICING, RECEIVED, at, data | valued, recorded)


def _bounce(life: Life, day: int, second: int, loan: Loan, amount: int) -> None:
    """The debit is presented, and returned the next morning. The account never sees it."""
    payment = loan.next_payment()
    at = life.at(day, second)
    _record(life, loan, payment, at, amount)
    loan.bounce(day, amount, day + 1)
    life.plan(day + 1, 8 * HOUR + 1800, send_back, loan, payment, life.conduct.return_code, at, 0)


def _book_twice(life: Life, day: int, second: int, loan: Loan, amount: int) -> None:
    """The same payment is booked once more by mistake, and sent back two days later."""
    if life.account.balance < amount:
        return
    payment = loan.next_payment()
    at = life.at(day, second + 90)
    life.account.debit(at, amount, purpose="LOAR", counterparty=OWN_LENDER)
    _record(life, loan, payment, at, amount)
    loan.bounce(day, amount, day + 2)
    life.plan(day + 2, 10 * HOUR, send_back, loan, payment, "MS03", at, amount)


def send_back(
    life: Life, day: int, second: int, loan: Loan, payment: str, code: str, paid_at: int, refund: int
) -> None:
    """A repayment is returned. One that the file does not hold, because it is older, leaves no event."""
    if paid_at >= life.tape.opens:
        data = {"loan": loan.token, "payment_id": payment, "reason_code": code}
        life.tape.add(SERVICING, RETURNED, life.at(day, second), data)
    if refund:
        life.account.credit(life.at(day, second + 60), refund, counterparty=OWN_LENDER)


def catch_up(life: Life, day: int, second: int) -> None:
    """A borrower behind who is willing pays the oldest installments that the account can bear."""
    if not life.conduct.willing or not life.dice.chance(life.conduct.effort):
        return
    reserve = int(life.person.income_minor * 0.08)
    for loan in life.active_loans:
        affordable = 0
        for line in loan.lines:
            if line.due > day or affordable + line.unpaid > life.account.balance - reserve:
                break
            affordable += line.unpaid
        if affordable:
            receive(life, day, second, loan, affordable)


def close(life: Life, day: int, second: int, loan: Loan) -> None:
    """All is paid: the loan is over, and another may follow."""
    loan.ended = True
    loan.truth.closed = day
    life.tape.add(SERVICING, "ews.loan.closed.v1", life.at(day, second), {"loan": loan.token})
    if life.dice.chance(0.9):
        life.plan(day + life.dice.whole(2, 45), life.dice.whole(9, 17) * HOUR, life.reapply)
