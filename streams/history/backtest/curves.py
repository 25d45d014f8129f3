"""Scores against labels: the area under the ROC curve, and precision at a recall.

Everything is exact: scores are grouped by value, ties count half for the area, and a threshold takes or leaves all
that share a score, as it would in use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streams.history.backtest.resample import ratio

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from streams.history.backtest.resample import Matrix, Resamples, Vector

THRESHOLDS_MAX = 400
"""Scores with more different values are rounded down to so many of them."""


class Graded(NamedTuple):
    """How many rows of either label each borrower has at each score, highest first."""

    thresholds: NDArray[np.float64]
    bad: Matrix
    good: Matrix


class Sweep(NamedTuple):
    """What each borrower adds at each threshold, highest first: alarms that were right and wrong, outcomes covered."""

    thresholds: NDArray[np.float64]
    right: Matrix
    wrong: Matrix
    covered: Matrix
    outcomes: NDArray[np.float64]


class Curve(NamedTuple):
    """Precision and recall at each threshold, in each resample."""

    precision: Matrix
    recall: Matrix


def graded(scores: NDArray[np.float64], labels: NDArray[np.bool_], owners: NDArray[np.int64], borrowers: int) -> Graded:
    """Group rows by borrower and score."""
    thresholds, group = grouped(scores)
    shape = (borrowers, len(thresholds))
    bad, good = np.zeros(shape), np.zeros(shape)
    np.add.at(bad, (owners[labels], group[labels]), 1)
    np.add.at(good, (owners[~labels], group[~labels]), 1)
    return Graded(thresholds, bad, good)


def grouped(scores: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The different scores, highest first, and which of them each row has."""
    values = np.unique(scores)
    if len(values) > THRESHOLDS_MAX:
        values = values[np.linspace(0, len(values) - 1, THRESHOLDS_MAX).astype(np.int64)]
    group = len(values) - np.searchsorted(values, scores, side="right")
    return values[::-1].copy(), np.asarray(group, dtype=np.int64)


def swept(by_score: Graded) -> Sweep:
    """Rows as alarms: all that score at least the threshold."""
    right, wrong = by_score.bad.cumsum(axis=1), by_score.good.cumsum(axis=1)
    return Sweep(by_score.thresholds, right, wrong, right, by_score.bad.sum(axis=1))


def auc(by_score: Graded, resamples: Resamples) -> Vector:
    """How often a bad row scores higher than a good one; ties count half."""
    bad, good = resamples.sums(by_score.bad), resamples.sums(by_score.good)
    lower = good.sum(axis=1, keepdims=True) - good.cumsum(axis=1)
    wins = (bad * (lower + good / 2)).sum(axis=1)
    return ratio(wins, bad.sum(axis=1) * good.sum(axis=1))


def curve(sweep: Sweep, resamples: Resamples) -> Curve:
    """Precision and recall at each threshold."""
    right, wrong = resamples.sums(sweep.right), resamples.sums(sweep.wrong)
    covered, outcomes = resamples.sums(sweep.covered), resamples.sums(sweep.outcomes)
    return Curve(ratio(right, right + wrong), ratio(covered, np.broadcast_to(outcomes[:, None], covered.shape)))


def first_reaching(found: Curve, recall: float) -> NDArray[np.int64]:
    """In each resample the highest threshold whose recall is at least so much; -1 if none is."""
    reached = found.recall >= recall - 1e-12
    return np.where(reached.any(axis=1), reached.argmax(axis=1), -1)


def at_thresholds(values: Matrix, chosen: NDArray[np.int64]) -> Vector:
    """The value at the chosen threshold of each resample; not a number where none was."""
    if not values.shape[1]:
        return np.full(len(values), np.nan)
    picked: Vector = np.where(chosen >= 0, values[np.arange(len(values)), chosen], np.nan)
    return picked
