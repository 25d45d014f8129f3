"""Puts back-tests together: files, labels, the engine of each policy, where the report goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from streams import clock
from streams.bootstrap.policy import load_engine
from streams.engine.calendar import HOUR_MS, ms_of
from streams.engine.scorecard import score
from streams.errors import Misconfigured
from streams.history.backtest.figures import measure
from streams.history.backtest.ground import ground_of
from streams.history.backtest.labels import decisions, read_labels, tasks_of
from streams.history.backtest.report import HTML, JSON, SCORES, warnings, write_report
from streams.history.backtest.running import run_policy
from streams.history.backtest.tables import Results
from streams.history.files import STDIN, read_events
from streams.history.ordering import keep_apart

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

    from streams.engine.detector import BorrowerView
    from streams.engine.engine import Engine
    from streams.engine.loan import Loan
    from streams.history.backtest.ground import Ground, Question, Run
    from streams.history.backtest.labels import Decision
    from streams.history.backtest.running import Said
    from streams.history.files import FileEvent


class Backtested(NamedTuple):
    """What came of a back-test: the figures, the same for machines, and what to know before believing them."""

    ground: Ground
    results: Results
    answer: dict[str, Any]
    warnings: list[str]


def backtest_files(
    files: Sequence[Path | str],
    labels: Path,
    report: Path,
    question: Question,
    *,
    policy_file: Path | None = None,
    against: Path | None = None,
    live_from: datetime | None = None,
    progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
) -> Backtested:
    """Play the files with one policy, or with two, and write the report. Raises Misconfigured."""
    inputs = [Path(file) for file in files if str(file) != STDIN]
    if against is not None and len(inputs) < len(files):
        raise Misconfigured("two policies need the events twice, and standard input can be read once: give files")
    keep_apart([*inputs, labels], [report / name for name in (HTML, JSON, SCORES)])
    _make(report)
    rows = read_labels(labels, question.zone)
    tasks = tasks_of(rows, question.tasks)
    when = decisions((row for row in rows if row.task in tasks), question.zone)
    live_from_ms = None if live_from is None else ms_of(live_from)
    policies = [policy_file] if against is None else [policy_file, against]
    engines = [load_engine(file, live_from_ms) for file in policies]
    runs = [
        run_policy(
            engine, _lines(files), when, _points(engine), mode=question.mode, live_from_ms=live_from_ms,
            progress=progress,
        )
        for engine in engines
    ]  # fmt: skip
    if not any(row.borrower in runs[0].first_ms for row in rows):
        raise Misconfigured(f"{labels}: none of its borrowers is in the events; were they imported with other tokens?")
    ground = ground_of(question, rows, runs[0].first_ms)
    results = Results([measure(ground, run) for run in runs], _names(runs))
    answer = write_report(report, ground, runs, results)
    return Backtested(ground, results, answer, list(warnings(ground, runs)))


def _lines(files: Sequence[Path | str]) -> Iterator[FileEvent]:
    return read_events(files, latest_ms=clock.now_ms() + HOUR_MS)


def _make(report: Path) -> None:
    try:
        report.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"cannot make the folder {report}: {error.strerror or error}") from None


def _points(engine: Engine) -> Callable[[Decision, BorrowerView, Loan | None], Said]:
    """The score of the borrower, of the row's own loan, or of the account elsewhere that it names."""

    def points(decision: Decision, view: BorrowerView, loan: Loan | None) -> Said:
        return score(engine.policy.scorecard, view, loan, (decision.loan or "") if loan is None else "")

    return points


def _names(runs: Sequence[Run]) -> list[str]:
    """The policies' versions; told apart where both have the same."""
    names = [run.policy for run in runs]
    return names if len(set(names)) == len(names) else [f"{name} ({at})" for at, name in enumerate(names, start=1)]
