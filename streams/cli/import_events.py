"""`ews import`: a lender's own export to events."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from streams.bootstrap.tokens import token_key
from streams.cli.options import AsJson
from streams.history.importer import Refusal, import_file
from streams.history.mapping import load_mapping
from streams.history.ordering import keep_apart, replacing
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.history.importer import Imported

REFUSALS_SHOWN = 20


def import_events(  # noqa: PLR0917 - Typer passes them by name
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The export: CSV or JSON lines, .gz too.")],
    mapping: Annotated[Path, typer.Option("--map", metavar="MAPPING.toml", help="Which column is which field.")],
    out: Annotated[Path, typer.Option("--out", help="The events, as JSON lines; packed if it ends in .gz.")],
    rejected: Annotated[
        Path | None,
        typer.Option("--rejected", help="A line for each row that became no event (default: the first 20)."),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit code 1 if a row was rejected.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a lender's own export into events, as a mapping file says. Each row becomes an event or a named rejection.

    Example:
        ews import --map deploy/mappings/superlender.toml export.jsonl.gz --out events.jsonl --rejected rejected.txt
    """
    keep_apart((file, mapping), (out, rejected))
    with reporting(rejected, quiet=as_json) as report:
        result = import_file(file, load_mapping(mapping), out, report, token_key(load()))
    if as_json:
        typer.echo(json.dumps(result.as_dict()))
    else:
        _tell(result, file, out)
    if strict and result.refused:
        raise typer.Exit(1)


@contextmanager
def reporting(rejected: Path | None, *, quiet: bool) -> Iterator[Callable[[Refusal], None]]:
    """Where refusals go: all into the file, or else the first few to standard error."""
    if rejected:
        with replacing(rejected) as stream:
            yield lambda refusal: _write(stream.write, refusal)
        return
    shown = 0

    def show(refusal: Refusal) -> None:
        nonlocal shown
        shown += 1
        if not quiet and shown <= REFUSALS_SHOWN:
            typer.echo(str(refusal), err=True)

    yield show
    if not quiet and shown > REFUSALS_SHOWN:
        typer.echo(f"... and {shown - REFUSALS_SHOWN:,} more; --rejected FILE has all of them", err=True)


def _write(write: Callable[[bytes], int], refusal: Refusal) -> None:
    write(f"{refusal}\n".encode())


def _tell(result: Imported, file: Path, out: Path) -> None:
    typer.echo(f"{file}: {result.rows:,} rows, {result.events:,} events in {out}, {result.refused:,} rejected")
    for name, number in (*result.types.most_common(), *result.reasons.most_common()):
        typer.echo(f"  {number:>10,}  {name}")
