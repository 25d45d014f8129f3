"""`ews bench restart` and `ews bench recovery`: how long a worker is away, and how fast its states come back."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.bootstrap.bench_recovery import PLAIN, Size, Speed, measure_recovery, speeds
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


def recovery(
    borrowers: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="States in the changelog.")] = 1_000_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds; the medians are shown.")] = 3,
    bootstrap: Bootstrap = None,
    as_json: AsJson = False,
) -> None:
    """Measure how fast states come back from the changelog and from checkpoints, beside a plain aiokafka loop.

    A million states take about 2 GB on the broker's disk and 6 GB of memory.

    Example:
        ews bench recovery
        ews bench recovery --borrowers 100000 --rounds 1 --json
    """
    console = Console(stderr=True)
    found = speeds(measure_recovery(Size(borrowers, rounds), console.print, bootstrap))
    if as_json:
        typer.echo(orjson.dumps([speed._asdict() for speed in found]).decode())
    else:
        Console().print(_speed_table(found))


def _speed_table(found: list[Speed]) -> Table:
    table = Table("what", "states", "median s", "states/s", "x plain aiokafka", "median CPU s")
    plain = next(speed.a_second for speed in found if speed.what == PLAIN)
    for speed in found:
        table.add_row(
            speed.what,
            f"{speed.states:,}",
            f"{speed.seconds:.2f}",
            f"{speed.a_second:,.0f}",
            f"{speed.a_second / plain:.2f}",
            f"{speed.cpu_seconds:.2f}",
        )
    return table
