"""`ews bench`: this product beside its peers on this machine."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.bootstrap.bench import comparison
from streams.bootstrap.bench_engine import Asked, Cost, Sizes, measure
from streams.cli.bench_restart import restart
from streams.cli.options import Bootstrap
from streams.errors import Misconfigured
from streams.local.bench.comparison import Load
from streams.local.bench.figures import MEBIBYTE, Run, Summary, ratio, summaries
from streams.local.bench.variants import FAUST, LOOP, VARIANTS, Variant

app = typer.Typer(invoke_without_command=True, no_args_is_help=False)
app.command("restart")(restart)

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME[,...]", help="These variants (see --list).")]

Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")]


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
    json: Json = None,
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
    _write(json, _document(runs, results, compared.left_out))
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


def _write(file: Path | None, document: dict[str, object]) -> None:
    if file is not None:
        file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _document(runs: list[Run], results: list[Summary], left_out: dict[str, str]) -> dict[str, object]:
    return {
        "medians": [result._asdict() for result in results],
        "runs": [run._asdict() | {"verdict": run.verdict._asdict(), "rate": run.rate} for run in runs],
        "left_out": left_out,
    }


@app.command("engine")
def engine(
    borrowers: Annotated[str, typer.Option(metavar="N[,...]", help="Numbers of borrowers.")] = "10000,100000,1000000",
    days: Annotated[str, typer.Option(metavar="N[,...]", help="Lengths of history.")] = "30,365",
    turns: Annotated[int, typer.Option(min=1, max=100, help="Turns; the medians are shown.")] = 10,
    json: Json = None,
) -> None:
    """Measure what an event costs the engine, how large states are, and what they take in memory. CPU time, no Kafka.

    `us/event` and `load s` (from states in memory to a lane that is ready) are CPU time; `us/day` is what a day's ticks
    cost for each borrower. Borrowers beyond a thousand are copies of simulated ones, with memory of their own.

    Example:
        ews bench engine
        ews bench engine --borrowers 10000,100000 --days "" --turns 5
    """
    console = Console(stderr=True)
    asked = Asked(borrowers=_numbers(borrowers), days=_numbers(days), turns=turns)
    with tempfile.TemporaryDirectory(prefix="ews-bench-") as directory:
        found = measure(asked, Path(directory), console.print)
    _write(json, {name: [row._asdict() for row in rows] for name, rows in vars(found).items()})
    for costs in (found.by_borrowers, found.by_days):
        if costs:
            Console().print(_cost_table(costs))
    Console().print(_size_table(found.sizes))


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.replace("_", "")) for part in text.split(",") if part.strip())
    except ValueError:
        raise Misconfigured(f"{text} is not a list of whole numbers, as 10000,100000") from None


def _cost_table(costs: list[Cost]) -> Table:
    table = Table("borrowers", "days", "us/event", "x first", "us/day", "load s", "MiB", "peak MiB")
    for cost in costs:
        table.add_row(
            f"{cost.borrowers:,}",
            str(cost.days),
            f"{cost.event_us:.0f}",
            f"{cost.event_us / costs[0].event_us:.2f}",
            "" if cost.wake_up_us is None else f"{cost.wake_up_us:.0f}",
            f"{cost.load_seconds:.1f}",
            f"{cost.resident_bytes / MEBIBYTE:,.0f}",
            f"{cost.peak_bytes / MEBIBYTE:,.0f}",
        )
    return table


def _size_table(sizes: list[Sizes]) -> Table:
    table = Table("days", "borrowers", "state bytes, median", "p99", "largest")
    for size in sizes:
        table.add_row(*(f"{value:,}" for value in size))
    return table
