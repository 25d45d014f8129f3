"""`ews notifier`: staff are sent what alerts say, borrowers what they are to be told; and what people ask of it."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Annotated

import typer

from streams import clock
from streams.bootstrap.notifier import house_texts, message_store, run_notifier
from streams.casework.contact import Channel
from streams.casework.figures import Figures
from streams.casework.outreach import Outreach, StepName
from streams.casework.segments import segments
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.settings import load
from streams.stores.messages import MessageStatus, MessageStore
from streams.stores.retention import DAYS_MIN, refused_by_rule
from streams.stores.retention import prune as prune_store

app = typer.Typer(invoke_without_command=True)

REFUSED_DAYS = 7
"""How far back `status` counts refusals."""
KEEP_DAYS = 400
"""As long as late facts about a borrower count."""


@app.callback()
def notifier(context: typer.Context, bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None) -> None:
    """Send staff what alerts say, and borrowers what they are to be told, until SIGTERM or Ctrl-C.

    Staff: EWS_OUTBOX_DIR (files), EWS_WEBHOOK_URL with EWS_WEBHOOK_SECRET, EWS_STAFF_URLS (chat and e-mail, Apprise).
    Borrowers: nobody is written to or called unless EWS_BORROWER_CHANNELS names the channel; see docs/notifications.md.

    Example:
        EWS_OUTBOX_DIR=outbox ews notifier
        ews notifier status
        ews notifier preview --step overdue_reminder --language zh --channel sms
        ews notifier pause
    """
    if context.invoked_subcommand is None:
        run_notifier(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix))


@app.command()
def pause(as_json: AsJson = False) -> None:
    """Stop all sending now, in every notifier on this database. Messages wait; nothing is lost.

    Example:
        ews notifier pause
    """
    with message_store(load()) as store:
        store.pause(clock.now())
        _say(store, as_json=as_json)


@app.command()
def resume(as_json: AsJson = False) -> None:
    """Let sending go on: what waited goes out first.

    Example:
        ews notifier resume
    """
    with message_store(load()) as store:
        store.resume()
        _say(store, as_json=as_json)


@app.command()
def status(as_json: AsJson = False) -> None:
    """Say whether sending is paused, what became of the messages of each channel, and which rules refused contacts.

    Example:
        ews notifier status
        ews notifier status --json
    """
    with message_store(load()) as store:
        since, counts = store.paused_since(), store.counts()
        refused = refused_by_rule(store.database, clock.now() - timedelta(days=REFUSED_DAYS))
    channels = sorted({channel for channel, _ in counts})
    rows = {channel: {s.value: counts.get((channel, s.value), 0) for s in MessageStatus} for channel in channels}
    if as_json:
        paused = since.isoformat() if since else None
        print_json({"paused_since": paused, "channels": rows, f"refused_{REFUSED_DAYS}_days": refused})
        return
    typer.echo(f"paused since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "sending")
    print_rows(["channel", *(f"{s.value}#" for s in MessageStatus)], [[c, *rows[c].values()] for c in channels])
    if refused:
        print_rows(["rule", "refused#"], list(refused.items()), title=f"Contacts refused in {REFUSED_DAYS} days")


@app.command()
def preview(
    step: Annotated[StepName, typer.Option(help="The step of the ladder.")],
    language: Annotated[str, typer.Option(help="The borrower's language, such as zh or es-MX.")] = "en",
    channel: Annotated[Channel | None, typer.Option(help="Only this channel.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what a borrower would read or hear, with made-up figures. Every text is checked first, the house's own too.

    Example:
        ews notifier preview --step overdue_reminder --language zh --channel sms
        EWS_TEMPLATES_DIR=texts ews notifier preview --step automatic_call --json
    """
    outreach, texts = Outreach.standard(), house_texts(load())
    ways = outreach.step(step).channels
    if channel is not None and channel not in ways:
        raise typer.BadParameter(f"{step} goes out by {', '.join(ways)} alone", param_hint="--channel")
    figures = Figures(amount_minor=123_450, currency="CNY", due=date(2026, 3, 1), days=5) if _of_loan(step) else None
    shown = [(way, texts.words(step, way, language, figures, opt_out=True)) for way in ways if channel in {None, way}]
    written = texts.language(language)
    if as_json:
        print_json(
            [
                {"step": step, "channel": way, "language": written, "title": words.title, "text": words.text}
                for way, words in shown
            ]
        )
        return
    for way, words in shown:
        parts = f", {segments(words.text)} part(s)" if way is Channel.SMS else ""
        typer.echo(f"--- {step} by {way} in {written}{parts}")
        typer.echo(f"{words.title}\n\n{words.text}\n" if words.title else f"{words.text}\n")


@app.command()
def prune(
    older_than: Annotated[
        int, typer.Option("--older-than", metavar="DAYS", min=DAYS_MIN, help="Forget what is older than so many days.")
    ] = KEEP_DAYS,
    as_json: AsJson = False,
) -> None:
    """Forget messages that ended long ago, and ids of alerts that were taken up long ago. What waits is kept.

    By the key of a message a repeat is known, so it must outlive every way in which an old alert can come again, such
    as a restored backup. The log of contacts, its refusals and the audit trail are kept.

    Example:
        ews notifier prune --older-than 400
    """
    with message_store(load()) as store:
        gone = prune_store(store.database, clock.now() - timedelta(days=older_than))
    if as_json:
        print_json(gone._asdict())
    else:
        typer.echo(f"forgot {gone.messages} messages and {gone.applied_alerts} ids of alerts")


def _of_loan(step: StepName) -> bool:
    return Outreach.standard().step(step).of_loan


def _say(store: MessageStore, *, as_json: bool) -> None:
    since = store.paused_since()
    waiting = sum(number for (_, status), number in store.counts().items() if status == MessageStatus.WAITING)
    if as_json:
        print_json({"paused_since": since.isoformat() if since else None, "waiting": waiting})
        return
    state = f"paused since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "sending"
    typer.echo(f"{state}; {waiting} messages wait")
