"""Characteristics: numbers of a borrower's past that a scorecard gives points for, each known when it is asked.

A characteristic is a pure function of what the engine keeps; None is "not known", which has points of its own. It is
asked about a loan (the one that is decided on), about an account elsewhere (`line`, by its token), or about the
borrower as a whole. The docstring of each says to a person what the number is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.engine.characteristics import accounts, loans

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.engine.characteristics.kinds import Characteristic
    from streams.engine.measure import Measure

CHARACTERISTICS: dict[str, Characteristic] = {
    function.__name__: function for function in (*loans.CHARACTERISTICS, *accounts.CHARACTERISTICS)
}
"""Every characteristic by its name."""


def measures(names: Iterable[str]) -> tuple[Measure, ...]:
    """What the engine must keep for these characteristics."""
    of_accounts = {function.__name__ for function in accounts.CHARACTERISTICS}
    return () if of_accounts.isdisjoint(names) else (accounts.BEHIND,)


def text_of(name: str) -> str:
    """What a characteristic is, in one sentence."""
    return (CHARACTERISTICS[name].__doc__ or "").partition("\n")[0]
