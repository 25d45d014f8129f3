"""Hard steps: somebody asks, a supervisor who did not ask decides. A step that is off cannot be asked for."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.casework.deed import begun
from streams.casework.ladder import STAGE_OF
from streams.errors import Conflict, NotAllowed, NotFound
from streams.stores.case import Pause, Stage
from streams.stores.work import Approval, ApprovalState

if TYPE_CHECKING:
    from streams.casework.actions import DecideApproval, RequestApproval
    from streams.casework.deed import Deed
    from streams.stores.case import Case
    from streams.stores.work import HardStep


def request(deed: Deed, action: RequestApproval) -> Case:
    """The request waits for a supervisor."""
    _possible(deed, action.step)
    if any(a.step is action.step and a.state is ApprovalState.REQUESTED for a in deed.book.approvals):
        raise Conflict(f"{action.step} is asked for already: a supervisor decides")
    wanted = Approval(
        approval_id=deed.id("approval"),
        case_id=deed.case.case_id,
        step=action.step,
        state=ApprovalState.REQUESTED,
        requested_at=deed.at,
        requested_by=deed.actor.account,
        note_id=deed.write(action.reason),
    )
    _keep(deed, wanted)
    return begun(deed.case)


def decide(deed: Deed, action: DecideApproval) -> Case:
    """Approved, the step may be carried out; a step of the ladder then no longer waits."""
    found = next((a for a in deed.book.approvals if a.approval_id == str(action.approval_id)), None)
    if found is None:
        raise NotFound("the case holds no such request")
    if found.state is not ApprovalState.REQUESTED:
        raise Conflict(f"the request is {found.state} already")
    if found.requested_by == deed.actor.account:
        raise NotAllowed("who asked for a step does not decide on it: another supervisor must")
    if action.approve:
        _possible(deed, found.step)
    deed.write(action.note)
    state = ApprovalState.APPROVED if action.approve else ApprovalState.DECLINED
    _keep(deed, replace(found, state=state, decided_at=deed.at, decided_by=deed.actor.account))
    stage = STAGE_OF.get(found.step)
    if not action.approve or stage is None:
        return deed.case
    known = Stage(deed.case.approved_stage) if deed.case.approved_stage else stage
    return replace(deed.case, approved_stage=max(stage, known, key=lambda each: each.rank).value)


def _possible(deed: Deed, step: HardStep) -> None:
    """Whether a hard step may be thought of at all. Raises Conflict with what stands against it."""
    case = deed.case
    if not deed.ladder.is_on(step):
        raise Conflict(f"{step} is off: EWS_HARD_STEPS={step} switches it on")
    if case.deceased:
        raise Conflict("the borrower is reported dead: no hard step is taken")
    if case.hardship_granted or {Pause.HARDSHIP, Pause.DISPUTE} & set(case.pauses):
        raise Conflict("hardship or a dispute stands against hard steps")
    if case.stance in deed.ladder.stances:
        raise Conflict(f"the borrower seems {case.stance} to pay: hard steps are held back, offer a plan")


def _keep(deed: Deed, approval: Approval) -> None:
    every = {known.approval_id: known for known in (*deed.book.approvals, approval)}
    deed.approvals.append(approval)
    deed.book = replace(deed.book, approvals=tuple(every[each] for each in sorted(every)))
    deed.detail.update(approval_id=approval.approval_id, step=str(approval.step), state=str(approval.state))
