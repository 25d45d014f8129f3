"""`ews detectors`: what is watched for, and how each detector is set."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.bootstrap.detectors import live_precision, portrait, portraits
from streams.bootstrap.policy import load_policy
from streams.cli.options import AsJson, Bootstrap, PolicyFile, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.settings import load

if TYPE_CHECKING:
    from streams.bootstrap.detectors import Portrait
    from streams.history.outcomes import Precision


def detectors(  # noqa: PLR0917 - Typer passes them by name
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="The detector to explain.")] = None,
    policy: PolicyFile = None,
    outcomes: Annotated[
        Path | None, typer.Option(metavar="FILE", help="With --alerts: count precision from this file of outcomes.")
    ] = None,
    alerts: Annotated[Path | None, typer.Option(metavar="FILE", help="The file of alerts that were judged.")] = None,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """List the detectors, or explain one: why it warns, what its settings do, known false alarms, the first step.

    Values are those of the policy file in force. Its live precision, by the outcomes that were recorded, is counted
    from the cluster of --bootstrap or EWS_BOOTSTRAP_SERVERS, or from files.

    Example:
        ews detectors
        ews detectors missed_installment
        ews detectors missed_installment --bootstrap kafka-1:9092
        ews detectors drain_after_miss --policy stricter.toml --json
    """
    if (outcomes is None) != (alerts is None):
        raise typer.BadParameter("--outcomes and --alerts go together")
    settings = load(policy_file=policy, bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    in_force = load_policy(settings.policy_file)
    if name is not None:
        shown = portrait(name, in_force)
        files = (alerts, outcomes) if alerts is not None and outcomes is not None else None
        _explain(shown, live_precision(shown.key, settings, files, asked=bootstrap is not None), as_json=as_json)
    elif as_json:
        print_json([_summary(one) for one in portraits(in_force)])
    else:
        rows = [(one.key, one.mode, _range(one), one.title) for one in portraits(in_force)]
        print_rows(("detector", "mode", "severity", "what it says"), rows)


def _summary(one: Portrait) -> dict[str, Any]:
    return {"detector": one.key, "mode": one.mode, "severities": one.severities, "title": one.title}


def _range(one: Portrait) -> str:
    return "-".join(dict.fromkeys((one.severities[0], one.severities[-1]))) if one.severities else ""


def _explain(one: Portrait, live: Precision | str | None, *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(one) | {"live": {"unknown": live} if isinstance(live, str) else live and asdict(live)})
        return
    typer.echo(f"{one.key} (version {one.version}, {one.mode}, {_range(one)})\n\n{one.text}\n")
    typer.echo(f"Judged after: {', '.join(one.listens)}\n")
    rows = [
        (s.name, _text(s.value), _text(s.default) if s.changed else "", s.kind, s.bounds, s.description)
        for s in one.settings
    ]
    print_rows(("setting", "value", "default", "kind", "bounds", "what it does"), rows, "Settings")
    if live is not None:
        typer.echo(f"\nLive precision: {live if isinstance(live, str) else precision_text(live)}")


def precision_text(live: Precision) -> str:
    """What is known of a detector's alerts, with how much it rests on."""
    episodes = f"{live.episodes:,} live episode{'' if live.episodes == 1 else 's'}"
    elsewhere = f"; {live.elsewhere} more were judged that are not among the live alerts here" if live.elsewhere else ""
    if live.share is None or live.interval is None:
        return f"no outcomes yet, of {episodes}{elsewhere}"
    low, high = (round(100 * bound) for bound in live.interval)
    verdicts = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in live.by_verdict.items())
    text = (
        f"{live.true} of {live.judged} judged, {live.share:.0%} [{low}, {high}] ({verdicts}), of {episodes}{elsewhere}"
    )
    if live.lead_days is None:
        return text
    return (
        f"{text}; {live.led} of the {live.true} true ones came before a missed installment, "
        f"by {live.lead_days:g} days at the median"
    )


def _text(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(map(_text, value.values()))
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_text, value)) if isinstance(value, list) else str(value)
