"""Reading a lender's export row by row: CSV or JSON lines, packed or not, with the line a row begins on."""

from __future__ import annotations

import csv
import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from streams.errors import Misconfigured
from streams.history.files import read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.history.mapping import Mapping

FIELD_CHARS_MAX = 1_000_000


class Row(NamedTuple):
    """A row of an export: its columns, or what is wrong with it as a whole."""

    line: int
    columns: dict[str, Any]
    fault: str | None = None


def read_rows(path: Path, mapping: Mapping) -> Iterator[Row]:
    """The rows of an export. Raises Misconfigured if the file cannot be read."""
    name = PurePath(path.name.removesuffix(".gz"))
    wanted = mapping.format or ("csv" if name.suffix.lower() in {".csv", ".tsv", ".txt"} else "jsonl")
    return _csv(path, mapping) if wanted == "csv" else _json_lines(path)


def _json_lines(path: Path) -> Iterator[Row]:
    for number, value in read_lines(path):
        try:
            columns = orjson.loads(value)
        except orjson.JSONDecodeError:
            yield Row(number, {}, "not JSON")
            continue
        yield Row(number, columns) if isinstance(columns, dict) else Row(number, {}, "not a JSON object")


def _csv(path: Path, mapping: Mapping) -> Iterator[Row]:
    csv.field_size_limit(FIELD_CHARS_MAX)
    reader = csv.reader(_decoded(path, mapping), delimiter=mapping.delimiter, strict=True)
    try:
        header = next(reader)
    except StopIteration:
        return
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
        return Row(line, {}, "not text in the mapping's encoding")
    return Row(line, dict(zip(header, cells, strict=True)))


def _decoded(path: Path, mapping: Mapping) -> Iterator[str]:
    for number, value in read_lines(path):
        text = value.decode(mapping.encoding, "surrogateescape")
        if number == 1:
            text = text.removeprefix("\ufeff")
            if mapping.kind is not None and mapping.kind not in next(
                csv.reader([text], delimiter=mapping.delimiter), []
            ):
                raise Misconfigured(f"{path}: the header has no column {mapping.kind!r}, which `kind` names")
        yield f"{text}\n"


def as_text(value: object) -> str:
    """A column's value as text: what it is compared with, and what fields of text get."""
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)
