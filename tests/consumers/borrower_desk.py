"""A notifier that writes to borrowers, with all of its rules, a clock that is set by hand, and no Kafka."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from streams.casework.contact import Channel, Holds, IncomingRecord, NewAddress
from streams.casework.outreach import Outreach
from streams.casework.packs import known_packs, load_packs
from streams.casework.texts import load_texts
from streams.consumers.borrower_messages import BorrowerMessages
from streams.consumers.channels.channel import BORROWER
from streams.consumers.contact_events import ContactEvents
from streams.consumers.contact_policy import ContactPolicy, Grounds
from streams.consumers.delivery import Delivery
from streams.consumers.loop import Batch
from streams.consumers.notifier import Notifier
from streams.metrics import Metrics
from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contact_log import ContactLog
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, Database, open_database
from streams.stores.messages import MessageStore
from streams.stores.outbox import Outbox
from tests.consumers.fakes import Pigeonhole

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.stores.messages import Message

MONDAY = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
ADDRESSES = {
    Channel.SMS: "+4915100000001",
    Channel.PUSH: "device-1",
    Channel.EMAIL: "someone@example.com",
    Channel.CALL: "+4915100000002",
}
LENDER = "North Bank"


class BorrowerDesk:
    """One process of the notifier; `restart` is another one on the same databases."""

    def __init__(self, database: Database, contacts: ContactStore, channels: Sequence[str], pack: str) -> None:
        self.database = database
        self.contacts = contacts
        self.store = MessageStore(database)
        self.log = ContactLog(database)
        self.holes = {name: Pigeonhole(name, audience=BORROWER) for name in channels}
        self.packs = load_packs([pack])
        self.holds = Holds()
        self.now = MONDAY
        self.restart()

    def restart(self) -> None:
        """A new process."""
        self.metrics, outreach, holes = Metrics(), Outreach.standard(), list(self.holes.values())
        borrowers = BorrowerMessages(outreach, [Channel(name) for name in self.holes], now=lambda: self.now)
        grounds = Grounds(
            contacts=self.contacts,
            log=self.log,
            packs=self.packs,
            known=known_packs(),
            outreach=outreach,
            texts=load_texts(outreach, lender=LENDER),
            holds=lambda _: self.holds,
        )
        self.notifier = Notifier(self.store, [], self.metrics, now=lambda: self.now, borrowers=borrowers)
        self.delivery = Delivery(
            self.store,
            holes,
            ContactPolicy(grounds, borrowers, self.metrics, now=lambda: self.now),
            self.metrics,
            now=lambda: self.now,
            partitions=lambda: [0],
            stop=asyncio.Event(),
            then=ContactEvents(self.log, outreach, borrowers, now=lambda: self.now),
        )

    def take(self, *alerts: Alert) -> None:
        """Take a batch, as the loop would."""
        start = self.store.positions("alerts").get(0, 0)
        self.notifier.take(Batch("alerts", 0, start, start + len(alerts), alerts))

    async def deliver(self, *, hours: float = 0, minutes_a_turn: int = 10) -> None:
        """Deliver for so long."""
        end = self.now + timedelta(hours=hours)
        while self.now <= end:
            while await self.delivery.deliver_due():
                pass
            self.now += timedelta(minutes=minutes_a_turn)

    def ends(self, told: Alert) -> dict[str, str]:
        """What became of the messages about an alert, by channel."""
        return {message.channel: message.status.value for message in self.of(told)}

    def of(self, told: Alert) -> list[Message]:
        """The messages about an alert."""
        return self.store.of_alert(str(told.id))

    def rules(self, borrower: str = "b-1") -> list[str]:
        """The rules that refused something, the latest first."""
        return [one.refusal.rule for one in self.log.refusals(borrower)]

    def published(self) -> list[bytes]:
        """The events that wait to be published."""
        return [row.value for row in Outbox(self.database).waiting(100)]

    def knows(self, borrower: str = "b-1", *, channels: Sequence[Channel] = tuple(ADDRESSES), **more: object) -> None:
        """Take on a contact record with consent for its addresses."""
        agreed = MONDAY - timedelta(days=30)
        addresses = tuple(
            NewAddress(channel=channel, address=ADDRESSES[channel], consented_at=agreed, consent_source="app")
            for channel in channels
        )
        values = {"zone": "Europe/Berlin", "language": "en", "source": "test", "addresses": addresses, **more}
        self.contacts.put(IncomingRecord(borrower=borrower, **values), agreed)  # type: ignore[arg-type]


@contextmanager
def borrower_desk(
    folder: Path, *channels: str, pack: str = "default", url: str | None = None
) -> Iterator[BorrowerDesk]:
    """A desk on new databases."""
    with (
        open_database(url or f"sqlite:///{folder}/cases.db") as database,
        open_database(f"sqlite:///{folder}/contacts.db", CONTACTS) as contacts,
    ):
        yield BorrowerDesk(database, ContactStore(contacts, AddressCipher(new_key())), channels, pack)
