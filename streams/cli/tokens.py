"""`ews tokens`: pseudonyms of borrowers, made by a keyed hash."""

from __future__ import annotations

import secrets
import sys
from pathlib import Path
from typing import Annotated

import typer

from schemas.tokens import BORROWER, KEY_BYTES_MIN, token
from streams.bootstrap.tokens import token_key
from streams.errors import Misconfigured
from streams.settings import load

app = typer.Typer(no_args_is_help=True)
STDIN = Path("-")


@app.command()
def key(
    version: Annotated[
        int, typer.Option("--version", min=1, max=999, help="One more than that of the key before.")
    ] = 1,
) -> None:
    """Make a key for EWS_TOKEN_KEYS. Keep it where producers' secrets are kept, apart from topics and databases.

    Example:
        ews tokens key > /run/secrets/ews-token-keys
    """
    typer.echo(f"{version}:{secrets.token_hex(KEY_BYTES_MIN)}")


@app.command()
def make(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A natural id a line; - is standard input.")] = STDIN,
    kind: Annotated[
        str, typer.Option("--kind", help="What the ids are: borrower, phone, device, employer ...")
    ] = BORROWER,
    version: Annotated[int | None, typer.Option("--key-version", help="Not the newest key but this one.")] = None,
) -> None:
    """Print the token of each natural id, line by line. The ids come by a file or a pipe, never as arguments.

    Example:
        EWS_TOKEN_KEYS_FILE=/run/secrets/ews-token-keys ews tokens make customers.txt > tokens.txt
    """
    chosen = token_key(load(), version)
    if chosen is None:
        raise Misconfigured("there is no key: set EWS_TOKEN_KEYS or EWS_TOKEN_KEYS_FILE (`ews tokens key` makes one)")
    for number, line in enumerate(_lines(file), start=1):
        try:
            typer.echo(token(line, chosen, kind))
        except ValueError as wrong:
            raise Misconfigured(f"{file}:{number}: {wrong}") from None


def _lines(file: Path) -> list[str]:
    try:
        raw = sys.stdin.buffer.read() if file == STDIN else file.read_bytes()
        return raw.decode().splitlines()
    except (OSError, UnicodeDecodeError) as bad:
        raise Misconfigured(f"{file} is no readable text file") from bad
