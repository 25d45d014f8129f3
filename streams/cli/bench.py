"""`ews bench`: this product beside its peers on this machine."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.bootstrap.bench import comparison
from streams.cli.bench_restart import restart
from streams.cli.options import Bootstrap
from streams.errors import Misconfigured
from streams.local.bench.comparison import Load
from streams.local.bench.figures import MEBIBYTE, Run, Summary, ratio, summaries
from streams.local.bench.variants import FAUST, LOOP, VARIANTS, Variant

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.command("restart")(restart)

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME[,...]", help="These variants (see --list).")]


@app.callback()
def bench(  # noqa: PLR0917 - Typer passes them by name
    ctx: typer.Context,
    events: Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Events (stock Faust: a tenth).")] = 300_000,
    borrowers: Annotated[int, typer.Option(min=1, max=1_000_000, help="Borrowers of the three rules' job.")] = 10_000,
    rounds: Annotated[int, typer.Option(min=1, max=20, help="Rounds; the medians are shown.")] = 3,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of each topic.")] = 4,
    only: Only = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the variants and end.")] = False,
    bootstrap: Bootstrap = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")] = None,
) -> None:
    """Compare this product with its peers: the same job, on one broker, in one run.

    The job is three rules over JSON events with a state for each borrower, its changelog, and alerts. Each variant's
    alerts are compared with those of the bare rules. Starts a local broker unless one is named. Machines are noisy:
    trust the ratios, not the figures.

    Example:
        ews bench --rounds 3 --json bench.json
        ews bench --only product,loop-once --events 100000
    """
    if ctx.invoked_subcommand is not None:
        return
    chosen = _chosen(only)
    if list_:
        Console().print(_listed(chosen))
        return
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # What matters is an error of ours.
    console = Console(stderr=True)
    with comparison(Load(events, borrowers, rounds, partitions), console.print, bootstrap) as compared:
        able = compared.prepare(chosen)
        runs = list(compared.rounds(able))
    results = summaries(runs, [variant.key for variant in able])
    if json is not None:
        json.write_bytes(orjson.dumps(_document(runs, results, compared.left_out), option=orjson.OPT_INDENT_2))
    Console().print(_table(results))
    for key, reason in compared.left_out.items():
        console.print(f"{key} was left out: {reason}")
    if not all(run.verdict.right for run in runs if _variant(run.variant).guarantee == "exactly once"):
        raise typer.Exit(1)


def _chosen(only: list[str] | None) -> list[Variant]:
    names = [name.strip() for text in only or [] for name in text.split(",")]
    known = {variant.key for variant in VARIANTS}
    if unknown := [name for name in names if name not in known]:
        raise Misconfigured(f"there is no variant {', '.join(unknown)}: `ews bench --list` names them")
    return [variant for variant in VARIANTS if not names or variant.key in names]


def _listed(variants: list[Variant]) -> Table:
    table = Table("name", "system", "guarantee")
    for variant in variants:
        table.add_row(variant.key, variant.title, variant.guarantee)
    return table


def _variant(key: str) -> Variant:
    return next(variant for variant in VARIANTS if variant.key == key)


def _table(results: list[Summary]) -> Table:
    table = Table("variant", "guarantee", "events/s", "x Faust", "x loop", "CPU s per million", "MiB", "alerts")
    for result in results:
        variant = _variant(result.variant)
        table.add_row(
            variant.title,
            variant.guarantee,
            f"{result.rate:,.0f}",
            _times(ratio(results, result.variant, FAUST)),
            _times(ratio(results, result.variant, LOOP)),
            f"{result.cpu_seconds_per_million:.1f}",
            f"{result.memory_bytes / MEBIBYTE:,.0f}",
            "right" if result.right else "WRONG",
        )
    return table


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _document(runs: list[Run], results: list[Summary], left_out: dict[str, str]) -> dict[str, object]:
    return {
        "medians": [result._asdict() for result in results],
        "runs": [run._asdict() | {"verdict": run.verdict._asdict(), "rate": run.rate} for run in runs],
        "left_out": left_out,
    }
