"""One policy on the files: its alerts as episodes, and its score at each decision."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from streams.engine.portfolio.judging import rules_of
from streams.history.backtest.asof import Playback, place_of
from streams.history.backtest.ground import Run, Scored
from streams.history.backtest.raised import Gathered
from streams.history.portfolio import SecondHop

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from schemas.alerts import Mode
    from streams.engine.detector import BorrowerView
    from streams.engine.engine import Engine
    from streams.engine.loan import Loan
    from streams.history.backtest.labels import Decision
    from streams.history.files import FileEvent


class Said(Protocol):
    """What a scorecard says."""

    @property
    def points(self) -> float:
        """More are more risk."""

    @property
    def tier(self) -> str:
        """The rung that the points reach."""


def run_policy(
    engine: Engine,
    lines: Iterable[FileEvent],
    decisions: Sequence[Decision],
    score: Callable[[Decision, BorrowerView, Loan | None], Said],
    *,
    mode: Mode,
    live_from_ms: int | None = None,
    progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
) -> Run:
    """Play the files once, scoring each decision as of its moment; the scores are in the order of `place_of`."""
    gathered = Gathered(mode)
    second = SecondHop(rules_of(engine.policy.version, engine.detectors), live_from_ms, gathered.alert)
    playback = Playback(engine, gathered.alert, progress, live_from_ms, second.take)
    scored = []
    for decision, view, loan in playback.decide(lines, sorted(decisions, key=place_of)):
        said = score(decision, view, loan)
        scored.append(Scored(decision, float(said.points), said.tier))
    return Run(
        engine.policy.version, scored, gathered.episodes(), playback.first_ms, playback.last_ms, playback.ended_ms,
        playback.counts,
    )  # fmt: skip
