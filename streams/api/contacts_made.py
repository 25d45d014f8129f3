"""Contacts that people make by hand, counted by the contact rules from the moment at which they are written down."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.codec import decode
from schemas.events import ContactAttempted, ContactReached, Topic
from streams.stores.contact import Channel, Kind, PastContact
from streams.stores.contact_log import note

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Connection

    from schemas.events import Event
    from streams.stores.work import Outgoing


def count(connection: Connection, outgoing: Iterable[Outgoing]) -> None:
    """Write what was published of contacts into the log, in the same transaction.

    The event comes back by the topic with the same id, and changes nothing more.
    """
    for event in (decode(one.value) for one in outgoing if one.topic == Topic.CONTACTS):
        note(connection, _contact(event), event.source)


def _contact(event: Event) -> PastContact:
    assert isinstance(event, ContactAttempted | ContactReached), "what logging a contact publishes"
    return PastContact(
        contact_id=event.data.contact_id,
        borrower=event.subject,
        loan=event.data.loan,
        channel=Channel(event.data.channel),
        kind=Kind.COLLECTION,
        at=event.time,
        reached_at=event.time if isinstance(event, ContactReached) else None,
    )
