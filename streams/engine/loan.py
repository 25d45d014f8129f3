"""A loan as the engine keeps it: schedule, payments, and days past due exactly as defined in docs/promises.md.

Days past due is the local date minus the due date of the oldest installment with an outstanding amount above the
materiality; payments count from their value date. Money goes to the oldest installment first, within it to penalty,
fee, interest, principal; an explicit allocation wins; a surplus prepays the next installment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

ACTIVE, CLOSED, CHARGED_OFF = 0, 1, 2
STANDS, RETURNED = 0, 1
BUCKET_DAYS = 30
PROMISES_MAX, VALUES_MAX = 8, 16
"""How many promises and values of collateral are kept of a loan: the latest."""


class Installment(msgspec.Struct, array_like=True, gc=False):
    """One line of the schedule with what is paid on it. `parts` is (penalty, fee, interest); the rest is principal."""

    number: int
    due: int
    amount: int
    paid: int = 0
    cleared: int | None = None
    parts: tuple[int, int, int] | None = None

    def split_paid(self) -> tuple[int, int, int, int]:
        """What is paid of penalty, fee, interest and principal, in the order in which money reaches them."""
        left, paid = self.paid, []
        for part in self.parts or (0, 0, 0):
            taken = min(left, part)
            paid.append(taken)
            left -= taken
        return paid[0], paid[1], paid[2], left


class Payment(msgspec.Struct, array_like=True, gc=False):
    """A repayment, or a returned attempt of which only the return was seen (amount 0).

    `key` and `content` are hashes of its id and of what it says: they tell a duplicate from a conflict.
    """

    key: int
    valued: int
    amount: int
    content: int
    state: int = STANDS
    reason: str = ""
    allocation: list[tuple[int, int]] | None = None
    event: str = ""
    returned_on: int = 0


class Promise(msgspec.Struct, array_like=True, gc=False):
    """A promise to pay an amount by a local day. `key` is a hash of its id, `made` the day on which it was given."""

    key: int
    due: int
    amount: int
    event: str
    made: int


class Valued(msgspec.Struct, array_like=True, gc=False):
    """What the collateral was worth on a local day."""

    day: int
    value: int
    event: str


class Profile(msgspec.Struct, array_like=True, gc=False):
    """What the loan's terms say of its borrower. `links` are kinds and tokens shared with others (`phone:...`)."""

    industry: str = ""
    region: str = ""
    employer: str = ""
    links: list[str] = []
    stated_income: int | None = None


class Spell(NamedTuple):
    """One run of days past due: its installments, and the day it ended (None while one of them is unpaid)."""

    lines: list[Installment]
    end: int | None

    @property
    def onset(self) -> int:
        """The due day that began it."""
        return self.lines[0].due


class Loan(msgspec.Struct, array_like=True, gc=False):
    """One loan of a borrower. Days are local to `zone`; amounts are minor units of `currency`."""

    id: str
    currency: str
    zone: str
    source: str
    product: str
    channel: str
    principal: int
    opened_event: str
    watched_from: int
    installments: list[Installment]
    payments: list[Payment] = []
    status: int = ACTIVE
    ended_on: int = 0
    baked_installments: int = 0
    baked_payments: int = 0
    freezes: list[tuple[int, int | None]] = []
    rescheduled: list[tuple[int, str]] = []
    materiality: int = 0
    promises: list[Promise] = []
    collateral: list[Valued] = []
    disbursed: tuple[int, int, str] | None = None
    """When the money went out (milliseconds), how much, and the event that said so."""
    profile: Profile | None = None
    told: tuple[int, int] | None = None
    """Bucket and outstanding amount that the second hop was told last; None while it counts this loan nowhere."""

    # -- what is owed -----------------------------------------------------------------------------------------------

    def owed(self, line: Installment) -> int:
        """What is outstanding on an installment; nothing if it is within the materiality."""
        left = line.amount - line.paid
        return left if left > self.materiality else 0

    def oldest_unpaid(self, day: int) -> Installment | None:
        """The oldest installment with an outstanding amount at the end of a local day, or None."""
        if self.status != ACTIVE:
            return None
        return next((line for line in self.installments if line.cleared is None or line.cleared > day), None)

    def days_past_due(self, day: int) -> int:
        """Days past due on a local day: 0 on the due day itself. Days of forbearance do not count."""
        line = self.oldest_unpaid(day)
        return self.days_late(line.due, day) if line is not None else 0

    def days_late(self, due: int, day: int) -> int:
        """The days from `due` to `day` that count, never below 0."""
        late = max(0, day - due)
        for start, until in self.freezes:
            late -= max(0, min(day, until if until is not None else day) - max(due, start))
        return max(0, late)

    def overdue(self, day: int) -> int:
        """What is owed on a local day on installments whose due day has passed."""
        if self.status != ACTIVE:
            return 0
        past = [line for line in self.installments if line.due < day and (line.cleared is None or line.cleared > day)]
        if not self.payments or self.payments[-1].valued <= day:
            return sum(map(self.owed, past))
        paid = self.paid_by(day) if past else {}
        lacks = (line.amount - paid.get(line.number, 0) for line in past)
        return sum(lack for lack in lacks if lack > self.materiality)

    def outstanding(self) -> int:
        """What is owed on all installments."""
        if self.status != ACTIVE:
            return 0
        return sum(self.owed(line) for line in self.installments if line.cleared is None)

    def spells(self, first: int = 0, last: int | None = None) -> Iterator[Spell]:
        """The runs of days past due that the facts tell, oldest first, of the installments [first, last).

        An installment that falls due while an older one is unpaid belongs to the same run. The unpaid installments that
        are not due yet make a last run without an end: the caller compares its onset with its day.
        """
        lines: list[Installment] = []
        end: int | None = 0
        for line in self.installments[first:last]:
            if lines and end is not None and line.due >= end:
                yield Spell(lines, end)
                lines = []
            if lines:
                end = None if end is None or line.cleared is None else max(end, line.cleared)
            elif line.cleared is None or line.cleared > line.due:
                end = line.cleared
            else:
                continue
            lines.append(line)
        if lines:
            yield Spell(lines, end)

    def peak(self, spell: Spell, day: int) -> int:
        """The most days past due that a run had reached by a local day. A value day is a fact and needs no waiting."""
        return max(self.days_late(line.due, day if line.cleared is None else line.cleared) for line in spell.lines)

    def frozen(self, day: int) -> bool:
        """Whether forbearance stops the count on a local day."""
        return any(start <= day and (until is None or day < until) for start, until in self.freezes)

    # -- what happens to it -----------------------------------------------------------------------------------------

    def add(self, payment: Payment) -> None:
        """Take up a payment, whenever it is valued."""
        in_order = not self.payments or payment.valued >= self.payments[-1].valued
        self.payments.append(payment)
        if not in_order:
            self.reorder()
        elif payment.state == STANDS:
            self._apply(payment)

    def reorder(self) -> None:
        """Bring the payments since the last new schedule into the order of their value days, and spread them again."""
        self.payments[self.baked_payments :] = sorted(self.payments[self.baked_payments :], key=_by_value_day)
        self.reallocate()

    def reverse(self, payment: Payment, reason: str, day: int) -> None:
        """A payment was returned: what it paid is owed again, and a loan that it had ended goes on."""
        payment.state, payment.reason, payment.returned_on = RETURNED, reason, day
        if self.status == CLOSED:
            self.status = ACTIVE
        index = next(i for i, known in enumerate(self.payments) if known is payment)
        if index < self.baked_payments:
            self._owe_again(payment.amount)
        self.reallocate()

    def _owe_again(self, amount: int) -> None:
        # The installments it paid were replaced by a new schedule: the first of that one takes the amount back.
        if self.baked_installments < len(self.installments):
            self.installments[self.baked_installments].amount += amount
        elif self.installments:
            last = self.installments[-1]
            self.installments.append(Installment(last.number + 1, last.due, amount))

    def reallocate(self) -> None:
        """Spread the payments since the last new schedule over its installments again, by their value days."""
        for line in self.installments[self.baked_installments :]:
            line.paid, line.cleared = 0, line.due if line.amount <= self.materiality else None
        for payment in self.payments[self.baked_payments :]:
            if payment.state == STANDS:
                self._apply(payment)

    def reschedule(self, lines: list[Installment], reason: str, day: int) -> None:
        """Replace the unpaid rest of the schedule. What was paid stays paid; the rest is owed as the new lines say."""
        kept = [line for line in self.installments if line.paid > 0 or line.cleared is not None]
        for line in kept:
            if line.cleared is None:
                line.amount, line.parts, line.cleared = line.paid, None, day
        self.installments = kept + lines
        self.baked_installments, self.baked_payments = len(kept), len(self.payments)
        self.rescheduled.append((day, reason))
        self.reallocate()

    def _apply(self, payment: Payment) -> None:
        left = payment.amount
        for number, amount in payment.allocation or ():
            line = next((x for x in self.installments[self.baked_installments :] if x.number == number), None)
            if line is not None:
                left -= self._pay(line, min(amount, left), payment.valued)
        for line in self.installments[self.baked_installments :]:
            if left <= 0:
                break
            if line.paid < line.amount:
                left -= self._pay(line, left, payment.valued)

    def _pay(self, line: Installment, amount: int, day: int) -> int:
        taken = min(amount, line.amount - line.paid)
        line.paid += taken
        if line.cleared is None and line.amount - line.paid <= self.materiality:
            line.cleared = day
        return taken

    def paid_by(self, day: int) -> dict[int, int]:
        """What was paid on each installment number by the end of a local day, by value date."""
        twin = Loan(
            self.id, self.currency, self.zone, self.source, self.product, self.channel, self.principal,
            self.opened_event, self.watched_from,
            [Installment(x.number, x.due, x.amount, x.paid, x.cleared) for x in self.installments],
            [p for p in self.payments if p.valued <= day],
            baked_installments=self.baked_installments, materiality=self.materiality,
        )  # fmt: skip
        twin.baked_payments = sum(p.valued <= day for p in self.payments[: self.baked_payments])
        twin.reallocate()
        return {line.number: line.paid for line in twin.installments}


def _by_value_day(payment: Payment) -> int:
    return payment.valued


def bucket_of(days_past_due: int) -> str:
    """The delinquency bucket: M0 current, M1 1-30, M2 31-60, M3 61-90 ..."""
    return f"M{-(-days_past_due // BUCKET_DAYS)}"
