"""`ews bench restart`: how long a worker is away."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.bootstrap.bench_restart import Spread, Trial, measure_restarts, spreads
from streams.cli.options import AsJson, Bootstrap


def restart(  # noqa: PLR0917 - Typer passes them by name
    borrowers: Annotated[int, typer.Option(min=10, max=1_000_000, help="Borrowers with a state.")] = 10_000,
    kills: Annotated[int, typer.Option(min=0, max=1_000, help="Times SIGKILL.")] = 20,
    stops: Annotated[int, typer.Option(min=0, max=1_000, help="Planned restarts.")] = 5,
    supervise: Annotated[bool, typer.Option(help="With `ews worker --supervise`, or started anew each time.")] = True,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Measure how long a worker is away: from SIGKILL, or a planned restart, to its first newly committed drain.

    With a supervisor the kill hits the process that works, and a planned restart is SIGHUP. Linux only.

    Example:
        ews bench restart --borrowers 10000 --kills 20
        ews bench restart --no-supervise --kills 5 --json
    """
    console = Console(stderr=True)
    found = spreads(measure_restarts(Trial(borrowers, kills, stops, supervise), console.print, bootstrap))
    if as_json:
        typer.echo(orjson.dumps([spread._asdict() for spread in found]).decode())
    else:
        Console().print(_table(found))


def _table(found: list[Spread]) -> Table:
    table = Table("worker", "times", "median s", "max s", "median CPU s", "each")
    for spread in found:
        each = ", ".join(f"{seconds:.2f}" for seconds in spread.seconds)
        table.add_row(
            spread.how, str(spread.times), f"{spread.median:.2f}", f"{spread.max:.2f}", f"{spread.cpu_median:.2f}", each
        )
    return table
