"""The keeper of the contact log: facts of the topic `contacts` in, what the contact rules count out.

Two databases are written: first the contact store (opt-outs), then the log together with the offset. A crash between
them repeats the first, which changes nothing; it never loses one. What cannot be read is a dead letter of the workers,
which read the same topic; here it is passed over.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from schemas import events
from schemas.codec import InvalidEvent, decode
from streams.stores.contact import Channel, Kind, PastContact
from streams.stores.contact_log import CONSUMER, note

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from schemas.events import Event
    from streams.consumers.loop import Batch
    from streams.metrics import Metrics
    from streams.stores.contact_log import ContactLog
    from streams.stores.contacts import ContactStore

CONTACTS = (events.ContactAttempted, events.ContactReached, events.ContactUndeliverable)
EVERYTHING = "all"


def read_contact(key: bytes | None, value: bytes | None) -> Event | None:
    """A fact about contacts; None for any other record, and for one that cannot be read."""
    try:
        event = decode(value)
    except InvalidEvent:
        return None
    if key is not None and key != event.subject.encode():
        return None
    return event if isinstance(event, (*CONTACTS, events.ContactOptedOut)) else None


class ContactKeeper:
    """A subscriber of `contacts` (`streams.consumers.loop`) that keeps the log and the opt-outs."""

    name = CONSUMER

    def __init__(self, log: ContactLog, store: ContactStore, metrics: Metrics, *, now: Callable[[], datetime]) -> None:
        for model in (*CONTACTS, events.ContactOptedOut):
            metrics.contact_facts.labels(_fact(model))  # From 0 on: a rate is seen from the first one.
        self._log = log
        self._store = store
        self._metrics = metrics
        self._now = now

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition. Raises Unavailable."""
        return self._log.positions(topic)

    def take(self, batch: Batch[Event]) -> None:
        """Keep the facts and move the offset. Raises Unavailable or OffsetMovedError."""
        for event in batch.facts:
            if isinstance(event, events.ContactOptedOut):
                self._opt_out(event)
        span = {"start": batch.start, "end": batch.end}
        with self._log.taking(batch.topic, batch.partition, **span) as connection:
            for event in batch.facts:
                if isinstance(event, CONTACTS):
                    note(connection, contact_of(event, self._now()), event.source)
        for fact, number in Counter(_fact(type(event)) for event in batch.facts).items():
            self._metrics.contact_facts.labels(fact).inc(number)

    def _opt_out(self, event: events.ContactOptedOut) -> None:
        channel = None if event.data.channel == EVERYTHING else Channel(event.data.channel)
        self._store.opt_out(event.subject, channel, min(event.time, self._now()), source=event.source)


def contact_of(event: Event, now: datetime) -> PastContact:
    """A fact as a line of the log. A time ahead of us is taken for now: nothing that is told has yet to happen."""
    assert isinstance(event, CONTACTS), "a fact about a contact"
    at = min(event.time, now)
    return PastContact(
        contact_id=event.data.contact_id.replace("\0", "\ufffd"),  # No text of PostgreSQL holds it.
        borrower=event.subject,
        loan=event.data.loan,
        channel=Channel(event.data.channel),
        kind=Kind.COLLECTION,  # Unless we know better: what we have written down ourselves keeps its kind.
        at=at,
        reached_at=at if isinstance(event, events.ContactReached) else None,
        undeliverable_at=at if isinstance(event, events.ContactUndeliverable) else None,
    )


def _fact(model: type[Event]) -> str:
    """`attempted` of `ews.contact.attempted.v1`."""
    name: str = model.model_fields["type"].default.split(".")[2]
    return name
