"""`ews notifier`: staff are sent what alerts say; `pause` and `resume` stop and let go of all sending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from streams import clock
from streams.bootstrap.notifier import message_store, run_notifier
from streams.cli.options import Bootstrap, TopicPrefix
from streams.settings import load

if TYPE_CHECKING:
    from datetime import datetime

app = typer.Typer(invoke_without_command=True)


@app.callback()
def notifier(context: typer.Context, bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None) -> None:
    """Send staff what alerts say, until SIGTERM or Ctrl-C. Channels: a file outbox and a signed webhook.

    At least one of EWS_OUTBOX_DIR and EWS_WEBHOOK_URL (with EWS_WEBHOOK_SECRET) must be set.

    Example:
        EWS_OUTBOX_DIR=outbox ews notifier
        ews notifier pause
        ews notifier resume
    """
    if context.invoked_subcommand is None:
        run_notifier(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix))


@app.command()
def pause() -> None:
    """Stop all sending now, in every notifier on this database. Messages wait; nothing is lost.

    Example:
        ews notifier pause
    """
    with message_store(load()) as store:
        store.pause(clock.now())
        _say(store.paused_since(), sum(n for (_, status), n in store.counts().items() if status == "waiting"))


@app.command()
def resume() -> None:
    """Let sending go on: what waited goes out first.

    Example:
        ews notifier resume
    """
    with message_store(load()) as store:
        store.resume()
        _say(store.paused_since(), sum(n for (_, status), n in store.counts().items() if status == "waiting"))


def _say(since: datetime | None, waiting: int) -> None:
    state = f"paused since {since:%Y-%m-%d %H:%M:%S} UTC" if since else "sending"
    typer.echo(f"{state}; {waiting} messages wait")
