"""How often a policy raises its voice: alerts a month, and with borrowers to whom nothing happened."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS
from streams.history.backtest.labels import HEALTHY, ONSET, month_of
from streams.history.backtest.monthly import DAYS_A_MONTH
from streams.history.backtest.raised import of_severity
from streams.history.backtest.resample import ratio
from streams.history.backtest.tasks import ALL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from streams.history.backtest.ground import Ground, Measured, Run
    from streams.history.backtest.raised import Raised
    from streams.history.backtest.resample import Vector

DAYS_A_YEAR = 365.25
THOUSAND = 1_000


def volume_figures(ground: Ground, run: Run, into: Measured) -> None:
    """Alerts per 1,000 borrowers a month, of all borrowers in the events, from their first event to the last of all."""
    alerts = of_severity(run.episodes, ground.question.severity)
    months = ground.sum(_days(ground, run) / DAYS_A_MONTH)
    for name in [ALL, *_detectors(run)]:
        owners = [episode.borrower for _, episode in alerts if name in {ALL, episode.detector}]
        into.vectors["volume", name, "per_1000_a_month"] = ratio(ground.sum(ground.tally(owners)) * THOUSAND, months)
        into.plain["volume", name, "episodes"] = len(owners)
    by_month = Counter(month_of(at, ground.question.zone) for at, _ in alerts)
    into.plain["volume", "by_month"] = {f"{m // 12}-{m % 12 + 1:02}": by_month[m] for m in sorted(by_month)}


def healthy_figures(ground: Ground, run: Run, into: Measured) -> None:
    """Episodes per 1,000 healthy borrowers a year, each counted once at the highest severity that it reached."""
    healthy = {label.borrower for label in ground.labels if label.task == ONSET and label.segment == HEALTHY}
    into.plain["healthy", "borrowers"] = len(healthy)
    if not healthy:
        return
    years = ground.sum(_days(ground, run) / DAYS_A_YEAR * ground.tally(healthy))
    mine = [episode for episode in run.episodes if episode.borrower in healthy]
    for name in [ALL, *_detectors(run)]:
        chosen = [episode for episode in mine if name in {ALL, episode.detector}]
        for severity, counted in (("watch", _highest_is_watch(chosen)), ("high", _reached_high(chosen))):
            figure = _rate(ground, counted, years)
            into.vectors["healthy", name, f"{severity}_per_1000_a_year"] = figure
            into.plain["healthy", name, severity] = len(counted)


def _detectors(run: Run) -> list[str]:
    return sorted({episode.detector for episode in run.episodes})


def _highest_is_watch(episodes: Sequence[Raised]) -> list[Raised]:
    return [x for x in episodes if x.at_ms(Severity.WATCH) is not None and x.at_ms(Severity.HIGH) is None]


def _reached_high(episodes: Sequence[Raised]) -> list[Raised]:
    return [x for x in episodes if x.at_ms(Severity.HIGH) is not None]


def _rate(ground: Ground, episodes: Sequence[Raised], years: Vector) -> Vector:
    return ratio(ground.sum(ground.tally(episode.borrower for episode in episodes)) * THOUSAND, years)


def _days(ground: Ground, run: Run) -> NDArray[np.float64]:
    """How long each borrower was there."""
    days = np.zeros(len(ground.owner_of))
    for borrower, owner in ground.owner_of.items():
        days[owner] = (run.last_ms - run.first_ms[borrower]) / DAY_MS
    return days
