"""`ews topics`: the topics as they must be on the cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated

import typer

from streams.cli.options import Bootstrap, TopicPrefix
from streams.kafka.topics import check_topics, create_topics
from streams.settings import Settings, load

app = typer.Typer(no_args_is_help=True)

Partitions = Annotated[
    int | None,
    typer.Option("--partitions", help="Partitions of each keyed topic (EWS_PARTITIONS).", show_default=False),
]


@app.command()
def create(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None, partitions: Partitions = None) -> None:
    """Make the topics that are missing, then check all of them. What is there already is left as it is.

    Example:
        ews topics create
        ews topics create --bootstrap kafka-1:9092,kafka-2:9092 --partitions 32
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix, partitions=partitions)
    for name in (made := asyncio.run(create_topics(settings))):
        typer.echo(f"created {name}")
    if not made:
        typer.echo("nothing to create: every topic is there")
    _report(settings)


@app.command()
def check(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None, partitions: Partitions = None) -> None:
    """Check that every topic is there and as it must be: a line for each mistake, and exit code 1 if there is one.

    Example:
        ews topics check --bootstrap kafka-1:9092
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix, partitions=partitions)
    _report(settings)
    typer.echo("every topic is as it must be")


def _report(settings: Settings) -> None:
    mistakes = asyncio.run(check_topics(settings))
    for mistake in mistakes:
        typer.echo(mistake, err=True)
    if mistakes:
        raise typer.Exit(1)
