"""`ews api`: the process that serves the HTTP API and the console, and the keys of those who may use them."""

from __future__ import annotations

from typing import Annotated

import typer

from streams import clock
from streams.bootstrap.api import account_store, run_api
from streams.cli.options import AsJson
from streams.cli.tables import print_json, print_rows
from streams.settings import load
from streams.stores.roles import Role

app = typer.Typer(no_args_is_help=True)
keys = typer.Typer(no_args_is_help=True, help="Make, list, renew and end the keys of accounts.")
app.add_typer(keys, name="keys")

Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="The account's name: a handle, never a person's name.")]


@app.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on (EWS_API_HOST).")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65_535, help="Port to listen on (EWS_API_PORT).")] = None,
) -> None:
    """Serve the HTTP API under /v1 and the console under /console, until SIGTERM or Ctrl-C.

    Example:
        ews api serve
        EWS_DATABASE_URL=postgresql://ews:secret@db:5432/ews ews api serve --host 0.0.0.0 --port 8080
    """
    run_api(load(api_host=host, api_port=port))


@keys.command()
def create(
    account: Name,
    role: Annotated[Role, typer.Option(help="What it may do; each role may do what those before it may.")],
    takes_cases: Annotated[bool, typer.Option("--takes-cases", help="Assignment gives it cases.")] = False,
    as_json: AsJson = False,
) -> None:
    """Make an account and print its key, this once: only its hash is kept.

    Example:
        ews api keys create anna-7 --role collector --takes-cases
        ews api keys create dialler --role viewer --json
    """
    with account_store(load()) as store:
        key = store.create(account, role, takes_cases=takes_cases, at=clock.now())
    _print_key(account, key, as_json=as_json)


@keys.command("list")
def list_keys(as_json: AsJson = False) -> None:
    """List the accounts, those that were revoked too.

    Example:
        ews api keys list
    """
    with account_store(load()) as store:
        found = store.listed()
    if as_json:
        names = ("account", "role", "takes_cases", "created_at", "revoked_at")
        print_json([{name: getattr(one, name) for name in names} for one in found])
        return
    rows = [
        (one.account, one.role, "yes" if one.takes_cases else "", _at(one.created_at), _at(one.revoked_at))
        for one in found
    ]
    print_rows(("account", "role", "takes cases", "created", "revoked"), rows)


@keys.command()
def revoke(account: Name) -> None:
    """End an account's key and sessions now. Its name stays taken, for the audit trail speaks of it.

    Example:
        ews api keys revoke anna-7
    """
    with account_store(load()) as store:
        store.revoke(account, at=clock.now())
    typer.echo(f"{account} is let in no more; its open cases stay its own until somebody assigns them")


@keys.command()
def rotate(account: Name, as_json: AsJson = False) -> None:
    """Give an account a new key and print it, this once. The old one ends now; a revoked account is let in again.

    Example:
        ews api keys rotate anna-7
    """
    with account_store(load()) as store:
        key = store.rotate(account, at=clock.now())
    _print_key(account, key, as_json=as_json)


def _print_key(account: str, key: str, *, as_json: bool) -> None:
    if as_json:
        print_json({"account": account, "key": key})
        return
    typer.echo(f"the key of {account}, shown this once:", err=True)
    typer.echo(key)


def _at(when: object) -> str:
    return f"{when:%Y-%m-%d %H:%M}" if when else ""
