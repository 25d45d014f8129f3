"""`ews bench`: this product beside its peers on this machine, over several workers, and the cost of its engine."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.bootstrap.bench import comparison
from streams.bootstrap.bench_engine import Asked, measure
from streams.cli import bench_tables as tables
from streams.cli.bench_restart import recovery, restart
from streams.cli.options import Bootstrap
from streams.errors import Misconfigured
from streams.local.bench.comparison import Comparison, Load
from streams.local.bench.figures import Run, Summary, summaries
from streams.local.bench.latency import Latency, Pace
from streams.local.bench.paces import PACED, paces
from streams.local.bench.scale import scale, scaled
from streams.local.bench.variants import PRODUCT, PRODUCT_ALL, VARIANTS, Variant

app = typer.Typer(invoke_without_command=True)
app.command("restart")(restart)
app.command("recovery")(recovery)

QUICK = Load(events=60_000, borrowers=2_000, rounds=1)
QUICK_PACE_SECONDS = 4.0
WARM_SHARE = 0.5
"""Of the seconds that a pace is kept, so many more before them do not count."""
FAILED = 1

Only = Annotated[list[str] | None, typer.Option("--only", metavar="NAME[,...]", help="These variants (see --list).")]
Json = Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write all figures as JSON.")]
Events = Annotated[int, typer.Option(min=1_000, max=10_000_000, help="Events (stock Faust: a tenth).")]
Borrowers = Annotated[int, typer.Option(min=100, max=1_000_000, help="Borrowers of the three rules' job.")]
Rounds = Annotated[int, typer.Option(min=1, max=20, help="Rounds; the medians are shown.")]
Partitions = Annotated[int, typer.Option(min=1, max=64, help="Partitions of each topic.")]
PaceSeconds = Annotated[
    float, typer.Option(min=0, max=600, help="Seconds that each latency is measured for; 0 leaves latencies out.")
]


@app.callback()
def bench(  # noqa: PLR0917 - Typer passes them by name
    ctx: typer.Context,
    events: Events = 300_000,
    borrowers: Borrowers = 10_000,
    rounds: Rounds = 3,
    partitions: Partitions = 4,
    pace_seconds: PaceSeconds = 10.0,
    quick: Annotated[bool, typer.Option("--quick", help="About two minutes: one round of few events.")] = False,
    only: Only = None,
    list_: Annotated[bool, typer.Option("--list", help="Name the variants and end.")] = False,
    bootstrap: Bootstrap = None,
    json: Json = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw them (.png or .svg).")] = None,
) -> None:
    """Compare this product with its peers: the same job, on one broker, in one run.

    The job is three rules over JSON events with a state for each borrower, its changelog, and alerts. Each variant's
    alerts are compared with those of the bare rules. Then the delay from event to alert is measured at steady rates.
    Starts a local broker unless one is named. Machines are noisy: trust the ratios, not the figures.

    Example:
        ews bench --json bench.json --plot bench.png
        ews bench --quick
        ews bench --only product,loop-once --events 100000 --pace-seconds 0
    """
    if ctx.invoked_subcommand is not None:
        return
    chosen = _chosen(only)
    if list_:
        Console().print(tables.listed(chosen))
        return
    _require_files(json, plot)
    _require_drawing(plot)
    load = QUICK if quick else Load(events, borrowers, rounds, partitions)
    seconds = min(pace_seconds, QUICK_PACE_SECONDS) if quick else pace_seconds
    with _compared(load, bootstrap, load.rounds * len(chosen)) as compared:
        able = compared.prepare(chosen)
        runs = list(compared.rounds(able))
        results = summaries(runs, [variant.key for variant in able])
        latencies = _latencies(compared, able, results, seconds, own=not quick) if seconds else []
    _write(json, _document(load, runs, results, latencies, compared.left_out))
    if plot is not None:
        from streams.local.bench.plot import draw  # noqa: PLC0415 - matplotlib is an extra

        draw(plot, results, latencies)
    _show(results, latencies, compared.left_out)
    verdicts = [(run.variant, run.verdict) for run in runs] + [(one.variant, one.verdict) for one in latencies]
    if not all(_holds(key, verdict.right) for key, verdict in verdicts):
        raise typer.Exit(FAILED)


@app.command("scale")
def scale_(  # noqa: PLR0917 - Typer passes them by name
    workers: Annotated[str, typer.Option(metavar="N[,...]", help="Numbers of workers.")] = "1,2,4",
    events: Events = 60_000,
    borrowers: Borrowers = 10_000,
    rounds: Rounds = 3,
    partitions: Partitions = 4,
    rules: Annotated[bool, typer.Option("--rules", help="The three rules in place of all detectors.")] = False,
    bootstrap: Bootstrap = None,
    json: Json = None,
) -> None:
    """Measure the product with several workers on the same topics.

    More workers than this machine has cores, less what the broker needs, bring nothing: look at CPU time an event,
    which should not rise.

    Example:
        ews bench scale
        ews bench scale --workers 1,2 --rules --events 300000
    """
    counts = _numbers(workers)
    if not counts or min(counts) < 1 or max(counts) > partitions:
        raise Misconfigured(f"{workers} workers: from 1 to as many as there are partitions ({partitions})")
    _require_files(json)
    [variant] = _chosen([PRODUCT if rules else PRODUCT_ALL])
    with _compared(Load(events, borrowers, rounds, partitions), bootstrap, rounds * len(counts)) as compared:
        compared.prepare([variant])
        runs = list(scale(compared, variant, counts))
    results = scaled(runs, counts)
    _write(json, {"cores": os.cpu_count(), "medians": [result._asdict() for result in results]})
    Console().print(tables.scaling(results))
    Console().print(f"This machine has {os.cpu_count()} cores, for the broker and the load too.")
    if not all(result.right for result in results):
        raise typer.Exit(FAILED)


@app.command("engine")
def engine(
    borrowers: Annotated[str, typer.Option(metavar="N[,...]", help="Numbers of borrowers.")] = "10000,100000,1000000",
    days: Annotated[str, typer.Option(metavar="N[,...]", help="Lengths of history.")] = "30,365",
    turns: Annotated[int, typer.Option(min=1, max=100, help="Turns; the medians are shown.")] = 10,
    lives: Annotated[int, typer.Option(min=10, max=100_000, help="Borrowers that are simulated.")] = 1_000,
    json: Json = None,
) -> None:
    """Measure what an event costs the engine, how large states are, and what they take in memory. CPU time, no Kafka.

    `us/event` and `load s` (from states in memory to a lane that is ready) are CPU time; `us/day` is what a day's ticks
    cost for each borrower. Borrowers beyond `--lives` are copies of simulated ones, with memory of their own.

    Example:
        ews bench engine
        ews bench engine --borrowers 10000,100000 --days "" --turns 5
    """
    _require_files(json)
    asked = Asked(borrowers=_numbers(borrowers), days=_numbers(days), turns=turns, lives=lives)
    with tempfile.TemporaryDirectory(prefix="ews-bench-") as directory, _progress(None) as (say, _):
        found = measure(asked, Path(directory), say)
    _write(json, {name: [row._asdict() for row in rows] for name, rows in vars(found).items()})
    for costs in (found.by_borrowers, found.by_days):
        if costs:
            Console().print(tables.costs(costs))
    Console().print(tables.sizes(found.sizes))


def _chosen(only: list[str] | None) -> list[Variant]:
    names = [name.strip() for text in only or [] for name in text.split(",")]
    known = {variant.key for variant in VARIANTS}
    if unknown := [name for name in names if name not in known]:
        raise Misconfigured(f"there is no variant {', '.join(unknown)}: `ews bench --list` names them")
    return [variant for variant in VARIANTS if not names or variant.key in names]


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part.replace("_", "")) for part in text.split(",") if part.strip())
    except ValueError:
        raise Misconfigured(f"{text} is not a list of whole numbers, as 10000,100000") from None


def _require_files(*files: Path | None) -> None:
    """Before minutes of work, not after them."""
    for file in files:
        if file is not None and not (file.parent.is_dir() and os.access(file.parent, os.W_OK)):
            raise Misconfigured(f"{file} cannot be written: there is no writable directory {file.parent}")


def _require_drawing(plot: Path | None) -> None:
    if plot is None:
        return
    if importlib.util.find_spec("matplotlib") is None:
        raise Misconfigured("--plot needs matplotlib: install delinquency-early-warning[backtest]")
    if plot.suffix not in {".png", ".svg"}:
        raise Misconfigured(f"--plot {plot}: the name must end in .png or .svg")


@contextlib.contextmanager
def _compared(load: Load, bootstrap: str | None, steps: int) -> Iterator[Comparison]:
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # What goes wrong with Kafka is told by us.
    signal.signal(signal.SIGTERM, _stop)
    with _progress(steps) as (say, step), comparison(load, say, bootstrap) as compared:
        compared.done = step
        yield compared


def _stop(number: int, _frame: object) -> None:
    """Leaves as after an error, so that processes and directories go too."""
    raise SystemExit(128 + number)


@contextlib.contextmanager
def _progress(steps: int | None) -> Iterator[tuple[Callable[[str], None], Callable[[], None]]]:
    """Shows the step that is under way: a bar for a person, lines for a file."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield console.print, lambda: None
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("starting", total=steps)
        yield lambda text: bar.update(task, description=text), lambda: bar.advance(task)


def _latencies(
    compared: Comparison, able: list[Variant], results: list[Summary], seconds: float, *, own: bool
) -> list[Latency]:
    by_key = {variant.key: variant for variant in able if variant.key in PACED}
    return [
        compared.latency(by_key[key], Pace(rate, seconds, seconds * WARM_SHARE))
        for key, rate in paces(results, own=own)
    ]


def _holds(key: str, right: bool) -> bool:
    return right or tables.variant_of(key).guarantee != "exactly once"


def _write(file: Path | None, document: dict[str, Any]) -> None:
    if file is not None:
        file.write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")


def _document(
    load: Load, runs: list[Run], results: list[Summary], latencies: list[Latency], left_out: dict[str, str]
) -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "load": load._asdict(),
        "medians": [result._asdict() for result in results],
        "runs": [run._asdict() | {"verdict": run.verdict._asdict(), "rate": run.rate} for run in runs],
        "latencies": [one._asdict() | {"verdict": one.verdict._asdict()} for one in latencies],
        "left_out": left_out,
    }


def _show(results: list[Summary], latencies: list[Latency], left_out: dict[str, str]) -> None:
    Console().print(tables.rates(results))
    if latencies:
        Console().print(tables.latencies(latencies))
    for key, reason in left_out.items():
        Console(stderr=True).print(f"{key} was left out: {reason}")
