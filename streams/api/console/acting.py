"""What people do on a page: a form becomes an action, the desk does it, and the case is shown again.

What cannot be done comes back as the form with what was typed and the reason. If somebody else changed the case in the
meantime, the page says what they did, and nothing of either is lost.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter
from fastapi.responses import RedirectResponse, Response

from streams.api.console import looking
from streams.api.console.offers import form_of
from streams.api.console.room import Room, link
from streams.api.console.sessions import SEE_OTHER, Ours, Who, Within
from streams.api.console.typed import Mistyped, action_of
from streams.api.desk import Answered, Reply
from streams.errors import Conflict, NotFound, Stale
from streams.stores.requests import answer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from streams.api.console.room import Session
    from streams.api.desk import CaseFile
    from streams.casework.actions import Action

router = APIRouter()
OWN = ("version", "seen", "once", "back")
"""Fields of every form that are no part of the action."""
ONCE_CHARS_MAX = 64
DIGITS_MAX = 18


@router.post("/cases/{case_id}/{kind}")
def act(room: Within, who: Who, fields: Ours, case_id: str, kind: str) -> Response:
    """Do it."""
    file = room.desk.case(case_id)
    ground = looking.ground(room, who.actor, file)
    typed = {name: value for name, value in fields.items() if name not in OWN}
    if form_of(kind, ground, typed) is None:
        raise NotFound("there is no such action")
    there = RedirectResponse(_back(fields, case_id), SEE_OTHER)
    try:
        action = action_of(kind, typed, ground)
        _done(room, who, case_id, action, fields)
    except Mistyped as wrong:
        return _again(room, who, case_id, kind, fields, faults=wrong.faults, status=422)
    except Stale:
        return _again(room, who, case_id, kind, fields, stale=True, status=409)
    except Conflict as why:
        return _again(room, who, case_id, kind, fields, faults={"": str(why)}, status=409)
    return there


def _done(room: Room, who: Session, case_id: str, action: Action, fields: Mapping[str, str]) -> None:
    """Do it once, however often the form is sent."""
    once = fields.get("once", "")[:ONCE_CHARS_MAX]
    version = _number(fields, "version")
    account = who.actor.account
    if not once:
        room.desk.act(case_id, action, who.actor, version=version)
        return
    key = f"console:{once}"
    said = hashlib.sha256(repr((case_id, version, action.model_dump(mode="json"))).encode()).hexdigest()
    if _is_done(room, account, key, said):
        return
    try:
        room.desk.act(case_id, action, who.actor, version=version, reply=Reply(account, key, said, _rendered))
    except Answered:
        _is_done(room, account, key, said)


def _is_done(room: Room, account: str, key: str, said: str) -> bool:
    """Whether this form was done. Raises Conflict where it was sent with something else in it, which nobody has done.

    A browser that goes back shows the page as it was: what is then typed into it is not to be lost without a word.
    """
    answered = answer_of(room.desk.database, account, key)
    if answered is not None and answered.fingerprint != said:
        raise Conflict("this page was used for something else already, and this was not done: look, and send it again")
    return answered is not None


def _number(fields: Mapping[str, str], name: str) -> int | None:
    """A number that a page of ours put into its form."""
    text = fields.get(name, "")
    return int(text) if text.isdecimal() and len(text) <= DIGITS_MAX else None


def _rendered(_file: CaseFile) -> tuple[int, str, str | None]:
    return SEE_OTHER, "", None


def _again(
    room: Room, who: Session, case_id: str, kind: str, fields: Mapping[str, str], *,
    status: int, faults: Mapping[str, str] | None = None, stale: bool = False,
) -> Response:  # fmt: skip
    """The form with what was typed, why it was not done, and what others did meanwhile."""
    file = room.desk.case(case_id)
    ground = looking.ground(room, who.actor, file)
    form = form_of(kind, ground, fields)
    shown = _number(fields, "seen")
    meanwhile = looking.since(file, shown) if stale and shown is not None else []
    faults = dict(faults or {})
    known = {field.name for field in form.fields} if form else set()
    stray = [f"{name}: {fault}" if name else fault for name, fault in faults.items() if name not in known]
    values: dict[str, Any] = {
        "form": form, "file": file, "faults": faults, "stray": stray, "stale": stale, "meanwhile": meanwhile,
        "once": looking.once(), "seen": looking.seen(file), "back": fields.get("back", ""),
        "card": looking.card(file.case, room.now()),
    }  # fmt: skip
    return room.page("again", who, status=status, at="case", **values)


def _back(fields: Mapping[str, str], case_id: str) -> str:
    """Where to go when it is done: the page that the form stood on."""
    return link("approvals") if fields.get("back") == "approvals" else link("cases", case_id) + "#done"
