"""`ews policies`: the detectors' settings as documents."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from streams.bootstrap.policies import as_toml, effective
from streams.bootstrap.policy import load_policy, mistakes
from streams.cli.options import AsJson, Bootstrap, PolicyFile, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.errors import Misconfigured
from streams.settings import load

if TYPE_CHECKING:
    from streams.bootstrap.policies import Change
    from streams.bootstrap.policy_topic import Applied, PolicyTopic
    from streams.engine.policy import Policy
    from streams.settings import Settings

WRONG = 2

app = typer.Typer(no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="A policy, as TOML.")]


@app.command()
def show(  # noqa: PLR0917 - Typer passes them by name
    policy: PolicyFile = None,
    version: Annotated[str | None, typer.Option(metavar="VERSION", help="This version, from the topic.")] = None,
    in_force: Annotated[bool, typer.Option("--in-force", help="What the workers go by, from the topic.")] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Show a policy with every default filled in: save it, change it, and use it as a file.

    Without --version and --in-force: that of the file, or the built-in one. No Kafka is needed for it.

    Example:
        ews policies show > policy.toml
        ews policies show --in-force --bootstrap kafka-1:9092
        ews policies show --version stricter-2 --json
    """
    if version is not None and in_force:
        raise typer.BadParameter("--version and --in-force are two questions: ask one of them")
    settings = load(policy_file=policy, bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    from_file = version is None and not in_force
    shown = load_policy(settings.policy_file) if from_file else _from_topic(settings, version)
    if as_json:
        print_json(effective(shown))
    else:
        typer.echo(as_toml(shown), nl=False)


@app.command()
def check(file: File, as_json: AsJson = False) -> None:
    """Check a policy file: a line for each mistake with its place, and exit code 2 if there is one.

    Example:
        ews policies check stricter.toml
    """
    found = mistakes(file)
    if as_json:
        print_json({"file": str(file), "mistakes": found})
    else:
        _tell_mistakes(file, found)
    if found:
        raise typer.Exit(WRONG)
    if not as_json:
        typer.echo(f"{file} is in order: policy {load_policy(file).version}")


@app.command("apply")
def put_in_force(
    file: File,
    note: Annotated[str, typer.Option(metavar="TEXT", help="By whom or why, for `ews policies history`.")] = "",
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Put a policy in force: the workers take it up within seconds, without a restart. Says what changes.

    A version is never used for two contents: give a changed file a new one. To take a change back, apply the file of
    the version before.

    Example:
        ews policies apply stricter.toml --note "risk committee, 14 March"
    """
    if found := mistakes(file):
        _tell_mistakes(file, found)
        raise typer.Exit(WRONG)
    from streams.bootstrap.policy_topic import apply_policy  # noqa: PLC0415 - only this one needs Kafka

    done = asyncio.run(apply_policy(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix), file, note))
    if as_json:
        print_json(done._asdict() | {"changes": [change._asdict() for change in done.changes]})
    else:
        typer.echo(_told(done))


@app.command()
def history(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None, as_json: AsJson = False) -> None:
    """List the versions that were applied, the latest last: when, by whom or why, and which one is in force.

    Example:
        ews policies history
    """
    topic = _read(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix))
    rows = list(_rows(topic))
    if as_json:
        print_json({"in_force": topic.in_force.version, "versions": rows})
        return
    print_rows(
        ("version", "applied", "times#", "", "note"),
        [[row["version"], (row["applied"] or [""])[-1], len(row["applied"]), _word(row), row["note"]] for row in rows],
    )
    if topic.book.in_force is None:
        typer.echo(f"none was applied: {topic.in_force.version} is in force", err=True)


def _rows(topic: PolicyTopic) -> list[dict[str, Any]]:
    return [
        {
            "version": row.version,
            "applied": [at.isoformat(timespec="seconds") for at in row.applied],
            "in_force": row.mistake is None and row.version == topic.book.in_force,
            "note": "" if row.record is None else row.record.note,
            "mistake": row.mistake,
        }
        for row in topic.rows
    ]


def _word(row: dict[str, Any]) -> str:
    if row["mistake"] is not None:
        return f"ignored: {row['mistake']}"
    return "in force" if row["in_force"] else ""


def _from_topic(settings: Settings, version: str | None) -> Policy:
    topic = _read(settings)
    if version is None:
        return topic.in_force
    found = topic.book.policy(version)
    if found is None:
        raise Misconfigured(f"there is no policy {version}: `ews policies history` lists those that were applied")
    return found


def _read(settings: Settings) -> PolicyTopic:
    from streams.bootstrap.policy_topic import read_topic  # noqa: PLC0415 - only these need Kafka

    return asyncio.run(read_topic(settings))


def _tell_mistakes(file: Path, found: list[str]) -> None:
    for mistake in found:
        typer.echo(f"{file}: {mistake}", err=True)


def _told(done: Applied) -> str:
    if not done.written:
        return f"{done.version} is in force already, with the same content: nothing was written"
    again = ", which was applied before with the same content," if done.again else ""
    lines = [f"{done.version}{again} is in force now, in place of {done.before}"]
    return "\n".join([*lines, *(f"  {_of_change(change)}" for change in done.changes)])


def _of_change(change: Change) -> str:
    before, after = ("(none)" if x is None else orjson.dumps(x).decode() for x in (change.before, change.after))
    return f"{change.setting}: {before} -> {after}"
