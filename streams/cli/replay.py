"""`ews replay`: the same engine over files, without Kafka."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.bootstrap.history import replay_files
from streams.cli.options import AsJson
from streams.engine.calendar import moment_of

if TYPE_CHECKING:
    from streams.history.replay import Replayed

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


def replay(  # noqa: PLR0917 - Typer passes them by name
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Event files; .gz too, - for standard input.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(help="Write the alerts there, as JSON lines.")] = None,
    episodes: Annotated[Path | None, typer.Option(help="Write where each episode stood in the end.")] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Write why and where events were rejected.")] = None,
    policy: Annotated[Path | None, typer.Option(help="Settings of the detectors (TOML).")] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Where time ends (UTC), else at the last event.")
    ] = None,
    live_from: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Earlier events only warm the measures (UTC).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the engine over event files and write the same alerts as a worker would.

    Events are taken in the order in which they became known; time ticks once an hour of event time.

    Example:
        ews replay events.jsonl --alerts alerts.jsonl --episodes episodes.jsonl
        ews replay 2016.jsonl.gz 2017.jsonl.gz --until 2017-07-01 --alerts alerts.jsonl
    """
    if not files:
        raise typer.BadParameter("name at least one event file, or - for standard input")
    began = perf_counter()
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} lines, {task.fields[now]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replay", total=None, now="")

        def advance(lines: int, now_ms: int) -> None:
            progress.update(task, advance=lines, now=moment_of(now_ms).date().isoformat())

        done = replay_files(
            files,
            alerts=alerts,
            episodes=episodes,
            dead_letters=dead_letters,
            policy_file=policy,
            until=_in_utc(until),
            live_from=_in_utc(live_from),
            progress=advance,
        )
    told = _told(done, perf_counter() - began)
    typer.echo(orjson.dumps(told).decode() if as_json else _as_text(told))


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _told(done: Replayed, seconds: float) -> dict[str, Any]:
    total = done.events.total()
    return {
        "events": dict(sorted(done.events.items())),
        "alerts": {" ".join(key): count for key, count in sorted(done.alerts.items())},
        "dead_letters": dict(sorted(done.dead_letters.items())),
        "borrowers": done.borrowers,
        "after_until": done.after_until,
        "until": moment_of(done.now_ms).isoformat(),
        "seconds": round(seconds, 2),
        "events_per_second": round(total / seconds) if seconds else 0,
    }


def _as_text(told: dict[str, Any]) -> str:
    lines = [
        f"{sum(told['events'].values()):,} events of {told['borrowers']:,} borrowers up to {told['until']} "
        f"in {told['seconds']} s ({told['events_per_second']:,} a second)"
    ]
    for title in ("events", "alerts", "dead_letters"):
        lines.append(f"{title.replace('_', ' ')}:")
        lines += [f"  {count:>10,}  {name}" for name, count in told[title].items()] or ["           none"]
    return "\n".join(lines)
