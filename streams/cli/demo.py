"""`ews demo`: all of it working, on simulated or given events."""

from __future__ import annotations

import os
import shlex
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from streams.bootstrap.demo import Demo, Opened, run
from streams.cli.lazy import LazyGroup
from streams.cli.options import AsJson
from streams.errors import Misconfigured
from streams.history.simulator import Plan
from streams.local.demo.screen import Silent, for_console
from streams.local.demo.summary import Summary, told

INTERRUPTED = 130
CONSOLE_PORT = 8080


def demo(  # noqa: PLR0917 - Typer passes them by name
    events: Annotated[
        Path | None, typer.Option("--events", metavar="FILE", help="Stream this file instead of a simulated portfolio.")
    ] = None,
    borrowers: Annotated[int, typer.Option(min=1, max=1_000_000, help="How many borrowers to simulate.")] = 1_000,
    days: Annotated[int, typer.Option(min=1, max=3_650, help="How many days.")] = 180,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same portfolio.")] = 1,
    directory: Annotated[Path, typer.Option("--dir", help="Everything that is written is in there.")] = Path(
        "ews-demo"
    ),
    bootstrap: Annotated[
        str | None,
        typer.Option("--bootstrap", metavar="HOST:PORT[,...]", help="Use this Kafka instead of starting one."),
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Where time ends (RFC 3339, or a date).")
    ] = None,
    live_from: Annotated[
        str | None, typer.Option("--live-from", metavar="TIME", help="Alerts before it open no case and send nothing.")
    ] = None,
    partitions: Annotated[int, typer.Option(min=1, max=64, help="Partitions of each keyed topic.")] = 4,
    as_json: AsJson = False,
    keep: Annotated[bool, typer.Option("--keep", help="With --bootstrap: leave the topics there.")] = False,
    console: Annotated[
        bool, typer.Option("--console", help="Let a team work the cases, and open the console until Ctrl-C.")
    ] = False,
    console_port: Annotated[
        int | None, typer.Option(min=0, max=65_535, help="The console's port; 0 takes any. [default: 8080]")
    ] = None,
) -> None:
    """Start a broker, a worker, the case creator and the notifier; stream a portfolio through them; sum up.

    Everything is real except the portfolio. It ends by itself; Ctrl-C ends it at any time and leaves nothing running.
    With --console it ends in the browser: collectors and a supervisor have worked the cases, and you sign in as one.

    Example:
        ews demo
        ews demo --borrowers 200 --days 90 --seed 7 --dir /var/tmp/small
        ews demo --events events.jsonl --until 2025-06-30 --json
        ews demo --console
    """
    if console_port is not None and not console:
        raise Misconfigured("--console-port goes with --console: give both")
    asked = Demo(
        directory=directory,
        events=events,
        plan=Plan(borrowers, days, seed),
        bootstrap=bootstrap,
        until=_moment("--until", until),
        live_from=_moment("--live-from", live_from),
        partitions=partitions,
        keep=keep,
        console=(CONSOLE_PORT if console_port is None else console_port) if console else None,
    )
    screen = Silent() if as_json else for_console(Console(stderr=True))
    summary = run(asked, screen, partial(_say_opened, as_json=as_json))
    if summary is None:
        typer.echo("stopped; nothing is left running", err=True)
        raise typer.Exit(INTERRUPTED)
    if console:
        typer.echo("the console is closed; nothing is left running", err=True)
        return
    if as_json:
        typer.echo(orjson.dumps(summary.as_dict()).decode())
        return
    for line in (*told(summary), "", "What to look at next:", *(f"  {line}" for line in _next(summary))):
        typer.echo(line)


def _say_opened(opened: Opened, *, as_json: bool) -> None:
    """The summary, and how to get in."""
    if as_json:
        about = {"url": opened.url, "keys": dict(opened.keys), "acted": dict(opened.acted)}
        typer.echo(orjson.dumps(opened.summary.as_dict() | {"console": about}).decode())
        return
    acted = ", ".join(f"{name.replace('_', ' ')} {number}" for name, number in opened.acted.items())
    for line in (*told(opened.summary), f"the team did: {acted}", "", f"The console is open at {opened.url}"):
        typer.echo(line)
    for account, key in opened.keys.items():
        typer.echo(f"  sign in as {account:<6} {key}")
    typer.echo("Ctrl-C closes it.")


def _moment(option: str, text: str | None) -> datetime | None:
    """A time with an offset, or a date or time in UTC."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Misconfigured(f"{option} {text!r} is no time: write 2025-06-30 or 2025-06-30T12:00:00Z") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _next(summary: Summary) -> list[str]:
    """Commands that work now."""
    there = LazyGroup(name="ews").rows
    folder = shlex.quote(str(summary.directory))
    database = f"EWS_DATABASE_URL=sqlite:///{folder}/cases.db"
    ews = "uv run ews" if "UV" in os.environ else "ews"  # As it was called: uv tells its children of itself.
    lines = [f"{database} {ews} cases list"]
    if summary.example_borrower:
        lines.append(f"{database} {ews} cases show {summary.example_borrower}")
    lines += [
        f"{ews} demo --console    (the same, and then the console in the browser)",
        f"{database} {ews} api keys create me --role supervisor    (a key for the console, on these cases)",
        f"{database} {ews} api serve    (then sign in at http://127.0.0.1:{CONSOLE_PORT}/console/)",
    ]
    lines += [f"ls {folder}/outbox", f"head -1 {folder}/alerts.jsonl", f"cat {folder}/dead-letters.jsonl"]
    if "replay" in there:
        lines.append(f"{ews} replay {shlex.quote(str(summary.events_file))} --alerts {folder}/replayed.jsonl")
    if summary.topic_prefix:
        return lines
    lines.append(f"{ews} broker --dir {folder}/broker    (in another terminal: the topics as the demo left them)")
    if "dead-letters" in there:
        lines.append(f"EWS_PARTITIONS={summary.partitions} {ews} dead-letters list")
    return lines
