"""`ews topics`: the topics as they must be on the cluster."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json
from streams.errors import Misconfigured
from streams.kafka.acl_writing import allow
from streams.kafka.acls import ROLES, Role, commands, principal, rights
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


@app.command()
def acls(  # noqa: PLR0917 - Typer passes them by name
    role: Annotated[list[str] | None, typer.Argument(metavar="[ROLE]...", help="Only these roles.")] = None,
    principal_prefix: Annotated[
        str, typer.Option("--principal-prefix", help="What the Kafka users' names begin with, before the role's name.")
    ] = "ews-",
    apply: Annotated[
        bool, typer.Option("--apply", help="Make the rules on the cluster, instead of showing them.")
    ] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Show what each process may do on the cluster, as arguments of Kafka's kafka-acls.sh; or make it so.

    Example:
        ews topics acls
        ews topics acls worker notifier --principal-prefix bank-
        ews topics acls --apply
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    chosen = [(one, principal(one, principal_prefix)) for one in _roles(role or [])]
    if apply:
        made = asyncio.run(allow(settings, [(user, right) for one, user in chosen for right in rights(one, settings)]))
        typer.echo(f"{made} rules for {len(chosen)} users are on the cluster")
    elif as_json:
        print_json([_told(one, user, settings) for one, user in chosen])
    else:
        for one, user in chosen:
            typer.echo(f"# {one.name}: {one.does}")
            for line in commands(one, user, settings):
                typer.echo(f"kafka-acls.sh --bootstrap-server {settings.bootstrap_servers} {line}")


def _roles(names: list[str]) -> list[Role]:
    known = {role.name: role for role in ROLES}
    if unknown := [name for name in names if name not in known]:
        raise Misconfigured(f"there is no role {unknown[0]!r}; there are {', '.join(known)}")
    return [known[name] for name in names] if names else list(ROLES)


def _told(role: Role, user: str, settings: Settings) -> dict[str, Any]:
    return {
        "role": role.name,
        "principal": user,
        "rules": [
            {"resource": r.resource, "name": r.name, "prefixed": r.prefixed, "operations": list(r.operations)}
            for r in rights(role, settings)
        ],
    }


def _report(settings: Settings) -> None:
    mistakes = asyncio.run(check_topics(settings))
    for mistake in mistakes:
        typer.echo(mistake, err=True)
    if mistakes:
        raise typer.Exit(1)
