"""`ews snooze`: calm about a borrower, asked for by a person, kept by the workers."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from streams import clock
from streams.bootstrap.snooze import DAYS_MAX, borrower_of, snooze
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.replay import MOMENTS
from streams.cli.tables import print_json
from streams.errors import Misconfigured
from streams.settings import load

if TYPE_CHECKING:
    from streams.bootstrap.snooze import Snoozed

app = typer.Typer(no_args_is_help=True)

Days = Annotated[int | None, typer.Option(metavar="N", min=1, max=DAYS_MAX, help="For so many days from now.")]
Until = Annotated[datetime | None, typer.Option(formats=MOMENTS, help="Until this instant (UTC).")]
Detector = Annotated[str | None, typer.Option(metavar="NAME", help="Of this detector alone; without it, of all.")]
Why = Annotated[str, typer.Option(metavar="TEXT", help="Why, without a name or number (at most 200 characters).")]
By = Annotated[str, typer.Option(metavar="NAME", help="Who asks for it.")]


@app.command()
def borrower(  # noqa: PLR0917 - Typer passes them by name
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The borrower's token.")],
    reason: Why,
    by: By,
    days: Days = None,
    until: Until = None,
    detector: Detector = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Open and escalate no alert of a borrower for a time. What ends still ends; what is true afterwards opens then.

    Example:
        ews snooze borrower b-000042 --days 14 --reason "in talks about a plan" --by c-17
        ews snooze borrower b-000042 --until 2026-12-31 --detector income_missing --reason "parental leave" --by c-17
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    end = _end(days, until)
    _say(asyncio.run(snooze(settings, token, end, detector=detector, reason=reason, by=by)), as_json=as_json)


@app.command()
def case(  # noqa: PLR0917 - Typer passes them by name
    case_id: Annotated[str, typer.Argument(metavar="CASE_ID", help="A case; its borrower is meant.")],
    reason: Why,
    by: By,
    days: Days = None,
    until: Until = None,
    detector: Detector = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Open and escalate no alert of a case's borrower for a time.

    Example:
        ews snooze case 3b241101-e2bb-5255-8caf-4136c566a962 --days 7 --reason "pays on Friday" --by c-17
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    end = _end(days, until)
    whose = borrower_of(settings, case_id)
    _say(asyncio.run(snooze(settings, whose, end, detector=detector, reason=reason, by=by)), as_json=as_json)


@app.command("end")
def end_it(  # noqa: PLR0917 - Typer passes them by name
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The borrower's token.")],
    by: By,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, without a name or number.")] = None,
    detector: Annotated[
        str | None, typer.Option(metavar="NAME", help="The calm that was asked for about this detector alone.")
    ] = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """End the calm about a borrower now. One that was asked for about one detector is ended with --detector.

    Example:
        ews snooze end b-000042 --by c-17
        ews snooze end b-000042 --detector income_missing --by c-17
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    done = asyncio.run(snooze(settings, token, clock.now(), detector=detector, reason=reason, by=by))
    _say(done, as_json=as_json)


def _end(days: int | None, until: datetime | None) -> datetime:
    """When it is to end. Raises Misconfigured."""
    if (days is None) == (until is None):
        raise Misconfigured("say how long: one of --days N, --until T")
    if days is not None:
        return clock.now() + timedelta(days=days)
    assert until is not None, "one of them is given"
    end = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    if end <= clock.now():
        raise Misconfigured(f"--until {end:%Y-%m-%d %H:%M} UTC is not ahead: `ews snooze end` ends what lasts")
    return end


def _say(done: Snoozed, *, as_json: bool) -> None:
    data = done.event.data
    if as_json:
        print_json({"place": done.place, "event": done.event.model_dump(mode="json", exclude_none=True)})
        return
    what = f"{data.detector} alerts" if data.detector else "alerts"
    over = data.until <= done.event.time
    until = "may open again from now on" if over else f"wait until {data.until.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    typer.echo(f"{what} of {done.event.subject} {until} ({done.place})")
