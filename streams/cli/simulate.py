"""`ews simulate`: a made-up portfolio's events and labels."""

from __future__ import annotations

import dataclasses
import json
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from streams.cli.options import AsJson
from streams.history.ordering import keep_apart
from streams.history.simulator import Plan, Summary
from streams.history.simulator import simulate as run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


DEFAULTS = Plan()


def simulate(  # noqa: PLR0917 - Typer passes them by name
    out: Annotated[Path, typer.Option("--out", help="Events, as JSON lines; compressed if it ends in .gz.")],
    labels: Annotated[Path | None, typer.Option("--labels", help="What is true: when trouble began (CSV).")] = None,
    borrowers: Annotated[int, typer.Option(min=1, max=10_000_000, help="How many borrowers.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How many days.")] = 180,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same bytes.")] = 1,
    start: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The first day.")] = datetime(2025, 1, 1),  # noqa: DTZ001 - only its date is used
    late: Annotated[
        float, typer.Option(min=0.0, max=0.2, help="Share known days after they occurred.")
    ] = DEFAULTS.late,
    out_of_order: Annotated[
        float, typer.Option(min=0.0, max=0.2, help="Share known minutes after, behind newer ones.")
    ] = DEFAULTS.out_of_order,
    duplicates: Annotated[float, typer.Option(min=0.0, max=0.2, help="Share sent twice.")] = DEFAULTS.duplicates,
    malformed: Annotated[
        float, typer.Option(min=0.0, max=0.2, help="Malformed lines for each good one.")
    ] = DEFAULTS.malformed,
    rare: Annotated[
        int,
        typer.Option(min=0, max=100_000, help="So many borrowers more with something rare: broken mandates, friends."),
    ] = 0,
    processes: Annotated[int | None, typer.Option(min=1, help="Processes at once (default: one a core).")] = None,
    as_json: AsJson = False,
) -> None:
    """Make up a portfolio: salaries, spending, loans, bureau life, and seeded trouble of each kind.

    The events are in the order in which they became known. Every borrower is drawn from the seed alone, so the same
    command gives the same bytes.

    Example:
        ews simulate --borrowers 1000 --days 180 --seed 7 --out events.jsonl --labels labels.csv
        ews simulate --borrowers 50 --days 30 --out small.jsonl.gz --malformed 0.01 --json
    """
    keep_apart((), (out, labels))
    plan = Plan(borrowers, days, seed, start.date(), late, out_of_order, duplicates, malformed, rare)
    with _progress(plan.people) as advance:
        summary = run(plan, out, labels, progress=advance, processes=processes)
    if as_json:
        typer.echo(json.dumps({**dataclasses.asdict(summary), "lines": summary.lines, "out": str(out)}))
    else:
        _tell(summary, out)


@contextmanager
def _progress(borrowers: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error while a person watches it."""
    console = Console(stderr=True)
    columns = (TextColumn("borrowers"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=borrowers)
        yield lambda done: progress.advance(task, done)


def _tell(summary: Summary, out: Path) -> None:
    rates = summary.overdue_rate.values()
    typer.echo(
        f"{summary.lines:,} lines in {out}: {summary.borrowers:,} borrowers, {summary.days} days, seed {summary.seed}"
    )
    typer.echo(
        f"overdue rate {summary.mean_overdue_rate:.1%} ({min(rates):.1%} to {max(rates):.1%}), "
        f"{summary.loans:,} loans, {summary.loans_missed:,} of them past due at some time, "
        f"{summary.transactions_a_month} transactions a borrower and month"
    )
    for title, numbers in (("events", summary.events), ("untidy", summary.untidy), ("trouble", summary.troubles)):
        typer.echo(f"{title}:")
        for name, number in sorted(numbers.items(), key=lambda item: -item[1]):
            typer.echo(f"  {number:>10,}  {name}")
