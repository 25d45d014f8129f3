"""`ews detectors`: what is watched for, and how each detector is set."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.bootstrap.detectors import portrait, portraits
from streams.bootstrap.policy import load_policy
from streams.cli.options import AsJson, PolicyFile
from streams.cli.tables import print_json, print_rows
from streams.settings import load

if TYPE_CHECKING:
    from streams.bootstrap.detectors import Portrait


def detectors(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The detector to explain.")] = None,
    policy: PolicyFile = None,
    as_json: AsJson = False,
) -> None:
    """List the detectors, or explain one: why it warns, what its settings do, known false alarms, the first step.

    Values are those of the policy file in force.

    Example:
        ews detectors
        ews detectors missed_installment
        ews detectors drain_after_miss --policy stricter.toml --json
    """
    in_force = load_policy(load(policy_file=policy).policy_file)
    if name is not None:
        _explain(portrait(name, in_force), as_json=as_json)
    elif as_json:
        print_json([_summary(one) for one in portraits(in_force)])
    else:
        rows = [(one.key, one.mode, _range(one), one.title) for one in portraits(in_force)]
        print_rows(("detector", "mode", "severity", "what it says"), rows)


def _summary(one: Portrait) -> dict[str, Any]:
    return {"detector": one.key, "mode": one.mode, "severities": one.severities, "title": one.title}


def _range(one: Portrait) -> str:
    return "-".join(dict.fromkeys((one.severities[0], one.severities[-1]))) if one.severities else ""


def _explain(one: Portrait, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(one))
        return
    typer.echo(f"{one.key} (version {one.version}, {one.mode}, {_range(one)})\n\n{one.text}\n")
    typer.echo(f"Judged after: {', '.join(one.listens)}\n")
    rows = [
        (s.name, _text(s.value), _text(s.default) if s.changed else "", s.kind, s.bounds, s.description)
        for s in one.settings
    ]
    print_rows(("setting", "value", "default", "kind", "bounds", "what it does"), rows, "Settings")


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(map(_text, value.values()))
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
