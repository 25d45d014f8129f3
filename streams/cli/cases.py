"""`ews cases`: the process that keeps cases, and what people ask about them."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer

from streams.bootstrap.cases import case_store, run_case_process
from streams.cli.case_tables import print_cases, print_file
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.errors import Rejected
from streams.settings import load
from streams.stores.case import CaseState, Stage, content

app = typer.Typer(no_args_is_help=True)


@app.command()
def serve(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None) -> None:
    """Open, raise, take back and resolve cases as alerts come, until SIGTERM or Ctrl-C.

    Example:
        ews cases serve
        EWS_DATABASE_URL=postgresql://ews:secret@db:5432/ews ews cases serve
    """
    run_case_process(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix))


@app.command("list")
def list_cases(
    state: Annotated[CaseState | None, typer.Option(help="Only cases in this state.")] = None,
    stage: Annotated[Stage | None, typer.Option(help="Only cases at this stage of the ladder.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")] = 50,
    as_json: AsJson = False,
) -> None:
    """List cases: open ones first, by when they are due; then closed ones, the latest first.

    Example:
        ews cases list
        ews cases list --state open --stage call --json
    """
    with case_store(load()) as store:
        found = store.listed(state=state, stage=stage, limit=limit)
    if as_json:
        _json([content(case, ()) for case in found])
    else:
        print_cases(found)


@app.command()
def show(
    case_or_borrower: Annotated[str, typer.Argument(metavar="CASE_OR_BORROWER", help="A case id or borrower token.")],
    as_json: AsJson = False,
) -> None:
    """Show a case, or every case of a borrower: loans, episodes with reasons, next step, history.

    Example:
        ews cases show b-000042
        ews cases show 3b241101-e2bb-5255-8caf-4136c566a962 --json
    """
    with case_store(load()) as store:
        files = store.files_of(case_or_borrower)
    if not files:
        raise Rejected(
            f"there is no case {case_or_borrower} and no borrower of that token with one: try `ews cases list`"
        )
    if as_json:
        _json([content(f.case, f.episodes) | {"history": [_line(line) for line in f.history]} for f in files])
        return
    for file in files:
        print_file(file)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check that no line of the audit trail and no case was changed by anything but this program. Exit 1 if one was.

    Keep the line and hash that are printed: who can write the whole database can only be caught by them.

    Example:
        ews cases verify
    """
    with case_store(load()) as store:
        verdict = store.verify()
    if as_json:
        _json(
            {"faults": verdict.faults, "cases": verdict.cases, "lines": verdict.head.number, "hash": verdict.head.hash}
        )
    else:
        for fault in verdict.faults:
            typer.echo(fault, err=True)
        typer.echo(f"{verdict.cases} cases, {verdict.head.number} audit lines, last hash {verdict.head.hash}")
    if verdict.faults:
        raise typer.Exit(1)


def _line(line: object) -> dict[str, object]:
    return {name: getattr(line, name) for name in ("number", "at", "actor", "action", "detail")}


def _json(value: object) -> None:
    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z).decode())
