"""Whose case it is, what is written on it, and which contacts were tried by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.casework.assignment import least_loaded, owned
from streams.casework.deed import begun
from streams.casework.facts import contact_made
from streams.casework.sla import restarted
from streams.errors import Conflict

if TYPE_CHECKING:
    from streams.casework.actions import Assign, LogContact, Note, Take
    from streams.casework.deed import Deed
    from streams.stores.case import Case


def take(deed: Deed, _action: Take) -> Case:
    """A case that nobody has becomes the actor's."""
    if deed.case.owner == deed.actor.account:
        raise Conflict("the case is yours already")
    if deed.case.owner is not None:
        raise Conflict(f"the case is {deed.case.owner}'s: assign it with a reason to take it over")
    return owned(deed.case, deed.actor.account)


def assign(deed: Deed, action: Assign) -> Case:
    """To a collector, or to the least loaded one besides whoever has it now."""
    before = deed.case.owner
    if before is not None and action.reason is None:
        raise Conflict(f"the case is {before}'s: taking it away needs a reason")
    to = action.to or least_loaded(deed.staff, besides=before)
    if not to:
        raise Conflict("there is nobody to give it to: no other collector takes cases")
    if to not in deed.staff:
        raise Conflict("there is no collector of that name who takes cases")
    if to == before:
        raise Conflict(f"the case is {to}'s already")
    deed.write(action.reason)
    deed.detail["to"] = to
    return owned(deed.case, to)


def note(deed: Deed, action: Note) -> Case:
    """Nothing changes but that it is written down."""
    deed.write(action.text)
    return deed.case


def log_contact(deed: Deed, action: LogContact) -> Case:
    """Somebody has acted: the time to act begins anew, and the contact counts against the caps."""
    if action.loan is not None:
        deed.loan(action.loan)
    contact_id = deed.id("contact")
    deed.write(action.note)
    deed.detail.update(contact_id=contact_id, channel=str(action.channel), reached=action.reached, loan=action.loan)
    deed.outgoing += contact_made(
        contact_id, deed.case.borrower, action.channel, action.loan, deed.at, reached=action.reached
    )
    return restarted(begun(replace(deed.case)), deed.at, deed.ladder)
