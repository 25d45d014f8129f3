"""`ews backtest`: what a policy would have said on labelled history, and what that would have been worth."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from schemas.alerts import Mode, Severity
from streams.bootstrap.backtest import backtest_files
from streams.cli.options import AsJson, PolicyFile
from streams.cli.tables import print_json, print_rows
from streams.engine.calendar import moment_of
from streams.history.backtest.ground import HORIZON_DAYS, RECALLS, Question
from streams.history.backtest.resample import RESAMPLES, SEED
from streams.history.backtest.tables import alert_table, score_table, segment_tables, volume_tables
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.bootstrap.backtest import Backtested
    from streams.history.backtest.tables import Table

RECALLS_TEXT = ",".join(f"{recall:g}" for recall in RECALLS)
MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


def backtest(  # noqa: PLR0917 - Typer passes them by name
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Event files; .gz too, - for standard input.")],
    labels: Annotated[Path, typer.Option("--labels", metavar="FILE", help="What became of whom (CSV; .gz too).")],
    report: Annotated[Path, typer.Option("--report", metavar="DIR", help="Folder of the report; made if need be.")],
    policy: PolicyFile = None,
    against: Annotated[
        Path | None, typer.Option("--against", metavar="FILE", help="Another policy, to hold the first against.")
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option("--task", metavar="TASK", help="Only this task; may be said more than once.")
    ] = None,
    horizon_days: Annotated[
        int, typer.Option(min=1, max=3_650, help="How long before an outcome an alert counts.")
    ] = HORIZON_DAYS,
    severity: Annotated[Severity, typer.Option(help="The least severity of an alert that counts.")] = Severity.WATCH,
    shadow: Annotated[bool, typer.Option("--shadow", help="Measure the alerts of detectors on trial instead.")] = False,
    recalls: Annotated[str, typer.Option(metavar="R,R,...", help="Recalls at which precision is told.")] = RECALLS_TEXT,
    zone: Annotated[
        str, typer.Option(metavar="ZONE", help="Where times of labels without an offset are local.")
    ] = "UTC",
    live_from: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Alerts of earlier events do not count (UTC).")
    ] = None,
    resamples: Annotated[
        int, typer.Option(min=0, max=100_000, help="Resamples of the borrowers, for the intervals.")
    ] = RESAMPLES,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same intervals.")] = SEED,
    as_json: AsJson = False,
) -> None:
    """Run a policy over labelled history: precision, recall, lead time, scores, and what it would have cost.

    Every decision uses only what was known at its time. The report's folder gets report.html, report.json and
    scores.csv. With --against two policies stand side by side, with the difference of each figure.

    Example:
        ews backtest events.jsonl --labels labels.csv --report out
        ews backtest events.jsonl --labels labels.csv --policy new.toml --against old.toml --report out
        ews backtest loans.jsonl.gz --labels labels.csv.gz --task late7_at_open --zone Africa/Lagos --report out
    """
    question = Question(
        tasks or (), horizon_days, severity, Mode.SHADOW if shadow else Mode.LIVE, _recalls(recalls), zone, resamples,
        seed,
    )  # fmt: skip
    live = live_from.replace(tzinfo=UTC) if live_from is not None and live_from.tzinfo is None else live_from
    with _progress() as advance:
        done = backtest_files(
            files,
            labels,
            report,
            question,
            policy_file=load(policy_file=policy).policy_file,
            against=against,
            live_from=live,
            progress=advance,
        )
    for warning in done.warnings:
        typer.echo(f"ews: {warning}", err=True)
    if as_json:
        print_json(done.answer)
    else:
        _tell(done, report)


def _recalls(text: str) -> tuple[float, ...]:
    try:
        recalls = tuple(float(part) for part in text.split(","))
    except ValueError:
        recalls = ()
    if not recalls or not all(0 < recall <= 1 for recall in recalls):
        raise typer.BadParameter(f"{text!r} is no list of shares such as 0.25,0.5", param_hint="--recalls")
    return recalls


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """What is done, on standard error while a person watches it."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} records, {task.fields[now]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("backtest", total=None, now="")
        yield lambda count, now_ms: progress.update(task, advance=count, now=moment_of(now_ms).date().isoformat())


def _tell(done: Backtested, report: Path) -> None:
    for task in done.ground.tasks:
        for table in (score_table(done.results, task), alert_table(done.results, task)):
            _show(table, f"{task}: {table.title.lower()}")
    for table in (*volume_tables(done.results), *segment_tables(done.results)):
        _show(table, table.title)
    typer.echo(f"report: {report / 'report.html'}")


def _show(table: Table, title: str) -> None:
    columns = [name if at == 0 else f"{name}#" for at, name in enumerate(table.columns)]
    rows = [[f"{cell.text} {cell.interval}".strip() for cell in row] for row in table.rows]
    print_rows(columns, rows, title)
