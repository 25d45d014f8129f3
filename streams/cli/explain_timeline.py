"""The timeline of an explanation in characters: a column for so many days, a line for each row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.text import Text

from streams.engine.calendar import DAY_MS, moment_of
from streams.history.explain.timeline import Kind

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.history.explain.timeline import Row, Timeline

NAME_CELLS = 26
TICK_CELLS = 16
BLOCKS = "▁▂▃▄▅▆▇█"
SIGNS = {
    Kind.EVIDENCE: ("◆", "bold magenta"),
    Kind.OPENED: ("O", "bold red"),
    Kind.ESCALATED: ("E", "bold red"),
    Kind.WITHDRAWN: ("W", "bold green"),
    Kind.RESOLVED: ("R", "bold green"),
    Kind.UNPAID: ("○", "bold red"),
    Kind.LATE: ("◐", "yellow"),
    Kind.RETURNED: ("x", "bold red"),
    Kind.PAID: ("●", "green"),
    Kind.RECEIVED: ("+", "green"),
    Kind.AHEAD: ("·", "dim"),
    Kind.EVENT: ("'", "cyan"),
}
WORDS = {
    Kind.EVIDENCE: "evidence",
    Kind.OPENED: "opened",
    Kind.ESCALATED: "escalated",
    Kind.WITHDRAWN: "withdrawn",
    Kind.RESOLVED: "resolved",
    Kind.UNPAID: "due and unpaid",
    Kind.LATE: "paid late",
    Kind.PAID: "paid in time",
    Kind.RECEIVED: "payment",
    Kind.RETURNED: "payment returned",
    Kind.AHEAD: "not yet due",
    Kind.EVENT: "event",
}
"""Every kind in words, in the order in which the legend has them."""
SPANS = {"critical": "red", "high": "red", "watch": "yellow", "info": "cyan"}
_RANK = {kind: rank for rank, kind in enumerate(Kind)}


def drawn(timeline: Timeline, width: int) -> Iterator[Text]:
    """The lines, from the axis to the legend."""
    cells = max(40, width - NAME_CELLS - 1)
    yield _axis(timeline, cells)
    for row in timeline.rows:
        yield _line(row, timeline, cells)
    yield Text(" " * (NAME_CELLS + _cell(timeline, timeline.alert_ms, cells)) + "▲ this alert", "bold")
    used = {mark.kind for row in timeline.rows for mark in row.marks}
    yield from _legend([kind for kind in WORDS if kind in used], NAME_CELLS + cells)
    days = max(1.0, (timeline.end_ms - timeline.start_ms) / DAY_MS / cells)
    left_out = "".join(f"; {sentence}" for sentence in timeline.left_out)
    yield Text(f"{' ' * NAME_CELLS}a column is {days:.1f} days, times in UTC{left_out}", "dim")


def _legend(kinds: list[Kind], width: int) -> Iterator[Text]:
    """The signs in words, on as many lines as they need."""
    line = Text(" " * NAME_CELLS)
    for kind in kinds:
        sign, style = SIGNS[kind]
        entry = Text.assemble((sign, style), (f" {WORDS[kind]}  ", "dim"))
        if len(line) + len(entry) > width:
            yield line
            line = Text(" " * NAME_CELLS)
        line.append(entry)
    yield line


def _cell(timeline: Timeline, at_ms: int, cells: int) -> int:
    share = (at_ms - timeline.start_ms) / (timeline.end_ms - timeline.start_ms)
    return min(cells - 1, max(0, int(share * cells)))


def _axis(timeline: Timeline, cells: int) -> Text:
    axis = Text(" " * NAME_CELLS)
    for start in range(0, cells - len("2026-01-01"), TICK_CELLS):
        at = timeline.start_ms + (timeline.end_ms - timeline.start_ms) * start // cells
        axis.append(f"╷{moment_of(at):%Y-%m-%d}".ljust(TICK_CELLS), "dim")
    return axis


def _line(row: Row, timeline: Timeline, cells: int) -> Text:
    signs: list[tuple[str, str]] = [(" ", "")] * cells
    for span in row.spans:
        style = SPANS[span.severity]
        for cell in range(_cell(timeline, span.start_ms, cells), _cell(timeline, span.end_ms, cells) + 1):
            signs[cell] = ("━" if row.own else "─", style)
    for cell, value in _highest(row, timeline, cells).items():
        signs[cell] = value
    for mark in sorted(row.marks, key=lambda mark: -_RANK[mark.kind]):
        signs[_cell(timeline, mark.at_ms, cells)] = SIGNS[mark.kind]
    name = row.name if len(row.name) < NAME_CELLS else row.name[: NAME_CELLS - 2] + "…"
    line = Text(name.ljust(NAME_CELLS), "bold" if row.own else "")
    for sign, style in signs:
        line.append(sign, style)
    peak = max((value for _, value in row.values), default=0)
    return line.append(f" {peak}", "dim") if peak else line


def _highest(row: Row, timeline: Timeline, cells: int) -> dict[int, tuple[str, str]]:
    """The highest value of each column as a block."""
    highest: dict[int, int] = {}
    for at, value in row.values:
        last_ms = min(at + DAY_MS - 1, timeline.end_ms)  # A column may be less than a day.
        for cell in range(_cell(timeline, at, cells), _cell(timeline, last_ms, cells) + 1):
            highest[cell] = max(highest.get(cell, 0), value)
    peak = max(highest.values(), default=0)
    return {cell: (_block(value, peak), "red") for cell, value in highest.items() if value}


def _block(value: int, peak: int) -> str:
    return BLOCKS[min(len(BLOCKS) - 1, (value * len(BLOCKS) - 1) // peak)]
