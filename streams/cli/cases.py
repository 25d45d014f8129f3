"""`ews cases`: the process that keeps cases, and what people ask about them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from streams.bootstrap.cases import case_store, open_desk, run_case_process
from streams.bootstrap.evidence import export as export_evidence
from streams.cli import case_ladder, case_work
from streams.cli.case_tables import file_content, print_approvals, print_cases, print_file, print_precision
from streams.cli.options import AsJson, Bootstrap, TopicPrefix
from streams.cli.tables import print_json
from streams.errors import Rejected
from streams.settings import load
from streams.stores.case import CaseState, Stage, content

app = typer.Typer(no_args_is_help=True)
app.add_typer(case_ladder.app, name="ladder", help="The ladder: its stages, and which hard steps are on.")


@app.command()
def serve(bootstrap: Bootstrap = None, topic_prefix: TopicPrefix = None) -> None:
    """Open, raise, take back and resolve cases as alerts come, until SIGTERM or Ctrl-C.

    It also follows promises by repayments, publishes what is done in cases, and ends pauses when their time has come.

    Example:
        ews cases serve
        EWS_DATABASE_URL=postgresql://ews:secret@db:5432/ews ews cases serve
    """
    run_case_process(load(bootstrap_servers=bootstrap, topic_prefix=topic_prefix))


@app.command()
def migrate() -> None:
    """Make the tables of the database of cases, or bring them up to this release. Each process does so when it starts.

    For an installation where one job alone may change tables.

    Example:
        EWS_DATABASE_URL=postgresql://ews:secret@db:5432/ews ews cases migrate
    """
    with case_store(load(), create=True):
        typer.echo("the tables of the cases are those of this release")


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
        print_json([content(case, ()) for case in found])
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
        print_json([file_content(file) for file in files])
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
        print_json(
            {"faults": verdict.faults, "cases": verdict.cases, "lines": verdict.head.number, "hash": verdict.head.hash}
        )
    else:
        for fault in verdict.faults:
            typer.echo(fault, err=True)
        typer.echo(f"{verdict.cases} cases, {verdict.head.number} audit lines, last hash {verdict.head.hash}")
    if verdict.faults:
        raise typer.Exit(1)


@app.command()
def board(
    limit: Annotated[int, typer.Option(min=0, max=500, help="The most urgent of each stage.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show the open cases by stage of the ladder: how many, and the most urgent of each.

    Example:
        ews cases board --limit 3
    """
    with open_desk(load()) as desk:
        columns = desk.board(limit)
    if as_json:
        print_json(
            {stage: {"count": c.count, "cases": [content(x, ()) for x in c.cases]} for stage, c in columns.items()}
        )
        return
    for stage, column in columns.items():
        typer.echo(f"{stage.replace('_', ' ')}: {column.count:,}")
        if column.cases:
            print_cases(column.cases)


@app.command()
def approvals(as_json: AsJson = False) -> None:
    """List the requests for hard steps that wait for a supervisor, the oldest first.

    Example:
        ews cases approvals
    """
    with open_desk(load()) as desk:
        waiting = desk.approvals()
    if as_json:
        print_json([asdict(each) for each in waiting])
    else:
        print_approvals(waiting)


@app.command()
def precision(as_json: AsJson = False) -> None:
    """Show how right each detector was, by what people and other case systems said of its alerts.

    `ews detectors NAME` counts the same from the topic, with an interval and the lead.

    Example:
        ews cases precision
    """
    with open_desk(load()) as desk:
        found = desk.precision()
    if as_json:
        print_json([asdict(each) | {"precision": each.precision} for each in found])
    else:
        print_precision(found)


@app.command()
def export(
    case: case_work.CaseOrBorrower,
    out: Annotated[Path, typer.Option(metavar="DIR|FILE.zip", help="Where to; nothing is ever written over.")],
    as_json: AsJson = False,
) -> None:
    """Write the evidence of a case: ledger, contacts, messages, notes, approvals, audit lines, and their SHA-256.

    The same state gives the same bytes. It is written even if the audit trail has faults, and says so. Exit 1 then.

    Example:
        ews cases export b-000042 --out evidence-b-000042.zip
        ews cases export 3b241101-e2bb-5255-8caf-4136c566a962 --out evidence
    """
    evidence = export_evidence(load(), case, out)
    faults = evidence.verdict.faults
    if as_json:
        head = evidence.verdict.head
        print_json({"case_id": evidence.file.case.case_id, "out": str(out), "faults": faults, "hash": head.hash})
    else:
        for fault in faults:
            typer.echo(fault, err=True)
        typer.echo(f"case {evidence.file.case.case_id}: {len(evidence.lines)} audit lines, in {out}")
    if faults:
        raise typer.Exit(1)


for _name, _command in case_work.COMMANDS.items():
    app.command(_name)(_command)
