"""What is agreed with a borrower, and what stops a case: promises, plans, hardship, disputes, holds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from schemas.events import ScheduleChangeReason
from streams.casework.deed import begun
from streams.casework.facts import promise_made, schedule_changed
from streams.casework.roles import Role
from streams.casework.sla import lifted, paused, restarted
from streams.errors import Conflict, NotAllowed, NotFound
from streams.stores import work
from streams.stores.case import Pause
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.casework import actions
    from streams.casework.deed import Deed
    from streams.stores.case import Case

WEST_OF_UTC = timedelta(hours=12)
"""So far behind UTC may a borrower's day be: what is today for them is not in the past."""
OF_SUPERVISORS = (ScheduleChangeReason.RE_AGE, ScheduleChangeReason.FORBEARANCE)
"""Both take days past due away; an extension and a plan do not."""
PLAN_DAYS_MAX = 366
"""How far from today a plan may begin, either way. Assumption."""


def promise(deed: Deed, action: actions.Promise) -> Case:
    """The clock stands still until its day has passed; a promise is an act, so the whole time is given after it."""
    loan, rules = deed.loan(action.loan), deed.ladder.promises
    if action.currency != loan.currency:
        raise Conflict(f"the loan is in {loan.currency}")
    earliest, latest = (deed.at - WEST_OF_UTC).date(), deed.at.date() + timedelta(days=rules.days_max)
    if not earliest <= action.promised_on <= latest:
        raise Conflict(f"a promise is for today or at most {rules.days_max} days later")
    if len(open_promises(deed.book.promises)) >= rules.open_max:
        raise Conflict(f"at most {rules.open_max} promises are open at a time: cancel one")
    made = work.Promise(
        promise_id=deed.id("promise"),
        case_id=deed.case.case_id,
        borrower=deed.case.borrower,
        loan=action.loan,
        currency=action.currency,
        amount_minor=action.amount_minor,
        promised_on=action.promised_on,
        made_at=deed.at,
        made_by=deed.actor.account,
        changed_at=deed.at,
    )
    deed.change_promise(made)
    deed.outgoing.append(promise_made(made))
    deed.detail.update(
        promise_id=made.promise_id,
        loan=made.loan,
        amount_minor=made.amount_minor,
        currency=made.currency,
        promised_on=made.promised_on.isoformat(),
    )
    return paused(restarted(begun(deed.case), deed.at, deed.ladder), Pause.PROMISE, deed.at)


def cancel_promise(deed: Deed, action: actions.CancelPromise) -> Case:
    """An open promise is no longer waited for."""
    found = next((p for p in deed.book.promises if p.promise_id == str(action.promise_id)), None)
    if found is None:
        raise NotFound("the case holds no such promise")
    if found.state is not PromiseState.OPEN:
        raise Conflict(f"the promise is {found.state} already")
    deed.write(action.reason)
    deed.detail["promise_id"] = found.promise_id
    deed.change_promise(replace(found, state=PromiseState.CANCELLED, changed_at=deed.at))
    if open_promises(deed.book.promises):
        return deed.case
    return lifted(deed.case, Pause.PROMISE, deed.at)


def hardship(deed: Deed, action: actions.Hardship) -> Case:
    """Asked for: collection stops until it is decided."""
    if Pause.HARDSHIP in deed.case.pauses:
        raise Conflict("hardship is asked for already: a supervisor decides")
    deed.write(action.note)
    return paused(replace(deed.case, breached_at=None), Pause.HARDSHIP, deed.at)


def decide_hardship(deed: Deed, action: actions.DecideHardship) -> Case:
    """Granted, somebody must agree on a plan in the usual time; refused, the case goes on."""
    if Pause.HARDSHIP not in deed.case.pauses:
        raise Conflict("no hardship is asked for")
    deed.write(action.note)
    deed.detail["granted"] = action.granted
    after = lifted(deed.case, Pause.HARDSHIP, deed.at)
    return restarted(replace(after, hardship_granted=action.granted), deed.at, deed.ladder)


def dispute(deed: Deed, action: actions.Dispute) -> Case:
    """The debt is disputed: collection stops until it is settled."""
    if Pause.DISPUTE in deed.case.pauses:
        raise Conflict("the debt is disputed already")
    deed.write(action.note)
    return paused(replace(deed.case, breached_at=None), Pause.DISPUTE, deed.at)


def end_dispute(deed: Deed, action: actions.EndDispute) -> Case:
    """Settled: the case goes on with the time that was left."""
    if Pause.DISPUTE not in deed.case.pauses:
        raise Conflict("the debt is not disputed")
    deed.write(action.note)
    return lifted(deed.case, Pause.DISPUTE, deed.at)


def hold(deed: Deed, action: actions.Hold) -> Case:
    """Stopped until a time, or until another time than before. A breach is not undone by it."""
    days = deed.ladder.holds.days_max
    if not deed.at < action.until <= deed.at + timedelta(days=days):
        raise Conflict(f"a hold ends in the future and at most {days} days from now")
    deed.write(action.reason)
    deed.detail["until"] = action.until.isoformat()
    return paused(replace(deed.case, hold_until=action.until), Pause.HOLD, deed.at)


def resume(deed: Deed, _action: actions.Resume) -> Case:
    """The hold ends now."""
    if Pause.HOLD not in deed.case.pauses:
        raise Conflict("the case is not on hold; promises, hardship and disputes have their own ends")
    return lifted(deed.case, Pause.HOLD, deed.at)


def plan(deed: Deed, action: actions.Plan) -> Case:
    """A new schedule goes to the engine, which ends the episodes that it settles."""
    if action.reason in OF_SUPERVISORS and not deed.actor.role.reaches(Role.SUPERVISOR):
        raise NotAllowed(
            f"{action.reason} needs the role {Role.SUPERVISOR}, {deed.actor.account} has {deed.actor.role}"
        )
    deed.loan(action.loan)
    if abs(action.effective_on - deed.at.date()) > timedelta(days=PLAN_DAYS_MAX):
        raise Conflict(f"a plan begins at most {PLAN_DAYS_MAX} days from today")
    agreed = work.Plan(
        plan_id=deed.id("plan"),
        case_id=deed.case.case_id,
        borrower=deed.case.borrower,
        loan=action.loan,
        reason=action.reason.value,
        effective_on=action.effective_on,
        until=action.until,
        schedule=tuple(line.model_dump(mode="json") for line in action.schedule),
        agreed_at=deed.at,
        agreed_by=deed.actor.account,
    )
    deed.plans.append(agreed)
    deed.book = replace(deed.book, plans=tuple(sorted((*deed.book.plans, agreed), key=lambda p: p.plan_id)))
    deed.outgoing.append(schedule_changed(agreed, action.as_fact()))
    deed.detail.update(
        plan_id=agreed.plan_id,
        loan=agreed.loan,
        kind=agreed.reason,
        effective_on=agreed.effective_on.isoformat(),
        installments=len(agreed.schedule),
    )
    return restarted(begun(replace(deed.case, hardship_granted=False)), deed.at, deed.ladder)


def open_promises(promises: Iterable[work.Promise]) -> list[work.Promise]:
    """Those that are still waited for."""
    return [promise for promise in promises if promise.state is PromiseState.OPEN]
