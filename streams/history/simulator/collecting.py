"""What the lender does about arrears: reminders and calls, promises, an extension, and in the end the charge-off."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.history.simulator import repaying
from streams.history.simulator.almanac import months_later
from streams.history.simulator.tape import DIALLER, SERVICING

if TYPE_CHECKING:
    from streams.history.simulator.life import Life
    from streams.history.simulator.loan import Loan

HOUR = 3600
CONTACTS: tuple[tuple[int, str], ...] = (
    (1, "sms"), (3, "call"), (5, "sms"), (8, "call"), (12, "email"), (16, "call"), (25, "call"), (33, "letter"),
    (45, "call"), (60, "letter"), (75, "call"), (90, "letter"), (120, "letter"), (150, "letter"),
)  # fmt: skip
"""Days past due and the channel used then."""
CHARGE_OFF_DAYS = 180
TWO_WAY = frozenset({"call", "sms"})


def look(life: Life, day: int, second: int, loan: Loan) -> None:
    """The day after a due date: if the loan is behind, collection begins."""
    if not loan.ended and not loan.dunned and loan.days_past_due(day):
        loan.dunned = True
        dun(life, day, second, loan)


def dun(life: Life, day: int, second: int, loan: Loan) -> None:
    """One step of collection, and the plan for the next; it stops when the arrears are gone."""
    behind = loan.days_past_due(day)
    if loan.ended or not behind:
        loan.dunned = False
        return
    if behind >= CHARGE_OFF_DAYS:
        charge_off(life, day, second, loan)
        return
    channel = next((channel for at, channel in reversed(CONTACTS) if at <= behind), "sms")
    contact(life, day, second, loan, channel)
    following = next((at for at, _ in CONTACTS if at > behind), CHARGE_OFF_DAYS)
    life.plan(day + min(following, CHARGE_OFF_DAYS) - behind, life.dice.whole(9, 18) * HOUR, dun, loan)


def contact(life: Life, day: int, second: int, loan: Loan, channel: str) -> None:
    """Try to reach the borrower; what happens then depends on the conduct."""
    at = life.at(day, second)
    data = {"contact_id": f"c{life.tape.count + 1}", "channel": channel, "loan": loan.token}
    life.tape.add(DIALLER, "ews.contact.attempted.v1", at, data)
    if life.dice.chance(life.conduct.unreachable):
        life.tape.add(DIALLER, "ews.contact.undeliverable.v1", at + 300, data)
    elif channel in TWO_WAY and life.dice.chance(life.conduct.answers):
        life.tape.add(DIALLER, "ews.contact.reached.v1", at + 240, data)
        reached(life, day, second, loan)


def reached(life: Life, day: int, second: int, loan: Loan) -> None:
    """Someone answered: a promise, an extension, or nothing."""
    dice = life.dice
    if life.conduct.asks_extension and dice.chance(0.3):
        extend(life, day, second + 900, loan, life.conduct.asks_extension, 1)
    elif dice.chance(0.45):
        by = day + dice.whole(2, 7)
        data = {
            "loan": loan.token,
            "promise_id": f"pr{life.tape.count + 1}",
            "amount_minor": max(1, loan.owed(day)),
            "currency": life.account.currency,
            "promised_on": life.almanac.date_of(by).isoformat(),
        }
        life.tape.add(SERVICING, "ews.promise.made.v1", life.at(day, second + 600), data)
        life.plan(by, 11 * HOUR, repaying.catch_up)


def charge_off(life: Life, day: int, second: int, loan: Loan) -> None:
    """The lender gives up the loan."""
    loan.ended = True
    loan.truth.charged_off = day
    data = {"loan": loan.token, "amount_minor": loan.outstanding(), "currency": life.account.currency}
    life.tape.add(SERVICING, "ews.loan.charged_off.v1", life.at(day, second), data)


def extend(life: Life, day: int, second: int, loan: Loan, reason: str, months: int) -> None:
    """Move the unpaid installments into the future.

    Not where one is partly paid, or while a debit is on its way back: what is unpaid would be unclear.
    """
    unpaid = [line for line in loan.lines if line.unpaid]
    if loan.ended or loan.extended or day < loan.bounces_until:
        return
    if not unpaid or any(line.unpaid < line.amount for line in unpaid):
        return
    date_of, day_of = life.almanac.date_of, life.almanac.day_of
    first = date_of(max(day + 10, day_of(months_later(date_of(unpaid[0].due), months))))
    dues = [day_of(months_later(first, index)) for index in range(len(unpaid))]
    loan.extended = True
    loan.reschedule(day, dues)
    effective = date_of(day).isoformat()
    schedule = loan.schedule(life.almanac, unpaid_only=True)
    data = {"loan": loan.token, "reason": reason, "effective_on": effective, "schedule": schedule}
    life.tape.add(SERVICING, "ews.loan.schedule_changed.v1", life.at(day, second), data)
    for line in unpaid:
        life.plan(line.due - life.person.lead_days, 3 * HOUR, repaying.fall_due, loan, line)
        life.plan(line.due + 1, 10 * HOUR, look, loan)
