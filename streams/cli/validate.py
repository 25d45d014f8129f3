"""`ews validate`: a producer's check of its own events."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from streams.cli.options import AsJson
from streams.history.checking import check

BAD = 1


def validate(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Events as JSON lines, .gz too; - is standard input.")],
    as_json: AsJson = False,
) -> None:
    """Check a file of events: a line for each bad one, and exit code 1 if there is any.

    Example:
        ews validate events.jsonl
        my-exporter | ews validate - --json
    """
    verdict = check(file, None if as_json else lambda mistake: typer.echo(str(mistake)))
    if as_json:
        typer.echo(json.dumps(verdict.as_dict()))
    else:
        typer.echo(verdict.sentence(file), err=True)
    if verdict.bad:
        raise typer.Exit(BAD)
