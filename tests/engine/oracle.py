"""Allocation and days past due a second time, written from the rules alone and by brute force, to hold the engine to.

Every day is computed from nothing: take the payments that stand and are valued by that day, spread them, look for the
oldest installment that lacks more than the materiality. No state, no cleverness.
"""

from __future__ import annotations

from typing import NamedTuple


class Line(NamedTuple):
    """One installment: number, due day, amount."""

    number: int
    due: int
    amount: int


class Money(NamedTuple):
    """One payment: its value day, its amount, and (number, amount) of an explicit allocation."""

    valued: int
    amount: int
    allocation: tuple[tuple[int, int], ...] = ()


def outstanding(lines: list[Line], payments: list[Money], day: int) -> dict[int, int]:
    """What is owed on each installment at the end of a day, payments taken in the order of their value days."""
    owed = {line.number: line.amount for line in lines}
    for payment in sorted((p for p in payments if p.valued <= day), key=lambda p: p.valued):
        left = payment.amount
        for number, amount in payment.allocation:
            taken = min(amount, left, owed.get(number, 0))
            if number in owed:
                owed[number] -= taken
                left -= taken
        for line in sorted(lines, key=lambda line: (line.due, line.number)):
            taken = min(left, owed[line.number])
            owed[line.number] -= taken
            left -= taken
    return owed


def days_past_due(lines: list[Line], payments: list[Money], day: int, materiality: int = 0) -> int:
    """The day minus the due day of the oldest installment that lacks more than the materiality; 0 on the due day."""
    owed = outstanding(lines, payments, day)
    dues = [line.due for line in lines if owed[line.number] > materiality]
    return max(0, day - min(dues)) if dues else 0
