"""Borrowers: what is known of them, how they may be reached, whether they may be contacted now."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from schemas.fields import Token
from streams.api import answers
from streams.api.answers import answer
from streams.api.auth import Admin, Collector, Supervisor, Viewer
from streams.api.contact_body import ContactBody
from streams.api.problems import documented
from streams.api.reading import StrictRoute
from streams.api.rooms import TheContacts, TheDesk, TheRooms
from streams.casework.contact import Attempt, Channel, Kind, Refusal
from streams.casework.roles import Actor, Role
from streams.errors import Conflict, Misconfigured, NotAllowed, NotFound
from streams.stores.cipher import AddressUnreadable
from streams.stores.contacts import ContactStore, Put
from streams.stores.personal import erase_texts

router = APIRouter(prefix="/v1", tags=["borrowers"], route_class=StrictRoute)

Borrower = Annotated[Token, Path(description="A borrower's token.")]
MASK = "********"


class AttemptBody(BaseModel):
    """A contact that somebody is about to make."""

    model_config = ConfigDict(extra="forbid")

    borrower: Token
    loan: Token | None = None
    channel: Channel
    kind: Kind = Kind.COLLECTION


@router.get("/borrowers/{token}", summary="Show a borrower", response_model=answers.Borrower, responses=documented(404))
def show_borrower(token: Borrower, _actor: Viewer, desk: TheDesk) -> Response:
    """All that is known of a borrower but how to reach them."""
    return answer(answers.Borrower.of(desk.borrower(token)))


@router.get(
    "/borrowers/{token}/contact",
    summary="How a borrower may be reached",
    response_model=answers.ContactRecord,
    responses=documented(404),
)
def show_contact(
    token: Borrower,
    actor: Supervisor,
    rooms: TheRooms,
    contacts: TheContacts,
    reveal: Annotated[bool, Query(description="Show the addresses themselves. Admins only; it is noted down.")] = False,
) -> Response:
    """Zone, language, hours, consents and opt-outs; addresses masked unless an admin asks for them."""
    if reveal and not actor.role.reaches(Role.ADMIN):
        raise NotAllowed("Only an admin may see an address itself.")
    record = contacts.record(token)
    if record is None:
        raise NotFound("Nothing is known of how to reach this borrower.")
    shown = _revealed(contacts, token, actor, rooms) if reveal else {}
    masked = [vars_of(one) | {"address": shown.get(one.address_id, MASK)} for one in record.addresses]
    return answer(answers.ContactRecord.of(vars_of(record) | {"addresses": masked}))


def _revealed(contacts: ContactStore, token: str, actor: Actor, rooms: TheRooms) -> dict[str, str]:
    """The addresses. That somebody looked is written down first: no look without a line."""
    rooms.accounts.note("contact.revealed", actor, {"borrower": token}, at=rooms.now())
    try:
        return {one.known.address_id: one.address for one in contacts.revealed(token)}
    except AddressUnreadable:
        raise Conflict("An address cannot be read with the keys that are set: see EWS_CONTACTS_KEY.") from None


@router.put(
    "/borrowers/{token}/contact",
    summary="Say how a borrower may be reached",
    response_model=answers.Kept,
    responses=documented(409, 413, 415),
)
def put_contact(
    token: Borrower,
    body: ContactBody,
    actor: Supervisor,
    rooms: TheRooms,
    contacts: TheContacts,
    again: Annotated[bool, Query(description="Take on a borrower who was erased.")] = False,
) -> Response:
    """Add to what is known of reaching a borrower. Said twice, it changes nothing the second time."""
    record = body.record(token, f"api:{actor.account}", now=rooms.now(), packs=rooms.packs)
    outcome = contacts.put(record, rooms.now(), again=again)
    if outcome is Put.ERASED:
        raise Conflict("This borrower was erased. Send again=true if they are a customer once more.")
    if outcome is not Put.SAME:
        rooms.accounts.note("contact.changed", actor, {"borrower": token}, at=rooms.now())
    return answer(answers.Kept(outcome=outcome.value))


@router.delete(
    "/borrowers/{token}/contact",
    summary="Erase a borrower's data",
    response_model=answers.Erasure,
    responses=documented(),
)
def erase_contact(token: Borrower, actor: Admin, rooms: TheRooms, contacts: TheContacts) -> Response:
    """Delete how to reach a borrower, and blank what was written down of them. Again, it finds nothing.

    Tokens, figures and the audit trail stay.
    """
    erased = contacts.erase(token, rooms.now())  # First what could be sent to: stopped half way, it may be run again.
    texts = erase_texts(rooms.accounts.database, token, rooms.now())
    taken = {"addresses": erased.addresses, "notes": texts.notes}
    rooms.accounts.note("contact.erased", actor, {"borrower": token, **taken}, at=rooms.now())
    return answer(answers.Erasure(record=erased.record, **taken))


@router.post(
    "/contacts/check",
    summary="May this borrower be contacted now?",
    response_model=answers.Checked,
    responses=documented(413, 415),
)
def check_contact(body: AttemptBody, _actor: Collector, rooms: TheRooms) -> Response:
    """Judge a contact by every rule that holds for the borrower, at this moment in their time zone. Records nothing."""
    if rooms.check is None:
        raise Misconfigured("no contact rules are set up here")
    found = rooms.check(Attempt(**dict(body)), rooms.now())
    if not isinstance(found, Refusal):
        return answer(answers.Checked(allowed=True))
    return answer(answers.Checked.of(vars_of(found) | {"allowed": False}))


def vars_of(value: object) -> dict[str, object]:
    """The fields of a value, without going into them."""
    names: tuple[str, ...] = tuple(getattr(value, "__dataclass_fields__", ()))
    return {name: getattr(value, name) for name in names}
