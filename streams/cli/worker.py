"""`ews worker`: reads events, keeps the borrowers' states, raises alerts."""

from __future__ import annotations

import typer

from streams.bootstrap.worker import run
from streams.cli.options import Bootstrap, TopicPrefix
from streams.settings import load


def worker(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None) -> None:
    """Read events, keep the borrowers' states and raise alerts, until SIGTERM or Ctrl-C. Start more to scale out.

    Give each worker a fixed EWS_INSTANCE_ID of its own, so that a restart takes up its lanes at once.

    Example:
        ews worker
        EWS_INSTANCE_ID=worker-1 ews worker --bootstrap kafka-1:9092
    """
    raise typer.Exit(run(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)))
