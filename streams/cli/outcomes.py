"""`ews outcomes`: what became of alerts, said by hand where no case system says it."""

from __future__ import annotations

import asyncio
import getpass
from typing import Annotated

import typer

from schemas.outcomes import NOTE_CHARS_MAX, Verdict
from streams.bootstrap.outcomes import listed_outcomes, record_outcome
from streams.bootstrap.snooze import account
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.errors import Misconfigured
from streams.settings import load

app = typer.Typer(no_args_is_help=True)


@app.command()
def record(  # noqa: PLR0917 - Typer passes them by name
    alert: Annotated[
        str, typer.Argument(metavar="ALERT_ID", help="An alert's or episode's id, or its first 8 characters or more.")
    ],
    outcome: Annotated[Verdict, typer.Argument(help="What it turned out to be.")],
    note: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, without a name or number.")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who decided; without it, your login.")] = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Record what became of an alert. It speaks of the whole episode; who judges again overrules it.

    Example:
        ews outcomes record 3809e37b confirmed_risk
        ews outcomes record 3809e37b false_positive --note "salary came from a new employer" --by c-17
    """
    if note is not None and len(note) > NOTE_CHARS_MAX:
        raise Misconfigured(f"--note has {len(note)} characters, at most {NOTE_CHARS_MAX} are kept")
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    who = account(by if by is not None else getpass.getuser())
    said, place = asyncio.run(record_outcome(settings, alert, outcome, by=who, note=note))
    if as_json:
        print_json({"place": place, "outcome": said.model_dump(mode="json", exclude_none=True)})
    else:
        typer.echo(f"{said.data.detector} alert {said.data.alert_id} of {said.data.borrower}: {outcome} ({place})")


@app.command("list")
def list_outcomes(
    detector: Annotated[str | None, typer.Option(metavar="NAME", help="Only of this detector.")] = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """List what was decided, the latest last.

    Example:
        ews outcomes list --detector multi_lending_spike
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    found = asyncio.run(listed_outcomes(settings, detector))
    if as_json:
        print_json([outcome.model_dump(mode="json", exclude_none=True) for outcome in found])
        return
    rows = [
        (f"{x.data.decided_at:%Y-%m-%d %H:%M %Z}", x.data.detector, x.data.outcome, x.data.borrower, x.data.alert_id,
         x.data.by, x.data.note or "")
        for x in found
    ]  # fmt: skip
    print_rows(("decided", "detector", "outcome", "borrower", "alert", "by", "note"), rows)
