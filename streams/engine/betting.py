"""Bets in an account, kept once for the detectors that look at them."""

from __future__ import annotations

from streams.engine.calendar import DAY_MS
from streams.engine.codes import TRANSACTION
from streams.engine.measure import Kind, Measure

DAYS = 35


def stakes(mccs: frozenset[str]) -> Measure:
    """Count and sum of the stakes of each day, for each currency."""
    return Measure("betting.daily", TRANSACTION, Kind.TOTAL, DAYS, _where(mccs), value="amount_minor")


def bets(mccs: frozenset[str]) -> Measure:
    """The latest bets with their stakes, for each currency."""
    return Measure(
        "betting.last",
        TRANSACTION,
        Kind.LAST,
        DAYS,
        _where(mccs),
        value="amount_minor",
        bucket_ms=DAY_MS,
        per="currency",
    )


def _where(mccs: frozenset[str]) -> tuple[tuple[str, frozenset[str]], ...]:
    return (("indicator", frozenset({"DBIT"})), ("mcc", mccs))


SPENDING = Measure(
    "spending.daily", TRANSACTION, Kind.TOTAL, DAYS, (("indicator", frozenset({"DBIT"})),), value="amount_minor"
)
"""All money that leaves the accounts on each day, for each currency."""
