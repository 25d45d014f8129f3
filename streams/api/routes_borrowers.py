"""Borrowers: what is known of them, how they may be reached, whether they may be contacted now."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from starlette.responses import Response

from schemas.fields import Time, Token, Zone
from streams.api import answers
from streams.api.answers import answer
from streams.api.auth import Admin, Collector, Supervisor, Viewer
from streams.api.problems import documented
from streams.api.reading import StrictRoute
from streams.api.rooms import TheContacts, TheDesk, TheRooms
from streams.casework.contact import Attempt, Channel, IncomingRecord, Kind, NewAddress, Refusal
from streams.casework.roles import Actor, Role
from streams.errors import Conflict, NotAllowed, NotFound, Unavailable
from streams.stores.contacts import ContactStore, Put

router = APIRouter(prefix="/v1", tags=["borrowers"], route_class=StrictRoute)

Borrower = Annotated[Token, Path(description="A borrower's token.")]
MASK = "********"
ADDRESSES_MAX = 50
PACK = r"^[a-z_]{1,32}$"


class NewAddressBody(BaseModel):
    """A way to reach the borrower."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    channel: Channel
    address: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=320)]
    """The number, mail address or token itself. It is encrypted, and shown to admins who ask for it alone."""
    consented_at: Time | None = None
    """When the borrower agreed to be contacted there; without it nobody is."""
    consent_source: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = None
    """Where the consent can be found."""
    third_party: bool = False
    """It belongs to somebody else: nothing of a debt may be said there."""


class ContactBody(BaseModel):
    """How and when a borrower may be reached. Adds to what is known; an earlier opt-out stands."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)

    zone: Zone
    """The borrower's own time zone, an IANA name."""
    language: Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$", max_length=35)]
    """BCP 47."""
    packs: Annotated[tuple[Annotated[str, StringConstraints(pattern=PACK)], ...], Field(max_length=20)] = ()
    """Packs of contact rules that hold beside those of the installation."""
    country: Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}(-[A-Z0-9]{1,3})?$")] | None = None
    """ISO 3166-1, with a subdivision or without."""
    preferred: tuple[time, time] | None = None
    """Local hours that the borrower asked for, from and until."""
    opted_out_at: Time | None = None
    """When the borrower opted out of everything."""
    addresses: Annotated[tuple[NewAddressBody, ...], Field(max_length=ADDRESSES_MAX)] = ()


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
    return {one.known.address_id: one.address for one in contacts.revealed(token)}


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
    fields = {name: getattr(body, name) for name in ContactBody.model_fields if name != "addresses"}
    addresses = tuple(NewAddress(**one.model_dump()) for one in body.addresses)
    record = IncomingRecord(borrower=token, source=f"api:{actor.account}", addresses=addresses, **fields)
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
    """Delete how to reach a borrower. The audit trail keeps the token. Again, it finds nothing."""
    erased = contacts.erase(token, rooms.now())
    rooms.accounts.note("contact.erased", actor, {"borrower": token, "addresses": erased.addresses}, at=rooms.now())
    return answer(answers.Erasure(record=erased.record, addresses=erased.addresses, notes=0))


@router.post(
    "/contacts/check",
    summary="May this borrower be contacted now?",
    response_model=answers.Checked,
    responses=documented(413, 415),
)
def check_contact(body: AttemptBody, _actor: Collector, rooms: TheRooms) -> Response:
    """Judge a contact by every rule that holds for the borrower, at this moment in their time zone. Records nothing."""
    if rooms.check is None:
        raise Unavailable("no contact rules are set up here")
    found = rooms.check(Attempt(**dict(body)))
    if not isinstance(found, Refusal):
        return answer(answers.Checked(allowed=True))
    return answer(answers.Checked.of(vars_of(found) | {"allowed": False}))


def vars_of(value: object) -> dict[str, object]:
    """The fields of a value, without going into them."""
    names: tuple[str, ...] = tuple(getattr(value, "__dataclass_fields__", ()))
    return {name: getattr(value, name) for name in names}
