"""`ews erase`: one borrower, everywhere, with a proof."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import orjson
import typer

from streams.bootstrap.contact_people import token_of
from streams.bootstrap.erasing import erase_everywhere, holdings
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json, print_rows
from streams.errors import Misconfigured
from streams.history.ordering import replacing
from streams.settings import load

if TYPE_CHECKING:
    from streams.bootstrap.erasing import Holdings, Proof

COLUMNS = ("topic", "records#", "standing#", "first", "last", "kept")


def erase(  # noqa: PLR0917 - Typer passes them by name
    token: Annotated[str, typer.Argument(metavar="TOKEN", help="The borrower.")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who decided it.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why, without a name or number.")] = None,
    proof: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write what was taken and what stays, as JSON.")
    ] = None,
    report: Annotated[
        bool, typer.Option("--report", help="Erase nothing: say what is held where, until when.")
    ] = False,
    wait: Annotated[float, typer.Option(min=0, max=3_600, help="Seconds to wait for a worker to forget.")] = 30.0,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Even if nothing is held of them.")] = False,
    bootstrap: Bootstrap = None,
    topic_prefix: TopicPrefix = None,
    as_json: AsJson = False,
) -> None:
    """Erase a borrower: contacts, texts on cases, the worker's state. What stays is said, with where and until when.

    Exit code 1 if no worker has forgotten in time: it will when it next runs; --report says whether it has.

    Example:
        ews erase b-000042 --by dpo-1 --reason "request of 1 March" --proof b-000042.json
        ews erase b-000042 --report
    """
    settings = load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix)
    if report:
        _write(proof, held := asyncio.run(holdings(settings, token_of(token))))
        _show(held, as_json=as_json)
        return
    if by is None:
        raise Misconfigured("say who decided it: --by NAME")
    if not yes:
        typer.confirm(f"Erase {token_of(token)} for good?", abort=True, err=True)
    done = asyncio.run(erase_everywhere(settings, token, by=by, reason=reason, wait_seconds=wait, anyway=anyway))
    _write(proof, done)
    _tell(done, as_json=as_json)
    if not done.worker_forgot:
        typer.echo(
            f"no worker has forgotten {token} within {wait:g} s: it will when it runs (--report says so)", err=True
        )
        raise typer.Exit(1)


def _tell(done: Proof, *, as_json: bool) -> None:
    if as_json:
        print_json(done.as_dict())
        return
    contacts, texts = done.taken.contacts, done.taken.texts
    typer.echo(
        f"erased of {done.borrower}: {contacts.addresses} addresses, the texts of {texts.notes} notes, "
        f"{texts.messages} waiting messages; the state {'is forgotten' if done.worker_forgot else 'waits for a worker'}"
    )
    _show(done.after, as_json=False)


def _show(held: Holdings, *, as_json: bool) -> None:
    if as_json:
        print_json(_plain(held))
        return
    rows = ", ".join(f"{number} {name}" for name, number in held.rows.items()) or "nothing"
    typer.echo(f"state: {held.state}, {held.state_bytes} bytes; addresses: {held.addresses}; texts: {held.texts}")
    typer.echo(f"by token alone, in the database of cases: {rows}")
    found = [t for t in held.topics if t.records]
    if found:
        print_rows(
            COLUMNS, [(t.topic, t.records, t.latest, _time(t.first_at), _time(t.last_at), t.kept) for t in found]
        )


def _time(at: Any) -> str:
    return f"{at:%Y-%m-%d %H:%M}" if at else ""


def _plain(value: Any) -> Any:
    return orjson.loads(orjson.dumps(value, option=orjson.OPT_UTC_Z))


def _write(path: Path | None, value: Any) -> None:
    if path is not None:
        with replacing(path) as stream:
            stream.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z) + b"\n")
