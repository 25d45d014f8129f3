"""A scorecard before and after, on the same decisions, of borrowers that the one after was not fitted on."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from streams.engine.scorecard import tier_of
from streams.history.backtest.figures import Compared, compared, figures, nested
from streams.history.backtest.ground import Measured, Run, Scored, ground_of
from streams.history.backtest.tasks import task_figures
from streams.history.calibration.card import UNIT, card_of, points
from streams.history.calibration.collecting import part_of
from streams.history.calibration.fitting import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.engine.scorecard import Scorecard
    from streams.history.backtest.ground import Ground, Path, Question
    from streams.history.backtest.labels import Label
    from streams.history.backtest.resample import Figure
    from streams.history.calibration.card import Fitted
    from streams.history.calibration.collecting import Collected
    from streams.history.calibration.fitting import Banding


class Plan(NamedTuple):
    """How borrowers are parted: `split` to fit on and the rest to judge by; or, with folds, each in turn."""

    split: float = 0.5
    folds: int = 0
    seed: int = 1
    most: int = 15
    without: tuple[str, ...] = ()
    """Names of characteristics and episodes that are left out; `*` stands for anything."""


class Judged(NamedTuple):
    """The scorecard to keep, and the figures of scores that no fitted row has part in."""

    fitted: Fitted
    figures: dict[Path, Compared]
    plain: dict[Path, Any]
    fitted_rows: int
    judged_rows: int
    judged_borrowers: int
    single: dict[Path, Figure]
    """The figures of the one characteristic that tells most by itself: what a scorecard must be worth more than."""

    def as_dict(self) -> dict[str, Any]:
        """For machines: `policy` is after, `against` before, and `difference` the one less the other."""
        single = {path: one._asdict() for path, one in self.single.items() if not {"alerts", "tiers"} & set(path)}
        values = {
            path: {name: None if one.value is None else one._asdict() for name, one in told._asdict().items()}
            for path, told in self.figures.items()
            if "alerts" not in path
        }
        told = nested({path: value for path, value in self.plain.items() if "alerts" not in path} | values)
        return told | {"single": {"name": _best(self.fitted).name, **nested(single)}}


def calibrated(  # noqa: PLR0917 - six things that a calibration stands on
    collected: Collected, came: NDArray[np.int8], labels: Sequence[Label], base: Scorecard, question: Question,
    plan: Plan,
) -> Judged:  # fmt: skip
    """Fit on some borrowers and judge by the others. Raises Misconfigured if there is too little to fit on."""
    places = np.asarray([part_of(decision.borrower, plan.seed) for decision in collected.decisions])
    scored: list[Scored] = []
    before: list[Scored] = []
    alone: list[Scored] = []
    for unseen in _parts(places, plan):
        fitted = _fit(collected, came, base, ~unseen, plan)
        rows = np.flatnonzero(unseen)
        found = points(fitted.card, collected.names, collected.values[rows])
        before += [collected.before[row] for row in rows.tolist()]
        scored += [
            Scored(collected.before[row].decision, float(score), tier_of(fitted.card, score))
            for row, score in zip(rows.tolist(), found.tolist(), strict=True)
        ]
        alone += _alone(fitted, collected, rows)
    if plan.folds:
        fitted = _fit(collected, came, base, places >= 0, plan)
    unseen_borrowers = {row.decision.borrower for row in scored}
    first_ms = {borrower: at for borrower, at in collected.first_ms.items() if borrower in unseen_borrowers}
    ground = ground_of(question, [label for label in labels if label.borrower in first_ms], first_ms)
    after, was, one = (_measured(ground, collected, rows) for rows in (scored, before, alone))
    fit_rows = int((came >= 0).sum()) if plan.folds else int(((came >= 0) & (places < plan.split)).sum())
    return Judged(fitted, compared(after, was), after.plain, fit_rows, len(scored), len(first_ms), figures(one))


def _parts(places: NDArray[np.float64], plan: Plan) -> list[NDArray[np.bool_]]:
    """Which decisions are judged, by turns."""
    if not plan.folds:
        return [places >= plan.split]
    return [(places * plan.folds).astype(np.int64) == fold for fold in range(plan.folds)]


def _fit(collected: Collected, came: NDArray[np.int8], base: Scorecard, seen: NDArray[np.bool_], plan: Plan) -> Fitted:
    rows = np.flatnonzero(seen & (came >= 0))
    values, bad = collected.values[rows], came[rows] == 1
    used = [at for at, name in enumerate(collected.names) if not left_out(name, plan.without)]
    bandings = fit([collected.names[at] for at in used], values[:, used], bad, plan.most)
    return card_of(base, bandings, collected.names, values, bad)


def _best(fitted: Fitted) -> Banding:
    """The characteristic (or episode) whose bands lie furthest apart."""
    return max(fitted.bandings, key=lambda one: one.value)


def _alone(fitted: Fitted, collected: Collected, rows: NDArray[np.int64]) -> list[Scored]:
    """What decisions would score by that one alone, with the bands of the rows that were fitted on."""
    best = _best(fitted)
    found = np.round(UNIT * best.evidence_of(collected.values[rows, list(collected.names).index(best.name)]))
    return [
        Scored(collected.before[row].decision, score, "none")
        for row, score in zip(rows.tolist(), found.tolist(), strict=True)
    ]


def left_out(name: str, without: Sequence[str]) -> bool:
    """Whether a name is one of those that are left out."""
    return any(fnmatchcase(name, pattern) for pattern in without)


def _measured(ground: Ground, collected: Collected, scored: Sequence[Scored]) -> Measured:
    run = Run("", scored, (), collected.first_ms, collected.last_ms, collected.ended_ms, {})
    into = Measured({}, {})
    for task in ground.tasks:
        task_figures(ground, run, task, into)
    return into
