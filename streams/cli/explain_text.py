"""An explanation on a terminal, or as plain text in a pipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from streams.cli.explain_timeline import drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.history.explain.story import Bar, Story

WIDTH = 120
"""Columns where there is no terminal to ask."""
WIDTH_MAX = 160
BAR_CELLS = 24
STYLES = {"critical": "bold red", "high": "red", "watch": "yellow", "info": "cyan"}


def print_story(story: Story) -> None:
    """Everything, the most important first. Cells are text and never markup: what they hold comes from outside."""
    console = Console()
    if console.is_terminal:
        _print(Console(width=min(console.width, WIDTH_MAX)), story)
        return
    console = Console(width=WIDTH)
    with console.capture() as capture:
        _print(console, story)
    for line in capture.get().splitlines():  # Tables are filled up with blanks, which no pipe needs.
        typer.echo(line.rstrip())


def _print(console: Console, story: Story) -> None:
    _found(console, story)
    _section(console, "Measures", _measures(story))
    _section(console, "Loans when it was made (amounts in minor units)", _loans(story))
    _risk(console, story)
    _section(console, "Evidence", _evidence(story))
    if story.evidence_note:
        console.print(Padding(Text(story.evidence_note, "yellow"), (0, 0, 0, 2)))
    _section(console, "The episode", _episode(story))
    _section(console, "Open beside it when it was made", _standing(story))
    console.print()
    console.print(Text("Timeline", "bold"))
    for line in drawn(story.timeline, console.width):
        console.print(line, no_wrap=True, overflow="crop")
    console.print()
    style = {True: "green", False: "bold red", None: "yellow"}[story.rebuilt.equal]
    console.print(Text(story.rebuilt.said, style))


def _found(console: Console, story: Story) -> None:
    data = story.alert.data
    console.print(Text(_printable(story.headline), STYLES[data.severity.value]))
    console.print()
    facts = [
        ("alert", f"{data.alert_id}, revision {data.revision}, at {story.place}"),
        ("made", f"{story.alert.time:%Y-%m-%d %H:%M:%S} UTC; the trouble began {data.onset}"),
        (
            "detector",
            f"{data.detector} version {data.detector_version}, policy {data.policy_version}, mode {data.mode}",
        ),
        ("why", story.about.why),
        ("first step", data.first_step),
        *(("note", note) for note in story.notes),
    ]
    console.print(_grid([(Text(name, "dim"), Text(_printable(value))) for name, value in facts if value]))


def _grid(rows: Iterable[Sequence[Text]]) -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(min_width=10)
    for row in rows:
        grid.add_row(*row)
    return grid


def _section(console: Console, title: str, table: Table | None) -> None:
    if table is not None:
        console.print()
        console.print(Text(title, "bold"))
        console.print(table)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> Table | None:
    """A table without columns that are empty throughout; None without rows. `#` at the end of a name: numbers."""
    used = [n for n in range(len(columns)) if any(str(row[n]) for row in rows)]
    if not used:
        return None
    table = Table(box=None, padding=(0, 2), header_style="dim", pad_edge=False)
    for n in used:
        table.add_column(columns[n].removesuffix("#"), justify="right" if columns[n].endswith("#") else "left")
    for row in rows:
        table.add_row(
            *(cell if isinstance(cell, Text) else Text(_printable(str(cell))) for cell in map(row.__getitem__, used))
        )
    return table


def _measures(story: Story) -> Table | None:
    rows = [(line.name, line.value, line.threshold, line.window, bar_text(line.bar)) for line in story.measures]
    return _table(("measure", "value#", "threshold#", "window", "value against threshold"), rows)


def bar_text(bar: Bar | None) -> Text:
    """The value as a bar, with a stroke where the threshold is."""
    if bar is None:
        return Text("")
    filled, mark = round(bar.value * BAR_CELLS), min(BAR_CELLS - 1, round(bar.threshold * BAR_CELLS))
    cells = Text()
    for cell in range(BAR_CELLS):
        if cell == mark:
            cells.append("│", "bold")
        else:
            cells.append("█" if cell < filled else "·", "red" if cell < filled else "dim")
    return cells


def _loans(story: Story) -> Table | None:
    rows = [
        (
            x.loan, x.days_past_due, x.bucket, f"{x.overdue_minor:,}", f"{x.outstanding_minor:,}", x.currency,
            x.ifrs9_backstop or "", x.china_card or "", x.india_sma or "",
        )
        for x in story.alert.data.loans
    ]  # fmt: skip
    columns = ("loan", "DPD#", "bucket", "overdue#", "outstanding#", "", "IFRS 9 backstop", "China (card)", "India")
    return _table(columns, rows)


def _risk(console: Console, story: Story) -> None:
    risk = story.alert.data.risk
    if risk is None:
        return
    console.print()
    recovery = "" if risk.recovery is None else f", {risk.recovery:.0%} of what is owed may come back"
    console.print(
        Text(f"Risk: {risk.score} points, tier {risk.tier}; {risk.stance}{recovery}", STYLES.get(risk.tier, "bold"))
    )
    if risk.stance_evidence:
        console.print(Text(f"  {risk.stance} because of {', '.join(risk.stance_evidence)}"))
    rows = [(r.name, "" if r.value is None else r.value, f"{r.points:+d}") for r in risk.reasons]
    table = _table(("because of", "value#", "points#"), rows)
    if table is not None:
        console.print(table)


def _evidence(story: Story) -> Table | None:
    rows = [
        (piece.id, f"{piece.occurred_at:%Y-%m-%d %H:%M %Z}", piece.type, piece.place, piece.said)
        if piece.found and piece.occurred_at
        else (piece.id, "", Text("not there", "yellow"), "", "")
        for piece in story.evidence
    ]
    return _table(("event", "occurred", "type", "where", "says"), rows)


def _episode(story: Story) -> Table | None:
    rows = [
        (
            "▶" if r.asked else "", r.revision, f"{r.at:%Y-%m-%d %H:%M}",
            r.status + (f" ({r.resolution})" if r.resolution else ""), Text(r.severity, STYLES[r.severity]),
            r.step, r.reason, r.alert_id[:8],
        )
        for r in story.episode
    ]  # fmt: skip
    return _table(("", "rev#", "made (UTC)", "status", "severity", "step#", "reason", "alert"), rows)


def _standing(story: Story) -> Table | None:
    rows = [
        (x.detector, Text(x.severity, STYLES[x.severity]), f"{x.opened_at:%Y-%m-%d %H:%M}", x.reason, x.alert_id[:8])
        for x in story.standing
    ]
    return _table(("detector", "severity", "opened (UTC)", "reason", "alert"), rows)


def _printable(cell: str) -> str:
    """Without what would steer the terminal."""
    return cell if cell.isprintable() else "".join(x if x.isprintable() else " " for x in cell)
