"""What people do to a case from the command line. Every command is one action of `streams.casework.actions`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from schemas.events import ScheduleChangeReason
from schemas.outcomes import Verdict
from streams.bootstrap.casework import act, action, loan_and_currency, plan_in
from streams.casework.contact import Channel
from streams.casework.roles import Role
from streams.cli.case_tables import file_content, state_of
from streams.cli.options import AsJson
from streams.cli.tables import print_json
from streams.settings import load
from streams.stores.work import HardStep

CaseOrBorrower = Annotated[
    str, typer.Argument(metavar="CASE_OR_BORROWER", help="A case id, or a borrower token for the open case.")
]
By = Annotated[str | None, typer.Option("--by", metavar="ACCOUNT", help="Who acts; without it, your login.")]
As = Annotated[Role, typer.Option("--role", help="As what; rights are checked as over HTTP.")]
Why = Annotated[str, typer.Option("--reason", metavar="TEXT", help="Why.")]
Said = Annotated[str, typer.Option("--note", metavar="TEXT", help="What was said.")]
MaybeSaid = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="What else is to be known.")]
Loan = Annotated[str | None, typer.Option("--loan", metavar="TOKEN", help="The loan; not needed if there is one.")]
ANYBODY = Role.SUPERVISOR
"""Whoever can open the database may do anything: the role is for those who want it checked."""


def take(case: CaseOrBorrower, *, by: By = None, role: As = ANYBODY, as_json: AsJson = False) -> None:
    """Make a case that nobody has one's own.

    Example:
        ews cases take b-000042 --by c-17
    """
    _do(case, by, role, as_json, "take")


def assign(
    case: CaseOrBorrower,
    *,
    to: Annotated[str, typer.Option(metavar="ACCOUNT", help="Without it, the collector with the fewest cases.")] = "",
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Needed to take it from somebody.")] = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Give a case to a collector.

    Example:
        ews cases assign b-000042
        ews cases assign b-000042 --to c-17 --reason "speaks the language"
    """
    _do(case, by, role, as_json, "assign", to=to, reason=reason)


def note(
    case: CaseOrBorrower,
    *,
    text: Annotated[str, typer.Argument(metavar="TEXT", help="At most 2,000 characters.")],
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write something down.

    Example:
        ews cases note b-000042 "will call back on Friday" --by c-17
    """
    _do(case, by, role, as_json, "note", text=text)


def promise(
    case: CaseOrBorrower,
    *,
    amount_minor: Annotated[int, typer.Option(metavar="N", help="How much, in minor units (cents).")],
    on: Annotated[str, typer.Option(metavar="DATE", help="The day, such as 2026-03-06.")],
    loan: Loan = None,
    currency: Annotated[str | None, typer.Option(metavar="CODE", help="Without it, that of the loan.")] = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write down a promise to pay. It is published to `repayments`, and repayments tell whether it is kept.

    Example:
        ews cases promise b-000042 --amount-minor 86000 --on 2026-03-06 --by c-17
    """
    loan, currency = loan_and_currency(load(), case, loan, currency)
    fields = {"loan": loan, "amount_minor": amount_minor, "currency": currency, "promised_on": on}
    _do(case, by, role, as_json, "promise", **fields)


def cancel_promise(
    case: CaseOrBorrower,
    *,
    promise_id: Annotated[str, typer.Argument(metavar="PROMISE", help="Its id, as `ews cases show` has it.")],
    reason: Why,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Take back a promise that was written down by mistake or was replaced.

    Example:
        ews cases cancel-promise b-000042 6a3f1f0e-0b1c-5d35-9a1b-0c2f4e8f2a11 --reason "another loan was meant"
    """
    _do(case, by, role, as_json, "cancel_promise", promise_id=promise_id, reason=reason)


def hardship(
    case: CaseOrBorrower,
    *,
    note: Said,
    granted: Annotated[bool | None, typer.Option("--granted/--refused", help="A supervisor's decision.")] = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write down that the borrower asked for help, or decide on it. Collection and the clock stop.

    Example:
        ews cases hardship b-000042 --note "lost the job in February" --by c-17
        ews cases hardship b-000042 --granted --note "plan to follow" --by s-2
    """
    if granted is None:
        _do(case, by, role, as_json, "hardship", note=note)
    else:
        _do(case, by, role, as_json, "decide_hardship", granted=granted, note=note)


def dispute(
    case: CaseOrBorrower,
    *,
    note: Said,
    end: Annotated[bool, typer.Option("--end", help="The dispute is settled.")] = False,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write down that the borrower disputes the debt, or that this is settled.

    Example:
        ews cases dispute b-000042 --note "says that it was paid in January" --by c-17
        ews cases dispute b-000042 --end --note "the payment was another loan's" --by c-17
    """
    _do(case, by, role, as_json, "end_dispute" if end else "dispute", note=note)


def hold(
    case: CaseOrBorrower,
    *,
    until: Annotated[str, typer.Option(metavar="TIME", help="2026-03-06 (0:00 UTC) or a time with its offset.")],
    reason: Why,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Stop a case until a time.

    Example:
        ews cases hold b-000042 --until 2026-03-06 --reason "waits for the insurer" --by c-17
        ews cases hold b-000042 --until 2026-03-06T09:00:00+08:00 --reason "in hospital"
    """
    whole = until if "T" in until or " " in until else f"{until}T00:00:00Z"
    _do(case, by, role, as_json, "hold", until=whole, reason=reason)


def resume(case: CaseOrBorrower, *, by: By = None, role: As = ANYBODY, as_json: AsJson = False) -> None:
    """End a hold before its time.

    Example:
        ews cases resume b-000042 --by c-17
    """
    _do(case, by, role, as_json, "resume")


def plan(
    case: CaseOrBorrower,
    *,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A .json or .toml file with the plan.")],
    loan: Loan = None,
    reason: Annotated[ScheduleChangeReason | None, typer.Option(help="In place of the file's.")] = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write down a new schedule that was agreed. It is published to `repayments`, and days past due follow it.

    The file has reason (extension, plan, re_age, forbearance), effective_on, until (of forbearance) and schedule: a
    list of number, due_on and amount_minor of the installments that are not paid yet.

    Example:
        ews cases plan b-000042 plan.toml --by s-2
        ews cases plan b-000042 plan.json --loan l-7 --reason extension
    """
    fields = plan_in(file)
    if loan is not None:
        fields["loan"] = loan
    elif "loan" not in fields:
        fields["loan"], _ = loan_and_currency(load(), case, None, None)
    if reason is not None:
        fields["reason"] = reason
    fields.pop("kind", None)
    _do(case, by, role, as_json, "plan", **fields)


def request(
    case: CaseOrBorrower,
    *,
    step: Annotated[HardStep, typer.Argument(help="The hard step.")],
    reason: Why,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Ask a supervisor for a hard step. It must be switched on (EWS_HARD_STEPS).

    Example:
        ews cases request b-000042 lawyers_letter --reason "no answer for 60 days" --by c-17
    """
    _do(case, by, role, as_json, "request_approval", step=step, reason=reason)


Request = Annotated[str, typer.Argument(metavar="REQUEST", help="The request's id, as `ews cases approvals` has it.")]


def approve(
    case: CaseOrBorrower, *, approval: Request, note: MaybeSaid = None, by: By = None, role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Approve a hard step that somebody else asked for.

    Example:
        ews cases approve b-000042 6a3f1f0e-0b1c-5d35-9a1b-0c2f4e8f2a11 --by s-2
    """
    _do(case, by, role, as_json, "decide_approval", approval_id=approval, approve=True, note=note)


def decline(
    case: CaseOrBorrower, *, approval: Request, note: MaybeSaid = None, by: By = None, role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Decline a hard step that somebody else asked for.

    Example:
        ews cases decline b-000042 6a3f1f0e-0b1c-5d35-9a1b-0c2f4e8f2a11 --note "offer a plan first" --by s-2
    """
    _do(case, by, role, as_json, "decide_approval", approval_id=approval, approve=False, note=note)


def contact(
    case: CaseOrBorrower,
    *,
    channel: Annotated[Channel, typer.Argument(help="How it was tried.")],
    reached: Annotated[bool, typer.Option("--reached/--not-reached", help="Whether you spoke.")],
    loan: Annotated[str | None, typer.Option(metavar="TOKEN", help="The loan, where one was meant.")] = None,
    note: MaybeSaid = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Write down a contact that was tried by hand. It counts for the caps of the contact rules.

    Example:
        ews cases contact b-000042 call --not-reached --by c-17
    """
    _do(case, by, role, as_json, "log_contact", channel=channel, reached=reached, loan=loan, note=note)


def outcome(
    case: CaseOrBorrower,
    *,
    verdict: Annotated[Verdict, typer.Argument(help="What the alerts turned out to be.")],
    episode: Annotated[
        str | None, typer.Option(metavar="EPISODE", help="Only of this one; without it, of all not judged yet.")
    ] = None,
    note: MaybeSaid = None,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """Say whether the alerts were right. It is published to `alert-outcomes` and makes the detector's precision.

    Example:
        ews cases outcome b-000042 confirmed_risk --by c-17
    """
    _do(case, by, role, as_json, "judge", verdict=verdict, episode_id=episode, note=note)


def close(
    case: CaseOrBorrower,
    *,
    closed_as: Annotated[str, typer.Option("--as", metavar="HOW", help="settled, uncollectable or other.")],
    reason: Why,
    by: By = None,
    role: As = ANYBODY,
    as_json: AsJson = False,
) -> None:
    """End a case by hand.

    Example:
        ews cases close b-000042 --as settled --reason "paid in the branch" --by s-2
    """
    _do(case, by, role, as_json, "close", closed_as=closed_as, reason=reason)


def reopen(case: CaseOrBorrower, *, reason: Why, by: By = None, role: As = ANYBODY, as_json: AsJson = False) -> None:
    """Take up a case that was ended; of a borrower the latest one.

    Example:
        ews cases reopen b-000042 --reason "the payment was returned" --by s-2
    """
    _do(case, by, role, as_json, "reopen", reason=reason)


COMMANDS: dict[str, Callable[..., None]] = {
    "take": take, "assign": assign, "note": note, "promise": promise, "cancel-promise": cancel_promise,
    "hardship": hardship, "dispute": dispute, "hold": hold, "resume": resume, "plan": plan, "contact": contact,
    "request": request, "approve": approve, "decline": decline, "outcome": outcome, "close": close, "reopen": reopen,
}  # fmt: skip
"""The commands by their names."""


def _do(case: str, by: str | None, role: Role, as_json: bool, kind: str, /, **fields: Any) -> None:
    """Act and say where the case stands then."""
    file = act(load(), case, action(kind, **fields), by=by, role=role)
    if as_json:
        print_json(file_content(file))
        return
    done = file.history[-1].action if file.history else kind
    typer.echo(f"{done}: case {file.case.case_id} of {file.case.borrower} is {state_of(file.case)}")
