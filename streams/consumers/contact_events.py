"""What follows from a message to a borrower that has gone out or come back, in the transaction that records it.

Sent: `ews.contact.attempted.v1` into the outbox; of a call, which is only a job so far, the dialler tells itself, under
the job's key as `contact_id`. Refused by the provider for good: `ews.contact.undeliverable.v1`, the
log of contacts says so too, and the step goes on to its next channel.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.codec import encode
from schemas.events import ContactAttempted, ContactData, ContactUndeliverable
from streams.casework.contact import Channel, PastContact
from streams.stores import outbox
from streams.stores.contact_log import NOTIFIER
from streams.stores.messages import BORROWER, MessageStatus, MessageTransaction
from streams.stores.work import Outgoing

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.casework.outreach import Outreach
    from streams.consumers.borrower_messages import BorrowerMessages
    from streams.stores.contact_log import ContactLog
    from streams.stores.messages import Message, Verdict


class ContactEvents:
    """Tells others of contacts (`streams.stores.messages.Then`)."""

    def __init__(
        self, log: ContactLog, outreach: Outreach, borrowers: BorrowerMessages, *, now: Callable[[], datetime]
    ) -> None:
        self._log = log
        self._outreach = outreach
        self._borrowers = borrowers
        self._now = now

    def __call__(self, connection: Connection, verdicts: Sequence[tuple[Message, Verdict]]) -> None:
        """Write down what follows from verdicts."""
        outgoing: list[Outgoing] = []
        further: list[Message] = []
        for message, verdict in verdicts:
            if message.audience != BORROWER:
                continue
            if verdict.status is MessageStatus.SENT and message.channel != Channel.CALL:
                outgoing.append(contact_event(ContactAttempted, message, verdict.sent_at or self._now()))
            elif verdict.status is MessageStatus.REJECTED:
                outgoing.append(self._came_back(connection, message))
                later = self._borrowers.next_of(message)
                further += [later] if later else []
        MessageTransaction(connection).take_down(further)
        outbox.add(connection, outgoing)

    def _came_back(self, connection: Connection, message: Message) -> Outgoing:
        at = self._now()
        contact = PastContact(
            contact_id=message.key,
            borrower=message.borrower,
            loan=message.loan,
            channel=Channel(message.channel),
            kind=self._outreach.step(str(message.step)).kind,
            at=at,
        )
        self._log.undeliverable(connection, contact, at)
        return contact_event(ContactUndeliverable, message, at)


def contact_event(model: type[ContactAttempted | ContactUndeliverable], message: Message, at: datetime) -> Outgoing:
    """An event about the contact that a message is, with an id that its repeat has too."""
    name = model.model_fields["type"].default.split(".")[2]
    data = ContactData.model_validate({"contact_id": message.key, "channel": message.channel, "loan": message.loan})
    event = model(
        specversion="1.0",
        id=f"{message.key}:{name}",
        source=NOTIFIER,
        subject=message.borrower,
        time=at,
        traceparent=message.traceparent,
        data=data,
    )
    return Outgoing(event.id, event.topic.value, event.subject, encode(event), at)
