"""What a person's action does to a case. Pure: the book and the action in, the changed book and its audit line out.

The checks come first and in one place: the role, then whether the case is open. What an action itself asks for stands
in `ownership`, `agreements` and `endings`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from streams.casework import agreements, approvals, endings, ownership
from streams.casework.actions import (
    Assign,
    CancelPromise,
    Close,
    DecideApproval,
    DecideHardship,
    Dispute,
    EndDispute,
    Hardship,
    Hold,
    Judge,
    LogContact,
    Note,
    Plan,
    Promise,
    Reopen,
    RequestApproval,
    Resume,
    Take,
)
from streams.casework.changes import Acted, Change, differences, moved, sealed
from streams.casework.deed import Deed
from streams.casework.ladder import placed
from streams.casework.sla import with_end
from streams.errors import Conflict, NotAllowed
from streams.stores.case import Entry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from streams.casework.actions import Action
    from streams.casework.ladder import Ladder
    from streams.casework.roles import Actor
    from streams.stores.case import Book, Case

_DOES: dict[type, Callable[[Deed, Any], Case]] = {
    Take: ownership.take,
    Assign: ownership.assign,
    Note: ownership.note,
    LogContact: ownership.log_contact,
    Promise: agreements.promise,
    CancelPromise: agreements.cancel_promise,
    Hardship: agreements.hardship,
    DecideHardship: agreements.decide_hardship,
    Dispute: agreements.dispute,
    EndDispute: agreements.end_dispute,
    Hold: agreements.hold,
    Resume: agreements.resume,
    Plan: agreements.plan,
    RequestApproval: approvals.request,
    DecideApproval: approvals.decide,
    Judge: endings.judge,
    Close: endings.close,
    Reopen: endings.reopen,
}
_OF_ENDED = (Note, Judge, Reopen)
"""What may still be done to a case that has ended."""


def act(
    book: Book, action: Action, actor: Actor, at: datetime, rules: Ladder, *, staff: Mapping[str, int] | None = None
) -> Acted:
    """Do it. Raises NotAllowed, NotFound or Conflict, and then nothing was changed.

    `staff` is who takes cases, each with the number of their open ones.
    """
    before = book.case
    assert before is not None, "an action needs a case"
    if not actor.role.reaches(action.needs):
        raise NotAllowed(f"{action.kind} needs the role {action.needs}, {actor.account} has {actor.role}")
    if before.closed_at is not None and not isinstance(action, _OF_ENDED):
        raise Conflict("the case has ended: reopen it first")
    deed = Deed(book=book, case=before, actor=actor, at=at, ladder=rules, staff=staff or {})
    after = _DOES[type(action)](deed, action)
    after = placed(with_end(after, deed.book.promises, rules), deed.book, rules)
    return _acted(deed, after, action)


def _acted(deed: Deed, after: Case, action: Action) -> Acted:
    book = moved(deed.book, after, deed.at)
    assert book.case is not None
    changes = differences(deed.case, after)
    detail = {**deed.detail, **({"changes": changes} if changes else {})}
    entry = Entry(after.case_id, deed.at, deed.actor.account, f"case.{_SPOKEN.get(action.kind, action.kind)}", detail)
    return Acted(
        book=book,
        case=book.case,
        change=_CHANGES.get(type(action), Change.WORKED),
        entries=sealed(book, (entry,)),
        episodes=tuple(deed.episodes),
        promises=tuple(deed.promises),
        approvals=tuple(deed.approvals),
        plans=tuple(deed.plans),
        notes=tuple(deed.notes),
        judgements=tuple(deed.judgements),
        outgoing=tuple(deed.outgoing),
    )


_CHANGES = {Assign: Change.ASSIGNED, Take: Change.ASSIGNED, Close: Change.CLOSED, Reopen: Change.REOPENED}
_SPOKEN = {
    "take": "taken",
    "assign": "assigned",
    "note": "noted",
    "promise": "promise_made",
    "cancel_promise": "promise_cancelled",
    "hardship": "hardship_requested",
    "decide_hardship": "hardship_decided",
    "dispute": "disputed",
    "end_dispute": "dispute_ended",
    "hold": "held",
    "resume": "resumed",
    "plan": "plan_agreed",
    "request_approval": "approval_requested",
    "decide_approval": "approval_decided",
    "log_contact": "contact_logged",
    "judge": "judged",
    "close": "closed",
    "reopen": "reopened",
}
