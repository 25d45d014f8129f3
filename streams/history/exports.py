"""Reading a lender's export row by row: CSV or JSON lines, packed or not, with the line a row begins on."""

from __future__ import annotations

import csv
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import orjson

from streams.errors import Misconfigured
from streams.history.files import read_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

FIELD_CHARS_MAX = 1_000_000


class Layout(Protocol):
    """How a file is written; a mapping says so of an export."""

    @property
    def format(self) -> str | None:
        """`csv`, `jsonl`, or None for what the file's name says."""
        ...

    @property
    def delimiter(self) -> str:
        """Between the cells of a CSV."""
        ...

    @property
    def encoding(self) -> str:
        """Of a CSV's text."""
        ...

    @property
    def kind(self) -> str | None:
        """A column that must be there."""
        ...


class Row(NamedTuple):
    """A row of an export: its columns, or what is wrong with it as a whole."""

    line: int
    columns: dict[str, Any]
    fault: str | None = None


def _any_header(_: list[str]) -> None:
    pass


def read_rows(path: Path, layout: Layout, check_header: Callable[[list[str]], None] = _any_header) -> Iterator[Row]:
    """The rows of an export; a CSV's header is checked first. Raises Misconfigured if the file cannot be read."""
    name = PurePath(path.name.removesuffix(".gz"))
    wanted = layout.format or ("csv" if name.suffix.lower() in {".csv", ".tsv", ".txt"} else "jsonl")
    return _csv(path, layout, check_header) if wanted == "csv" else _json_lines(path)


def _json_lines(path: Path) -> Iterator[Row]:
    for number, value in read_lines(path):
        try:
            columns = orjson.loads(value)
        except orjson.JSONDecodeError:
            yield Row(number, {}, "not JSON")
            continue
        yield Row(number, columns) if isinstance(columns, dict) else Row(number, {}, "not a JSON object")


def _csv(path: Path, layout: Layout, check_header: Callable[[list[str]], None]) -> Iterator[Row]:
    csv.field_size_limit(FIELD_CHARS_MAX)
    reader = csv.reader(_decoded(path, layout), delimiter=layout.delimiter, strict=True)
    try:
        header = next(reader)
    except StopIteration:
        return
    check_header(header)
    while True:
        first = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield Row(first, {}, f"not CSV: {error}")
            continue
        if cells:
            yield _row(first, header, cells)


def _row(line: int, header: list[str], cells: list[str]) -> Row:
    if len(cells) != len(header):
        return Row(line, {}, f"{len(cells)} cells, the header has {len(header)}")
    if any("\udc80" <= char <= "\udcff" for cell in cells if not cell.isascii() for char in cell):
        return Row(line, {}, "not text in the encoding that is asked for")
    return Row(line, dict(zip(header, cells, strict=True)))


def _decoded(path: Path, layout: Layout) -> Iterator[str]:
    for number, value in read_lines(path):
        text = value.decode(layout.encoding, "surrogateescape")
        if number == 1:
            text = text.removeprefix("\ufeff")
            if layout.kind is not None and layout.kind not in next(csv.reader([text], delimiter=layout.delimiter), []):
                raise Misconfigured(f"{path}: the header has no column {layout.kind!r}, which `kind` names")
        yield f"{text}\n"


def as_text(value: object) -> str:
    """A column's value as text: what it is compared with, and what fields of text get."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
