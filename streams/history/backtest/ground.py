"""What is common to all figures of a back-test: who is measured, how, and what a run of a policy gave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from schemas.alerts import Mode, Severity
from streams.history.backtest.labels import tasks_of
from streams.history.backtest.resample import RESAMPLES, SEED, Resamples

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from streams.history.backtest.labels import Decision, Label
    from streams.history.backtest.raised import Raised
    from streams.history.backtest.resample import Vector

Path = tuple[str, ...]
Vectors = dict[Path, "Vector"]
"""Statistics by where they stand in the report."""
HORIZON_DAYS = 180
RECALLS = (0.25, 0.42, 0.60)


class Measured(NamedTuple):
    """What was measured of one run: statistics with their resamples, and what has none (counts, curves)."""

    vectors: Vectors
    plain: dict[Path, Any]


class Question(NamedTuple):
    """How is measured."""

    tasks: Sequence[str] = ()
    horizon_days: int = HORIZON_DAYS
    severity: Severity = Severity.WATCH
    mode: Mode = Mode.LIVE
    recalls: Sequence[float] = RECALLS
    zone: str = "UTC"
    resamples: int = RESAMPLES
    seed: int = SEED


class Scored(NamedTuple):
    """A decision and what a policy said then."""

    decision: Decision
    score: float
    tier: str


class Run(NamedTuple):
    """What one policy gave on the files."""

    policy: str
    scored: Sequence[Scored]
    episodes: Sequence[Raised]
    first_ms: Mapping[str, int]
    last_ms: int
    ended_ms: Mapping[tuple[str, str], int]
    counts: Mapping[tuple[str, ...], int]


@dataclass(frozen=True)
class Ground:
    """The borrowers that are in the events, their labels, and the resamples that all figures share."""

    question: Question
    labels: Sequence[Label]
    """Every row of the file, of borrowers that are in the events."""
    owner_of: Mapping[str, int]
    resamples: Resamples
    tasks: Sequence[str]
    """Those that are measured."""
    unknown: Sequence[str]
    """Borrowers that have labels and no event."""

    def owners(self, borrowers: Iterable[str]) -> NDArray[np.int64]:
        """The numbers of borrowers."""
        return np.asarray([self.owner_of[borrower] for borrower in borrowers], dtype=np.int64)

    def tally(self, borrowers: Iterable[str]) -> NDArray[np.float64]:
        """How often each borrower is named."""
        return np.bincount(self.owners(borrowers), minlength=len(self.owner_of)).astype(np.float64)

    def sum(self, values: NDArray[np.float64]) -> Vector:
        """What borrowers have, summed in each resample."""
        return self.resamples.sums(values)


def ground_of(question: Question, labels: Sequence[Label], first_ms: Mapping[str, int]) -> Ground:
    """Who is measured: the borrowers that are in the events."""
    borrowers = sorted(first_ms)
    unknown = sorted({label.borrower for label in labels} - first_ms.keys())
    resamples = Resamples(len(borrowers), question.resamples, question.seed)
    known = [label for label in labels if label.borrower in first_ms]
    owner_of = {name: at for at, name in enumerate(borrowers)}
    return Ground(question, known, owner_of, resamples, tasks_of(labels, question.tasks), unknown)
