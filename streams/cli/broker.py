"""`ews broker`: a local Apache Kafka in the foreground."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Annotated

import typer

from streams.errors import Unavailable
from streams.local.broker import LocalBroker


def broker(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = 9092,
    directory: Annotated[Path, typer.Option("--dir", help="Where it keeps its data and its log.")] = Path(
        "ews-data/broker"
    ),
) -> None:
    """Run an Apache Kafka of one node on loopback until Ctrl-C. Nothing but this machine reaches it.

    The first time its 44 MB are downloaded into the user's cache folder. What it holds is kept in its directory.

    Example:
        ews broker
        ews broker --port 19092 --dir /var/tmp/kafka
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with LocalBroker(directory, port, say=lambda line: typer.echo(line, err=True)) as local:
            typer.echo(
                f"Apache Kafka listens on {local.bootstrap_servers}, data and log in {local.directory}; Ctrl-C stops it"
            )
            code = local.wait()
    except KeyboardInterrupt:
        typer.echo("stopped")
        return
    raise Unavailable(f"Apache Kafka ended by itself with code {code}; its log is {local.log_file}")
