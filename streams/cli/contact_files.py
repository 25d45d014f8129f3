"""`ews contacts import`: a list of borrowers into the contact store."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from streams.bootstrap.contact_import import import_contacts
from streams.cli.import_events import reporting
from streams.cli.options import AsJson
from streams.cli.tables import print_json
from streams.history.ordering import keep_apart
from streams.settings import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.bootstrap.contact_import import Imported


def import_file(  # noqa: PLR0917 - Typer passes them by name
    file: Annotated[Path, typer.Argument(metavar="FILE", help="CSV or JSON lines, .gz too; - is standard input.")],
    strict: Annotated[bool, typer.Option("--strict", help="All or nothing: exit 1 if a row is refused.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Take on borrowers who were erased, too.")] = False,
    written_as: Annotated[
        Literal["csv", "jsonl"] | None, typer.Option("--format", help="Where the file's name does not say.")
    ] = None,
    rejected: Annotated[
        Path | None, typer.Option("--rejected", help="A line for each refused row (default: the first 20).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Add borrowers, addresses and consents from a list. Said twice, it changes nothing; opt-outs stand.

    A row is a borrower with at most one address; several addresses take several rows. Columns (or keys): borrower,
    zone, language; and where they apply country, packs, preferred_from, preferred_until, opted_out_at, channel,
    address, consented_at, consent_source, third_party. See docs/contacts.md.

    Example:
        ews contacts import contacts.csv
        ews contacts import contacts.jsonl.gz --strict --rejected rejected.txt --json
    """
    keep_apart((file,), (rejected,))
    with reporting(rejected, quiet=as_json) as report, _progress() as progress:
        result = import_contacts(
            load(), file, strict=strict, again=again, format_=written_as, refused=report, progress=progress
        )
    if as_json:
        print_json(result.as_dict())
    else:
        _tell(result, file)
    if not result.kept:
        raise typer.Exit(1)


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """What is done, on standard error while a person watches it."""
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("import", total=None)
        yield lambda rows: progress.update(task, completed=rows)


def _tell(result: Imported, file: Path) -> None:
    told = result.as_dict()
    if not result.kept:
        typer.echo(f"{file}: nothing was stored: {told['refused']:,} of {result.rows:,} rows were refused")
    else:
        typer.echo(
            f"{file}: {result.rows:,} rows: new {told['new']:,}, changed {told['changed']:,}, "
            f"as before {told['same']:,}, refused {told['refused']:,}"
        )
    for reason, number in result.refused.most_common():
        typer.echo(f"  {number:>10,}  {reason}")
