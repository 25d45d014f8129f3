"""`ews bench`: events a second on this machine, against stock Faust."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.bootstrap.bench import STOCK, Load, Run, measure, medians
from streams.cli.options import AsJson, Bootstrap


def bench(  # noqa: PLR0917 - Typer passes them by name
    events: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Events for our variants.")] = 300_000,
    stock_events: Annotated[int, typer.Option(min=1_000, max=1_000_000, help="Events for stock Faust.")] = 30_000,
    borrowers: Annotated[int, typer.Option(min=1, max=1_000_000, help="Borrowers of the reference job.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds; the medians are shown.")] = 3,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Measure events a second: three rules on stock Faust and on this product, and all detectors.

    Starts a local broker unless one is named. Machines are noisy: trust the ratios, not the figures.

    Example:
        ews bench --rounds 3
        ews bench --events 100000 --rounds 1 --json
    """
    console = Console(stderr=True)
    runs = measure(Load(events, stock_events, borrowers, rounds), console.print, bootstrap)
    if as_json:
        typer.echo(orjson.dumps({"medians": medians(runs), "runs": [run._asdict() for run in runs]}).decode())
    else:
        Console().print(_table(runs))


def _table(runs: list[Run]) -> Table:
    table = Table("variant", "events/s (median)", "x stock Faust", "runs")
    rates = medians(runs)
    for variant, rate in rates.items():
        all_runs = ", ".join(f"{run.rate:,.0f}" for run in runs if run.variant == variant)
        table.add_row(variant, f"{rate:,.0f}", f"{rate / rates[STOCK]:.1f}", all_runs)
    return table
