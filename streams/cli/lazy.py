"""Commands that are imported when they are called, and the table of them."""

from __future__ import annotations

import importlib
import re
from typing import Any, NamedTuple

import typer
from typer.core import TyperGroup

from streams.errors import Misconfigured


class Row(NamedTuple):
    """A command: its name, its module in `streams.cli`, what it does in one line."""

    name: str
    module: str
    help: str


COMMANDS = (
    Row("demo", "demo", "Show all of it working, on simulated or given events."),
    Row("worker", "worker", "Read events, raise alerts."),
    Row("notifier", "notifier", "Tell staff, and borrowers where switched on, what is up."),
    Row("cases", "cases", "Open cases from alerts, work on them, export evidence."),
    Row("api", "api", "Serve the HTTP API and the console; make and end keys."),
    Row("contacts", "contacts", "Keep how borrowers may be reached; ask the contact rules."),
    Row("erase", "erase", "Erase a borrower everywhere, with a proof of what stays."),
    Row("topics", "topics", "Make and check the topics."),
    Row("policies", "policies", "Show, check and apply the detectors' settings."),
    Row("detectors", "detectors", "List the detectors, or explain one."),
    Row("explain", "explain", "Show why an alert was raised, and make it again."),
    Row("outcomes", "outcomes", "Say what became of alerts."),
    Row("snooze", "snooze", "Ask for calm about a borrower or case."),
    Row("dead-letters", "dead_letters", "List rejected events, send them again."),
    Row("state", "state", "Export and inspect the borrowers' states."),
    Row("validate", "validate", "Check a file of events, a line for each bad one."),
    Row("import", "import_events", "Turn a lender's own export into events."),
    Row("tokens", "tokens", "Make borrowers' pseudonyms from natural ids."),
    Row("simulate", "simulate", "Make up a portfolio's events, with seeded trouble."),
    Row("replay", "replay", "Run the engine over a file, without Kafka."),
    Row("backtest", "backtest", "Measure a policy on labelled history."),
    Row("calibrate", "calibrate", "Fit the scorecard's points on labelled history."),
    Row("config", "config", "Show and check the settings."),
    Row("broker", "broker", "Run a local Apache Kafka."),
    Row("bench", "bench", "Measure throughput on this machine."),
)
"""Every command, in the order that `ews --help` shows them."""

EXTRAS = {"numpy": "backtest", "matplotlib": "backtest"}
"""Packages that only an extra of pyproject.toml brings, and its name."""


class LazyGroup(TyperGroup):
    """The group of all commands. It knows their names and help by the table, and imports the one that is called."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rows = {row.name: row for row in COMMANDS}
        self.commands = dict.fromkeys(self.rows)  # type: ignore[assignment] # for suggestions; `get_command` has them

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import a command. None if there is none of this name."""
        del ctx
        row = self.rows.get(cmd_name)
        return _loaded(row) if row else None

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(row.name, row.help) for row in self.rows.values()])


def _loaded(row: Row) -> Any:
    try:
        module = importlib.import_module(f"streams.cli.{row.module}")
    except ModuleNotFoundError as missing:
        extra = EXTRAS.get((missing.name or "").partition(".")[0])
        if extra is None:
            raise
        raise Misconfigured(
            f"`ews {row.name}` needs {missing.name}: uv pip install 'delinquency-early-warning[{extra}]'"
        ) from missing
    holder = typer.Typer(add_completion=False, rich_markup_mode=None)
    group = getattr(module, "app", None)
    if group is None:
        holder.command(row.name)(getattr(module, row.module))
        command = typer.main.get_command(holder)
    else:
        if group.registered_callback:  # Its docstring says more than the row.
            holder.add_typer(group, name=row.name)
        else:
            holder.add_typer(group, name=row.name, help=row.help)
        command = typer.main.get_group(holder).commands[row.name]
    keep_examples(command)
    return command


def keep_examples(command: Any) -> None:
    """Mark the examples in the help of a command, and of those in it, as not to be wrapped."""
    if command.help:
        before, mark, examples = command.help.partition("Example:")
        command.help = before + re.sub(r"(^|\n\n)", "\\1\b\n", mark + examples) if mark else before
    if not isinstance(command, LazyGroup):
        for inner in getattr(command, "commands", {}).values():
            keep_examples(inner)
