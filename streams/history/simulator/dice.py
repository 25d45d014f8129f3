"""Chance for one borrower, the same on every platform.

Only `random.Random.random` is drawn from, whose numbers Python keeps from version to version, and only arithmetic that
IEEE 754 fixes is done with them: no logarithm, no cosine. So the same seed gives the same bytes everywhere.
"""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence

Choice = TypeVar("Choice")


class Dice:
    """Draws for one borrower. `key` names the borrower and the purpose; other keys do not disturb it."""

    __slots__ = ("unit",)

    def __init__(self, key: str) -> None:
        self.unit = Random(key).random  # noqa: S311 - a simulation wants to be repeatable
        """The next number in [0, 1)."""

    def chance(self, probability: float) -> bool:
        """True with that probability."""
        return self.unit() < probability

    def whole(self, low: int, high: int) -> int:
        """A whole number from `low` to `high`, both included."""
        return low + int(self.unit() * (high - low + 1))

    def between(self, low: float, high: float) -> float:
        """A number from `low` to `high`, each as likely."""
        return low + self.unit() * (high - low)

    def skewed(self, low: float, high: float) -> float:
        """A number from `low` to `high`, the small ones more likely, as incomes and purchases are."""
        unit = self.unit()
        return low + unit * unit * (high - low)

    def pick(self, choices: Sequence[Choice]) -> Choice:
        """One of the choices, each as likely."""
        return choices[int(self.unit() * len(choices))]

    def weighted(self, choices: Sequence[tuple[Choice, float]]) -> Choice:
        """One of the choices by its weight. The weights need not add up to one."""
        left = self.unit() * sum(weight for _, weight in choices)
        for choice, weight in choices:
            left -= weight
            if left < 0:
                return choice
        return choices[-1][0]
