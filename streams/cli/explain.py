"""`ews explain`: why an alert was raised, from what, and whether the log gives it again."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.bootstrap.explain import Question, explain_from_files, explain_from_topics
from streams.cli.explain_text import print_story
from streams.cli.options import AsJson, Bootstrap, PolicyFile, TopicPrefix
from streams.cli.replay import MOMENTS
from streams.cli.tables import print_json
from streams.errors import Misconfigured
from streams.history.explain.story import as_json as story_as_json
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.history.explain.story import Story


def explain(  # noqa: PLR0917 - Typer passes them by name
    alert: Annotated[
        str, typer.Argument(metavar="ALERT_ID", help="An alert's or episode's id, or its first 8 characters or more.")
    ],
    alerts: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Look in this file of alerts, and not in a cluster.")
    ] = None,
    events: Annotated[
        list[str] | None, typer.Option(metavar="FILE", help="With --alerts: an event file it came of; can be repeated.")
    ] = None,
    check: Annotated[
        bool | None,
        typer.Option(
            "--check/--no-check", help="Make it again from the log and compare the bytes.", show_default="if possible"
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write it as a page that needs nothing else.")
    ] = None,
    live_from: Annotated[
        datetime | None, typer.Option(formats=MOMENTS, help="With --events: as the replay had it (UTC).")
    ] = None,
    policy: PolicyFile = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Explain an alert: what was found, from which events, what became of it, and whether the log gives it again.

    Looks in the topics of the cluster, or with --alerts in files of a demo or replay. Exit code 1 if there is no such
    alert, or if what the log gives again has other bytes.

    Example:
        ews explain 3809e37b
        ews explain 3809e37b --alerts ews-demo/alerts.jsonl --events ews-demo/events.jsonl
        ews explain 3809e37b-2836-576d-a24b-b8193e72072f --html alert.html
    """
    if alerts is None and (events or live_from):
        raise typer.BadParameter("--events and --live-from go with --alerts")
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix, policy_file=policy)
    question = Question(id=alert, check=check, policy_file=settings.policy_file)
    with _progress() as advance:
        if alerts is not None:
            story = explain_from_files(alerts, events or [], question, _in_utc(live_from), advance)
        else:
            story = asyncio.run(explain_from_topics(settings, question, advance))
    _show(story, html, as_json=as_json)
    if story.rebuilt.equal is False:
        raise typer.Exit(1)


def _show(story: Story, html: Path | None, *, as_json: bool) -> None:
    if html is not None:
        _write(story, html)
    if as_json:
        print_json(story_as_json(story))
    elif html is None:
        print_story(story)
    else:
        typer.echo(f"{story.headline}\n{story.rebuilt.said}\nwritten to {html}")


def _write(story: Story, file: Path) -> None:
    from streams.history.explain.page import page_of  # noqa: PLC0415 - templates are slow, and rarely asked for

    try:
        file.write_text(page_of(story), "utf-8")
    except OSError as error:
        raise Misconfigured(f"cannot write {file}: {error.strerror}") from None


@contextmanager
def _progress() -> Iterator[Callable[[str, int], None]]:
    """A line on a terminal's standard error that goes away in the end."""
    columns = (SpinnerColumn(), TextColumn("{task.fields[topic]} {task.completed:,} records"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("explain", total=None, topic="")
        yield lambda topic, count: progress.update(task, advance=count, topic=topic)


def _in_utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None and moment.tzinfo is None else moment
