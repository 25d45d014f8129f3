"""Figures with 95 % intervals: a seeded bootstrap over borrowers, whose rows and alerts stand or fall together.

A statistic is computed at once for all resamples: it gets a matrix of weights, a row for each resample and a column
for each borrower, and gives a vector. The first row is all ones: what was observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]
    """A statistic: as observed, then of each resample."""
    Matrix = NDArray[np.float64]

RESAMPLES = 1_000
SEED = 1
INTERVAL = (2.5, 97.5)
CHUNK_CELLS = 20_000_000
"""Weights that are turned into floating-point numbers at once: memory stays bounded."""


class Figure(NamedTuple):
    """A statistic as observed, and the interval of its resamples. None where there is nothing to compute it from."""

    value: float | None
    low: float | None
    high: float | None


class Resamples:
    """How often each borrower is drawn in each resample, with every borrower once in the first row."""

    def __init__(self, borrowers: int, count: int = RESAMPLES, seed: int = SEED) -> None:
        generator = np.random.default_rng(seed)
        self._drawn = np.ones((count + 1, borrowers), dtype=np.uint8)
        for row in range(1, count + 1):
            drawn = np.bincount(generator.integers(0, borrowers, borrowers), minlength=borrowers)
            self._drawn[row] = np.minimum(drawn, 255)

    @property
    def rows(self) -> int:
        """Resamples, and one more for what was observed."""
        return len(self._drawn)

    def sums(self, values: NDArray[np.generic]) -> Matrix:
        """What borrowers have (a row each; one column or more), summed in each resample."""
        table = np.asarray(values, dtype=np.float64)
        step = max(1, CHUNK_CELLS // max(1, self._drawn.shape[1]))
        parts = [self._drawn[first : first + step].astype(np.float64) @ table for first in range(0, self.rows, step)]
        return np.concatenate(parts)

    def of(self, owners: NDArray[np.int64]) -> Matrix:
        """The weight of things that belong to borrowers (a column each) in each resample."""
        return self._drawn[:, owners].astype(np.float64)


def ratio(above: Vector | Matrix, below: Vector | Matrix) -> Vector:
    """A share or rate; not a number where there is nothing below the line."""
    with np.errstate(divide="ignore", invalid="ignore"):
        shares: Vector = np.where(below > 0, above / below, np.nan)
    return shares


def quantiles(
    resamples: Resamples, values: list[float], owners: list[int], shares: tuple[float, ...] = (0.25, 0.5, 0.75)
) -> list[Vector]:
    """Quantiles of things that belong to borrowers. Between two values the middle is taken, as a median is by hand."""
    if not values:
        return [np.full(resamples.rows, np.nan) for _ in shares]
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values, dtype=np.float64)[order]
    reached = resamples.of(np.asarray(owners, dtype=np.int64)[order]).cumsum(axis=1)
    total = reached[:, -1]
    found = []
    for share in shares:
        wanted = (share * total)[:, None]
        low = np.minimum((reached < wanted).sum(axis=1), len(ordered) - 1)
        high = np.minimum((reached <= wanted).sum(axis=1), len(ordered) - 1)
        found.append(np.where(total > 0, (ordered[low] + ordered[high]) / 2, np.nan))
    return found


def figure(vector: Vector) -> Figure:
    """The value as observed and its interval."""
    drawn = vector[1:][np.isfinite(vector[1:])]
    if not np.isfinite(vector[0]):
        return Figure(None, None, None)
    if not len(drawn):
        return Figure(float(vector[0]), None, None)
    low, high = np.percentile(drawn, INTERVAL)
    return Figure(float(vector[0]), float(low), float(high))
