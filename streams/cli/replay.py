"""`ews replay`: the same engine over files, without Kafka."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.bootstrap.history import opened, replay_files
from streams.bootstrap.order import repeat_order
from streams.cli.options import AsJson, Bootstrap, PolicyFile, TopicPrefix
from streams.engine.calendar import moment_of
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.history.replay import Replayed
    from streams.settings import Settings

MOMENTS = ["%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S%z"]


def replay(  # noqa: PLR0917 - Typer passes them by name
    files: Annotated[
        list[str] | None, typer.Argument(metavar="FILE...", help="Event files; .gz too, - for standard input.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(help="Write the alerts there, as JSON lines.")] = None,
    episodes: Annotated[Path | None, typer.Option(help="Write where each episode stood in the end.")] = None,
    portfolio: Annotated[
        Path | None, typer.Option(help="Write the alerts of cohorts and shared contacts (the second stage).")
    ] = None,
    dead_letters: Annotated[Path | None, typer.Option(help="Write why and where events were rejected.")] = None,
    policy: PolicyFile = None,
    policy_change: Annotated[
        list[str] | None,
        typer.Option(metavar="TIME=FILE", help="From TIME on (UTC) go by the policy of FILE. May be given again."),
    ] = None,
    until: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Where time ends (UTC), else at the last event.")
    ] = None,
    live_from: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="Earlier events only warm the measures (UTC).")
    ] = None,
    order: Annotated[
        bool, typer.Option("--order", help="In place of files: repeat what the workers wrote down, and compare.")
    ] = False,
    states: Annotated[bool, typer.Option("--states", help="With --order: compare the states too.")] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Run the engine over event files and write the same alerts as a worker would.

    Events are taken in the order in which they became known; time ticks once an hour of event time. With --order the
    workers' own order is repeated from their topics and compared byte for byte with what they wrote; a difference is
    exit code 1.

    Example:
        ews replay events.jsonl --alerts alerts.jsonl --episodes episodes.jsonl
        ews replay 2016.jsonl.gz 2017.jsonl.gz --until 2017-07-01 --alerts alerts.jsonl
        ews replay events.jsonl --alerts alerts.jsonl --policy-change 2026-03-01=stricter.toml
        ews replay --order --bootstrap kafka-1:9092 --states
    """
    if order:
        if files or until or live_from or policy_change:
            raise typer.BadParameter(
                "--order goes without files, --until, --live-from and --policy-change: the order says it all"
            )
        settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix, policy_file=policy)
        raise typer.Exit(_repeat(settings, alerts, states=states, as_json=as_json))
    if not files:
        raise typer.BadParameter("name at least one event file, or - for standard input")
    if policy_change and portfolio is not None:
        raise typer.BadParameter("--portfolio goes without --policy-change: the second stage knows one policy here")
    began = perf_counter()
    with _progress() as advance:
        done = replay_files(
            files,
            alerts=alerts,
            episodes=episodes,
            portfolio=portfolio,
            dead_letters=dead_letters,
            policy_file=policy,
            policy_changes=[_parse_change(text) for text in policy_change or ()],
            until=_in_utc(until),
            live_from=_in_utc(live_from),
            progress=advance,
        )
    told = _told(done, perf_counter() - began)
    typer.echo(orjson.dumps(told).decode() if as_json else _as_text(told))


def _parse_change(text: str) -> tuple[datetime, Path]:
    moment, _, file = text.partition("=")
    for form in MOMENTS if file else ():
        try:
            at = datetime.strptime(moment, form)  # noqa: DTZ007 - the next line gives it a zone
        except ValueError:
            continue
        return at.replace(tzinfo=at.tzinfo or UTC), Path(file)
    raise typer.BadParameter(f"--policy-change {text}: say TIME=FILE, such as 2026-03-01=stricter.toml")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} records, {task.fields[now]}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("replay", total=None, now="")
        yield lambda count, now_ms: progress.update(task, advance=count, now=moment_of(now_ms).date().isoformat())


def _repeat(settings: Settings, alerts: Path | None, *, states: bool, as_json: bool) -> int:
    """Repeat the order of the topics; 1 if something differs."""
    with ExitStack() as stack:
        advance = stack.enter_context(_progress())
        out = opened(stack, alerts)

        def write(value: bytes) -> None:
            if out is not None:
                out.write(value + b"\n")

        done = asyncio.run(repeat_order(settings, settings.policy_file, write, advance, states=states))
    told: dict[str, Any] = {
        "equal": done.equal, "alerts": done.alerts, "dead_letters": done.dead_letters, "events": dict(done.events),
        "ticks": done.ticks, "policies": dict(done.policies), "order_records": done.order_records,
        "partitions": done.partitions, "letters_gone": done.letters_gone,
        "states": done.states.hexdigest() if states else None,
        "portfolio_alerts": done.portfolio.alerts, "portfolio_order_records": done.portfolio.order_records,
        "seconds": round(done.seconds, 2), "differences": [*done.differences, *done.portfolio.differences],
    }  # fmt: skip
    if as_json:
        typer.echo(orjson.dumps(told).decode())
    else:
        verdict = "equal, byte for byte" if done.equal else "DIFFERENT"
        typer.echo(
            f"{verdict}: {done.alerts:,} alerts and {done.dead_letters:,} dead letters of {done.partitions} lanes"
        )
        shown = ("order_records", "ticks", "policies", "letters_gone", "states", "portfolio_alerts", "seconds")
        for name in shown:
            typer.echo(f"  {name.replace('_', ' ')}: {told[name]}")
        for difference in told["differences"]:
            typer.echo(f"  {difference}")
    return 0 if done.equal else 1


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment


def _told(done: Replayed, seconds: float) -> dict[str, Any]:
    total = done.events.total()
    return {
        "events": dict(sorted(done.events.items())),
        "alerts": {" ".join(key): count for key, count in sorted(done.alerts.items())},
        "dead_letters": dict(sorted(done.dead_letters.items())),
        "portfolio_alerts": done.portfolio,
        "borrowers": done.borrowers,
        "after_until": done.after_until,
        "until": moment_of(done.now_ms).isoformat(),
        "seconds": round(seconds, 2),
        "events_per_second": round(total / seconds) if seconds else 0,
    }


def _as_text(told: dict[str, Any]) -> str:
    lines = [
        (
            f"{sum(told['events'].values()):,} events of {told['borrowers']:,} borrowers up to {told['until']} "
            f"in {told['seconds']} s ({told['events_per_second']:,} a second)"
        )
    ]
    for title in ("events", "alerts", "dead_letters"):
        lines.append(f"{title.replace('_', ' ')}:")
        lines += [f"  {count:>10,}  {name}" for name, count in told[title].items()] or ["           none"]
    return "\n".join(lines)
