"""What was known at each decision: every characteristic, every open episode, and the score of the policy as it is."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xxhash

from schemas.alerts import Severity
from streams.engine.characteristics import CHARACTERISTICS
from streams.engine.scorecard import COMPOSITE, score, worst_episodes
from streams.history.backtest.asof import Playback
from streams.history.backtest.ground import Scored
from streams.history.backtest.monthly import OPEN, RIGHT, horizon_months, months_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from streams.engine.detector import BorrowerView
    from streams.engine.engine import Engine
    from streams.engine.loan import Loan
    from streams.engine.scorecard import Scorecard
    from streams.history.backtest.ground import Question
    from streams.history.backtest.labels import Decision
    from streams.history.files import FileEvent

EPISODE = "episode."
HASHES = 1 << 32


class Collected(NamedTuple):
    """The decisions in the order in which they were made, a row of numbers for each."""

    names: Sequence[str]
    values: NDArray[np.float64]
    """A column for each name; not a number where it was not known."""
    before: Sequence[Scored]
    first_ms: Mapping[str, int]
    last_ms: int
    ended_ms: Mapping[tuple[str, str], int]

    @property
    def decisions(self) -> list[Decision]:
        """What was decided on."""
        return [scored.decision for scored in self.before]


def names_of(engine: Engine) -> list[str]:
    """What is noted: the characteristics, and the severity of each detector's open episode."""
    episodes = [f"{EPISODE}{detector.key}" for detector in engine.detectors if detector.key != COMPOSITE]
    return [*CHARACTERISTICS, *sorted(episodes)]


def collect(
    engine: Engine,
    card: Scorecard,
    lines: Iterable[FileEvent],
    decisions: Iterable[Decision],
    progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
) -> Collected:
    """Play the events once. The engine must keep the measures of all characteristics; `card` is the one to beat."""
    names = names_of(engine)
    values, before = array("d"), []
    playback = Playback(engine, progress=progress)
    for decision, view, loan in playback.decide(lines, decisions):
        line = "" if loan is not None else decision.loan or ""
        values.extend(numbers(names, view, loan, line))
        said = score(card, view, loan, line)
        before.append(Scored(decision, float(said.points), said.tier))
    table = np.frombuffer(values, dtype=np.float64).reshape(len(before), len(names)) if before else np.empty((0, 0))
    return Collected(names, table, before, playback.first_ms, playback.last_ms, playback.ended_ms)


def numbers(names: Iterable[str], view: BorrowerView, loan: Loan | None, line: str) -> list[float]:
    """The characteristics as numbers. An episode counts 1 (info) to 4 (critical), 0 where none is open."""
    worst = worst_episodes(view)
    found = []
    for name in names:
        if name.startswith(EPISODE):
            episode = worst.get(name.removeprefix(EPISODE))
            found.append(0.0 if episode is None else Severity(episode.severity).rank + 1.0)
        else:
            value = CHARACTERISTICS[name](view, loan, line)
            found.append(np.nan if value is None else float(value))
    return found


def truth(collected: Collected, question: Question) -> NDArray[np.int8]:
    """Whether each decision was followed by what its label says (1) or not (0); -1 where that is not known."""
    decisions = collected.decisions
    found = np.asarray([decision.label.label for decision in decisions], dtype=np.int8)
    numbered = [(decision, float(row)) for row, decision in enumerate(decisions) if decision.month is not None]
    if not numbered:
        return found
    owners = {borrower: number for number, borrower in enumerate(sorted({d.borrower for d in decisions}))}
    months = horizon_months(question.horizon_days)
    table = months_of(numbered, owners, collected.ended_ms, months, question.zone)
    known = ~np.isnan(table.scores)
    says = table.truth[known]
    found[table.scores[known].astype(np.int64)] = np.where(says == OPEN, -1, says == RIGHT)
    return found


def part_of(borrower: str, seed: int) -> float:
    """Where a borrower stands between 0 and 1, by a hash: the same borrower is always in the same part."""
    return float(xxhash.xxh32_intdigest(borrower.encode(), seed) / HASHES)
