"""The figures of one task: its scores against its labels, and the alerts before its outcomes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from streams.engine.calendar import DAY_MS
from streams.history.backtest.curves import at_thresholds, auc, curve, first_reaching, graded, swept
from streams.history.backtest.monthly import graded_months, horizon_months, months_of, swept_months
from streams.history.backtest.outcomes import Verdict, has_outcome, matched
from streams.history.backtest.raised import of_severity
from streams.history.backtest.resample import quantiles, ratio

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from streams.history.backtest.curves import Curve, Graded, Sweep
    from streams.history.backtest.ground import Ground, Measured, Path, Run, Scored
    from streams.history.backtest.labels import Label
    from streams.history.backtest.outcomes import Matched
    from streams.history.backtest.raised import Raised
    from streams.history.backtest.resample import Resamples, Vector

LEADS = ("lead_q25", "lead_median", "lead_q75")
ALL = "all"
"""In place of a detector: whatever alert comes first."""
TIERS = ("watch", "high", "critical")


def task_figures(ground: Ground, run: Run, task: str, into: Measured) -> None:
    """Measure one task."""
    labels = [label for label in ground.labels if label.task == task]
    rows = [row for row in run.scored if row.decision.label.task == task and row.decision.borrower in ground.owner_of]
    here = ("tasks", task)
    into.plain[*here, "rows"] = len(labels)
    into.plain[*here, "label_1"] = sum(label.label for label in labels)
    into.plain[*here, "outcomes"] = sum(has_outcome(label) for label in labels)
    into.plain[*here, "decisions"] = len(rows)
    if rows:
        _score_figures(ground, _Decisions(ground, run, rows, labels), here, into)
    _alert_figures(ground, run, labels, here, into)


# -- scores -----------------------------------------------------------------------------------------------------------


class _Measured(NamedTuple):
    """Values (scores, or tiers) against labels."""

    by_value: Graded
    sweep: Sweep
    leads: Callable[[int], list[tuple[int, float]]]
    """At the threshold of a column: of whom an outcome was foreseen, and how many days before."""

    def point(self, found: Curve, at: NDArray[np.int64], resamples: Resamples) -> dict[str, Vector]:
        """Precision and recall at the threshold of each resample, and the lead at that of what was observed."""
        leads = self.leads(int(at[0])) if at[0] >= 0 else []
        days = quantiles(resamples, [day for _, day in leads], [owner for owner, _ in leads])
        figures = {"precision": at_thresholds(found.precision, at), "recall": at_thresholds(found.recall, at)}
        return figures | dict(zip(LEADS, days, strict=True))


class _Decisions:
    """The decisions of one task, each made once or at every month end."""

    def __init__(self, ground: Ground, run: Run, rows: Sequence[Scored], labels: Sequence[Label]) -> None:
        self._ground = ground
        self._run = run
        self._labels = labels
        self.rows = rows
        self.is_monthly = any(row.decision.month is not None for row in rows)

    def measure(self, values: Sequence[float]) -> _Measured:
        """Hold a value of each decision against what came."""
        return self._monthly(values) if self.is_monthly else self._single(values)

    def _single(self, values: Sequence[float]) -> _Measured:
        scores = np.asarray(values, dtype=np.float64)
        truth = np.asarray([row.decision.label.label for row in self.rows], dtype=np.bool_)
        owners = self._ground.owners(row.decision.borrower for row in self.rows)
        by_value = graded(scores, truth, owners, len(self._ground.owner_of))
        sweep = swept(by_value)

        def leads(column: int) -> list[tuple[int, float]]:
            hits = np.flatnonzero(truth & (scores >= sweep.thresholds[column]))
            found = ((int(owners[row]), self.rows[row].decision) for row in hits.tolist())
            return [(owner, (d.label.t_ms - d.at_ms) / DAY_MS) for owner, d in found if d.label.t_ms is not None]

        return _Measured(by_value, sweep, leads)

    def _monthly(self, values: Sequence[float]) -> _Measured:
        ground = self._ground
        months = horizon_months(ground.question.horizon_days)
        pairs = [(row.decision, value) for row, value in zip(self.rows, values, strict=True)]
        table = months_of(pairs, ground.owner_of, self._run.ended_ms, months, ground.question.zone)
        outcomes = ground.tally(label.borrower for label in self._labels if has_outcome(label))
        sweep, leads = swept_months(table, outcomes, months)
        return _Measured(graded_months(table, len(ground.owner_of)), sweep, leads.__getitem__)

    def base_rate(self) -> Vector:
        """How many of the rows come true."""
        bad = [x for x in self._labels if (has_outcome(x) if self.is_monthly else x.label)]
        of = self._ground
        return ratio(of.sum(of.tally(x.borrower for x in bad)), of.sum(of.tally(x.borrower for x in self._labels)))


def _score_figures(ground: Ground, decisions: _Decisions, here: Path, into: Measured) -> None:
    measured = decisions.measure([row.score for row in decisions.rows])
    into.vectors[*here, "base_rate"] = decisions.base_rate()
    into.vectors[*here, "auc"] = auc(measured.by_value, ground.resamples)
    found = curve(measured.sweep, ground.resamples)
    into.plain[*here, "monthly"] = decisions.is_monthly
    into.plain[*here, "curve"] = {
        "threshold": measured.sweep.thresholds.tolist(),
        "recall": found.recall[0].tolist(),
        "precision": found.precision[0].tolist(),
    }
    for recall in ground.question.recalls:
        at = first_reaching(found, recall)
        place = (*here, "recalls", f"{recall:g}")
        _put(into, place, measured.point(found, at, ground.resamples))
        into.plain[*place, "threshold"] = float(measured.sweep.thresholds[at[0]]) if at[0] >= 0 else None
    _tier_figures(ground, decisions, here, into)


def _tier_figures(ground: Ground, decisions: _Decisions, here: Path, into: Measured) -> None:
    """What a tier is worth as it stands: who is in it, or above."""
    measured = decisions.measure([float(_rank(row.tier)) for row in decisions.rows])
    found = curve(measured.sweep, ground.resamples)
    for rank, tier in enumerate(TIERS, start=1):
        columns = np.flatnonzero(measured.sweep.thresholds >= rank)
        at = np.full(ground.resamples.rows, columns[-1] if len(columns) else -1)
        _put(into, (*here, "tiers", tier), measured.point(found, at, ground.resamples))


def _rank(tier: str) -> int:
    return TIERS.index(tier) + 1 if tier in TIERS else 0


def _put(into: Measured, here: Path, vectors: dict[str, Vector]) -> None:
    into.vectors.update({(*here, name): vector for name, vector in vectors.items()})


# -- alerts -----------------------------------------------------------------------------------------------------------


def _alert_figures(ground: Ground, run: Run, labels: Sequence[Label], here: Path, into: Measured) -> None:
    alerts = of_severity(run.episodes, ground.question.severity)
    for name in [ALL, *sorted({episode.detector for _, episode in alerts})]:
        chosen = [(at, episode) for at, episode in alerts if name in {ALL, episode.detector}]
        found = _matched(ground, run, chosen, labels)
        _add_alerts(ground, found, (*here, "alerts", name), into)
        if name == ALL:
            into.plain[*here, "leads"] = [days for _, days in found.leads]


def _matched(ground: Ground, run: Run, alerts: Sequence[tuple[int, Raised]], labels: Sequence[Label]) -> Matched:
    return matched(alerts, labels, ground.question.horizon_days, run.ended_ms)


def _add_alerts(ground: Ground, found: Matched, here: Path, into: Measured) -> None:
    right, wrong = (ground.sum(ground.tally(found.verdicts[verdict])) for verdict in (Verdict.RIGHT, Verdict.WRONG))
    covered = ground.sum(ground.tally(borrower for borrower, _ in found.leads))
    into.vectors[*here, "precision"] = ratio(right, right + wrong)
    into.vectors[*here, "recall"] = ratio(covered, ground.sum(ground.tally(found.outcomes)))
    days = [day for _, day in found.leads]
    owners = [ground.owner_of[borrower] for borrower, _ in found.leads]
    for name, vector in zip(LEADS, quantiles(ground.resamples, days, owners), strict=True):
        into.vectors[*here, name] = vector
    for verdict in Verdict:
        into.plain[*here, verdict.name.lower()] = len(found.verdicts[verdict])
