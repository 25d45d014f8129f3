"""Rows for people: a table on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


def print_rows(columns: Sequence[str], rows: Iterable[Sequence[Any]], title: str = "") -> None:
    """Cells are text and never markup: what they hold comes from outside. A column that ends in `#` holds numbers."""
    every = [[_printable(str(cell)) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        heading = [[title]] if title else []
        names = [[column.removesuffix("#") for column in columns]] if any(columns) else []
        for line in (*heading, *names, *every):
            typer.echo("\t".join(line))
        return
    table = Table(title=title or None, title_justify="left")
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left")
    for row in every:
        table.add_row(*map(Text, row))
    Console().print(table)


def _printable(cell: str) -> str:
    """Without tabs, line ends and what would steer the terminal."""
    return cell if cell.isprintable() else "".join(x if x.isprintable() else " " for x in cell)


def print_json(value: Any) -> None:
    """Indented JSON, for machines and for reading."""
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode())
