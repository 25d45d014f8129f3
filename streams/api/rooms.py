"""What the routes work with: handed in when the application is built, given to each route by its type."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from streams.api.desk import Desk
from streams.casework.contact import Allowed, Attempt, Refusal
from streams.errors import Misconfigured
from streams.stores.accounts import AccountStore
from streams.stores.cases import CaseStore
from streams.stores.contacts import ContactStore
from streams.stores.messages import MessageStore
from streams.stores.operations import OperationsStore


@dataclass(frozen=True, slots=True, kw_only=True)
class Rooms:
    """`app.state.rooms` of the application."""

    desk: Desk
    accounts: AccountStore
    cases: CaseStore
    messages: MessageStore
    operations: OperationsStore
    now: Callable[[], datetime]
    contacts: ContactStore | None = None
    """None where this process has no access to how people are reached."""
    check: Callable[[Attempt, datetime], Allowed | Refusal] | None = None
    """The contact rules at a moment, as the notifier asks them at the moment of sending."""
    packs: frozenset[str] = frozenset()
    """The names of packs of contact rules that a record may name."""


async def _rooms(request: Request) -> Rooms:
    rooms: Rooms = request.app.state.rooms
    return rooms


async def _desk(request: Request) -> Desk:
    return (await _rooms(request)).desk


async def _contacts(request: Request) -> ContactStore:
    contacts = (await _rooms(request)).contacts
    if contacts is None:
        raise Misconfigured("no contact store is set up here")
    return contacts


TheRooms = Annotated[Rooms, Depends(_rooms)]
TheDesk = Annotated[Desk, Depends(_desk)]
TheContacts = Annotated[ContactStore, Depends(_contacts)]
