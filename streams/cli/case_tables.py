"""Cases for people: tables on a terminal, tab-separated lines in a pipe."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.stores.case import content

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from streams.api.desk import CaseFile as WholeFile
    from streams.api.desk import Precision
    from streams.stores.case import AuditLine, Case
    from streams.stores.cases import CaseFile
    from streams.stores.work import Approval

_CASES = ("case", "borrower", "state", "stage", "severity", "DPD", "due", "next step")
_LOANS = ("loan", "DPD", "bucket", "overdue", "outstanding", "currency", "as of")
_EPISODES = ("episode", "detector", "loan", "status", "severity", "step", "onset", "reason")
_PROMISES = ("promise", "loan", "amount", "paid", "currency", "by", "state")
_PLANS = ("plan", "loan", "reason", "from", "until", "installments", "agreed")
_APPROVALS = ("request", "step", "state", "asked by", "asked", "decided by")
_NOTES = ("when", "who", "note")
_HISTORY = ("line", "when", "who", "what", "detail")


def print_cases(cases: Sequence[Case]) -> None:
    """One line for each case."""
    rows = [
        (c.case_id, c.borrower, state_of(c), stage_of(c), c.severity, c.days_past_due, _time(c.due_at), c.next_step)
        for c in cases
    ]
    _print("", _CASES, rows)


def print_file(file: CaseFile) -> None:
    """Everything about one case."""
    case = file.case
    _heading(f"Case {case.case_id} of borrower {case.borrower}")
    facts = {
        "state": state_of(case),
        "stage": stage_of(case),
        "severity": case.severity,
        "next step": case.next_step,
        "owner": case.owner or "nobody yet",
        "due": _time(case.due_at),
        "opened": _time(case.opened_at),
        "changed": _time(case.changed_at),
        "closed": _time(case.closed_at),
    }
    _print("", ("", ""), [(name, value) for name, value in facts.items() if value])
    loans = [
        (x.loan, x.days_past_due, x.bucket, x.overdue_minor, x.outstanding_minor, x.currency, _time(x.as_of))
        for x in case.loans
    ]
    _print("Loans (amounts in minor units)", _LOANS, loans)
    episodes = [
        (e.episode_id, e.detector, e.loan or "", _status(e.status, e.resolution), e.severity, e.step, e.onset, e.reason)
        for e in file.episodes
    ]
    _print("Episodes", _EPISODES, episodes)
    _print_work(file)
    _print("History", _HISTORY, [(x.number, _time(x.at), x.actor, x.action, _detail(x)) for x in file.history])


def _print_work(file: CaseFile) -> None:
    """What people did, where there is something of it."""
    promises = [
        (p.promise_id, p.loan, p.amount_minor, p.paid_minor, p.currency, p.promised_on, p.state) for p in file.promises
    ]
    plans = [
        (p.plan_id, p.loan, p.reason, p.effective_on, p.until or "", len(p.schedule), _time(p.agreed_at))
        for p in file.plans
    ]
    notes = [(_time(n.at), n.by, n.text if n.erased_at is None else "(erased)") for n in file.notes]
    judgements = [(j.episode_id, j.detector, j.verdict, _time(j.decided_at), j.decided_by) for j in file.judgements]
    for title, columns, rows in (
        ("Promises (amounts in minor units)", _PROMISES, promises),
        ("Plans", _PLANS, plans),
        ("Requests for hard steps", _APPROVALS, [_request(each) for each in file.approvals]),
        ("Notes", _NOTES, notes),
        ("Outcomes", ("episode", "detector", "outcome", "decided", "by"), judgements),
    ):
        if rows:
            _print(title, columns, rows)


def _request(each: Approval) -> tuple[Any, ...]:
    return (
        each.approval_id, each.step, each.state, each.requested_by, _time(each.requested_at), each.decided_by or "",
    )  # fmt: skip


def print_approvals(waiting: Sequence[Approval]) -> None:
    """Requests for hard steps, with the case that each is of."""
    _print("", ("case", *_APPROVALS), [(each.case_id, *_request(each)) for each in waiting])


def print_precision(found: Sequence[Precision]) -> None:
    """How right each detector was, as it was judged."""
    columns = ("detector", "precision", "judged", "confirmed risk", "valuable alert", "false positive")
    rows = [
        (p.detector, f"{p.precision:.0%}", p.confirmed_risk + p.valuable_alert + p.false_positive, p.confirmed_risk,
         p.valuable_alert, p.false_positive)
        for p in found
    ]  # fmt: skip
    _print("", columns, rows)


def file_content(file: CaseFile | WholeFile) -> dict[str, Any]:
    """A case with everything in it, ready for JSON."""
    work = content(file.case, file.episodes, file.promises, file.approvals, file.plans)
    more: dict[str, Any] = {"history": [_line(line) for line in file.history]}
    if file.notes:
        more["notes"] = [asdict(note) for note in file.notes]
    if file.judgements:
        more["judgements"] = [asdict(judgement) for judgement in file.judgements]
    return work | more


def _line(line: AuditLine) -> dict[str, object]:
    return {name: getattr(line, name) for name in ("number", "at", "actor", "action", "detail")}


def state_of(case: Case) -> str:
    """The state, and as what it was closed."""
    return _status(case.state.replace("_", " "), case.closed_as)


def stage_of(case: Case) -> str:
    """The stage, and whether it waits for a supervisor."""
    stage = case.stage.replace("_", " ")
    return f"{stage} (needs approval)" if case.needs_approval else stage


def _status(status: str, more: str | None) -> str:
    return f"{status} ({more})" if more else status


def _detail(line: AuditLine) -> str:
    detail = line.detail
    changes = [
        f"{name} {old} -> {new}" for name, (old, new) in detail.get("changes", {}).items() if name != "next_step"
    ]
    return "; ".join(changes or [str(detail.get("reason", ""))])


def _time(value: datetime | None) -> str:
    return "" if value is None else f"{value:%Y-%m-%d %H:%M} UTC"


def _heading(text: str) -> None:
    if sys.stdout.isatty():
        Console().rule(Text(text), align="left")
    else:
        typer.echo(text)


def _print(title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Cells are text and never markup: what they hold comes from outside."""
    every = [[str(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        lines = [columns, *every] if any(columns) else every
        for line in ([[title]] if title else []) + [list(line) for line in lines]:
            typer.echo("\t".join(cell.replace("\t", " ").replace("\n", " ") for cell in line))
        return
    table = Table(title=title or None, show_header=any(columns), title_justify="left")
    for column in columns:
        table.add_column(column, justify="right" if column in {"DPD", "overdue", "outstanding"} else "left")
    for row in every:
        table.add_row(*map(Text, row))
    Console().print(table)
