"""Kinds of trouble: how many of each were seen, and how long before the first missed installment.

For labels with the tasks `trouble` (a row for each borrower: when it began, and as its segment of which kind) and
`first_miss` (a row for each loan: when an installment was first missed), as the simulator writes them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import DAY_MS
from streams.history.backtest.labels import HEALTHY, ONSET
from streams.history.backtest.raised import of_severity
from streams.history.backtest.resample import quantiles, ratio
from streams.history.backtest.tasks import ALL, LEADS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.history.backtest.ground import Ground, Measured, Path, Run
    from streams.history.backtest.labels import Label
    from streams.history.backtest.resample import Vector

MISS = "first_miss"


class Trouble(NamedTuple):
    """One borrower's trouble: when it began, the first alert since then, the first installment missed since then."""

    borrower: str
    began_ms: int
    alert_ms: int | None
    miss_ms: int | None

    def seen_within(self, horizon_days: int) -> bool:
        """Whether there was an alert within the horizon."""
        return self.alert_ms is not None and self.alert_ms - self.began_ms <= horizon_days * DAY_MS

    @property
    def warning_days(self) -> float | None:
        """How long before the first missed installment the first alert came; None if it did not."""
        if self.alert_ms is None or self.miss_ms is None or self.alert_ms >= self.miss_ms:
            return None
        return (self.miss_ms - self.alert_ms) / DAY_MS


def segment_figures(ground: Ground, run: Run, into: Measured) -> None:
    """For each kind of trouble what was seen of it, of those that began while the borrower was observed."""
    rows = [x for x in ground.labels if x.task == ONSET and x.segment not in {"", HEALTHY} and x.t_ms is not None]
    for segment in sorted({row.segment for row in rows}):
        mine = [row for row in rows if row.segment == segment]
        observed = [row for row in mine if row.from_ms is None or (row.t_ms or 0) >= row.from_ms]
        into.plain["segments", segment, "harmful"] = any(row.label for row in mine)
        into.plain["segments", segment, "began_before"] = len(mine) - len(observed)
        _figures(ground, _troubles(ground, run, observed), ("segments", segment), into)


def trouble_figures(ground: Ground, run: Run, into: Measured) -> None:
    """How many alerts fell into harmful trouble, within the horizon after it began; overall and by detector."""
    horizon_ms = ground.question.horizon_days * DAY_MS
    rows = [label for label in ground.labels if label.task == ONSET]
    began = {x.borrower: x.t_ms for x in rows if x.label and x.t_ms is not None}
    labelled = {x.borrower for x in rows}
    alerts = [(at, x) for at, x in of_severity(run.episodes, ground.question.severity) if x.borrower in labelled]
    for name in [ALL, *sorted({x.detector for _, x in alerts})] if alerts else []:
        chosen = [(at, x.borrower) for at, x in alerts if name in {ALL, x.detector}]
        right = [who for at, who in chosen if 0 <= at - began.get(who, at + 1) <= horizon_ms]
        every = ground.sum(ground.tally(who for _, who in chosen))
        into.vectors["trouble", name, "precision"] = ratio(ground.sum(ground.tally(right)), every)
        into.plain["trouble", name, "alerts"] = len(chosen)


def _troubles(ground: Ground, run: Run, rows: Sequence[Label]) -> list[Trouble]:
    alerts = _by_borrower((x.borrower, at) for at, x in of_severity(run.episodes, ground.question.severity))
    misses = _by_borrower(
        (x.borrower, x.t_ms) for x in ground.labels if x.task == MISS and x.label and x.t_ms is not None
    )
    return [
        Trouble(row.borrower, row.t_ms, _since(alerts, row.borrower, row.t_ms), _since(misses, row.borrower, row.t_ms))
        for row in rows
        if row.t_ms is not None
    ]


def _by_borrower(moments: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for borrower, at in sorted(moments):
        found.setdefault(borrower, []).append(at)
    return found


def _since(moments: dict[str, list[int]], borrower: str, since_ms: int) -> int | None:
    return next((at for at in moments.get(borrower, ()) if at >= since_ms), None)


def _figures(ground: Ground, troubles: Sequence[Trouble], here: Path, into: Measured) -> None:
    horizon = ground.question.horizon_days
    missed = [x for x in troubles if x.miss_ms is not None]
    warned = [(x.borrower, days) for x in troubles if (days := x.warning_days) is not None]
    into.plain[*here, "borrowers"], into.plain[*here, "missed"] = len(troubles), len(missed)
    every = _count(ground, troubles)
    into.vectors[*here, "recall"] = ratio(_count(ground, [x for x in troubles if x.seen_within(horizon)]), every)
    into.vectors[*here, "warned"] = ratio(
        ground.sum(ground.tally(borrower for borrower, _ in warned)), _count(ground, missed)
    )
    owners = [ground.owner_of[borrower] for borrower, _ in warned]
    vectors = quantiles(ground.resamples, [days for _, days in warned], owners)
    into.vectors.update({(*here, name): vector for name, vector in zip(LEADS, vectors, strict=True)})


def _count(ground: Ground, troubles: Sequence[Trouble]) -> Vector:
    return ground.sum(ground.tally(x.borrower for x in troubles))
