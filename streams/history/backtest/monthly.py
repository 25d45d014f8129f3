"""Decisions at month ends: an alarm covers the months after it (six, if the horizon is 180 days).

An account (or borrower) whose score reaches the threshold raises an alarm, and no other while that covers. An alarm is
right if the outcome comes within the months that it covers, wrong if it does not and those months were observed (or the
account ended, so that nothing can come any more), else left out. An outcome is covered if an alarm before it was right.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streams.history.backtest.curves import Graded, Sweep, graded, grouped
from streams.history.backtest.labels import month_ms

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from streams.history.backtest.labels import Decision, Label

RIGHT, WRONG, OPEN = 1, 0, -1
DAYS_A_MONTH = 30.4375


class Months(NamedTuple):
    """The decisions of a task as tables: a row for each label row that has any, a column for each month."""

    labels: Sequence[Label]
    owners: NDArray[np.int64]
    scores: NDArray[np.float64]
    """Not a number where there was nothing to decide."""
    truth: NDArray[np.int8]
    """What an alarm then would have been: RIGHT, WRONG or OPEN."""
    lead_days: NDArray[np.float64]
    """How long before the outcome the decision was."""


def horizon_months(days: int) -> int:
    """A horizon of days in whole months."""
    return max(1, round(days / DAYS_A_MONTH))


def months_of(
    rows: Sequence[tuple[Decision, float]],
    owner_of: Mapping[str, int],
    ended_ms: Mapping[tuple[str, str], int],
    horizon: int,
    zone: str,
) -> Months:
    """Lay the decisions out by label row and month."""
    index: dict[int, int] = {}
    labels: list[Label] = []
    for decision, _ in rows:
        if decision.label.line not in index:
            index[decision.label.line] = len(labels)
            labels.append(decision.label)
    numbers = [decision.month for decision, _ in rows if decision.month is not None]
    first, last = min(numbers, default=0), max(numbers, default=-1)
    shape = (len(labels), last - first + 1)
    scores, lead = np.full(shape, np.nan), np.full(shape, np.nan)
    truth = np.full(shape, OPEN, dtype=np.int8)
    ends = {month: month_ms(month, zone) for month in range(first, last + 1 + horizon)}
    for decision, score in rows:
        assert decision.month is not None
        place = index[decision.label.line], decision.month - first
        scores[place] = score
        truth[place] = _truth(decision.label, ends[decision.month + horizon], ended_ms)
        if decision.label.label and decision.label.t_ms is not None:
            lead[place] = (decision.label.t_ms - ends[decision.month]) / 86_400_000
    owners = np.asarray([owner_of[label.borrower] for label in labels], dtype=np.int64)
    return Months(labels, owners, scores, truth, lead)


def _truth(label: Label, covered_until_ms: int, ended_ms: Mapping[tuple[str, str], int]) -> int:
    if label.label and label.t_ms is not None and label.t_ms <= covered_until_ms:
        return RIGHT
    assert label.until_ms is not None
    known = label.label or label.until_ms >= covered_until_ms
    return WRONG if known or (label.borrower, label.loan or "") in ended_ms else OPEN


def graded_months(months: Months, borrowers: int) -> Graded:
    """Every decision whose truth is known by itself: what the area under the curve is of."""
    known = ~np.isnan(months.scores) & (months.truth != OPEN)
    owners = np.broadcast_to(months.owners[:, None], known.shape)[known]
    return graded(months.scores[known], months.truth[known] == RIGHT, owners, borrowers)


Leads = list[list[tuple[int, float]]]
"""For each threshold the outcomes that an alarm covers: whose, and how many days before it was raised."""


def swept_months(months: Months, outcomes: NDArray[np.float64], horizon: int) -> tuple[Sweep, Leads]:
    """Alarms at each threshold. `outcomes` is how many each borrower has, those too that could not be decided on."""
    thresholds, _ = grouped(months.scores[~np.isnan(months.scores)])
    shape = (len(outcomes), len(thresholds))
    right, wrong, covered = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    leads: Leads = []
    for column, threshold in enumerate(thresholds):
        raised = _raised(months.scores >= threshold, horizon)
        hits = raised & (months.truth == RIGHT)
        np.add.at(right[:, column], months.owners, hits.sum(axis=1))
        np.add.at(wrong[:, column], months.owners, (raised & (months.truth == WRONG)).sum(axis=1))
        np.add.at(covered[:, column], months.owners, hits.any(axis=1))
        rows = np.flatnonzero(hits.any(axis=1))
        days = months.lead_days[rows, hits[rows].argmax(axis=1)]
        leads.append(list(zip(months.owners[rows].tolist(), days.tolist(), strict=True)))
    return Sweep(thresholds, right, wrong, covered, outcomes), leads


def _raised(above: NDArray[np.bool_], horizon: int) -> NDArray[np.bool_]:
    """The months in which an alarm is raised: above the threshold, and none before covers."""
    raised = np.zeros_like(above)
    free_from = np.zeros(len(above), dtype=np.int64)
    for month in range(above.shape[1]):
        now = above[:, month] & (free_from <= month)
        raised[:, month] = now
        free_from[now] = month + horizon
    return raised
