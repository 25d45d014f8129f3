"""Puts the contact store together: its database and its keys, the keeper of the contact log, and erasure."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.events import Topic
from streams import clock
from streams.consumers.contact_log import ContactKeeper, read_contact
from streams.consumers.loop import TopicLoop
from streams.errors import Misconfigured
from streams.stores.cipher import AddressCipher
from streams.stores.contact_log import ContactLog
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator

    from schemas.events import Event
    from streams.metrics import Metrics
    from streams.settings import Settings
    from streams.stores.database import Database


@contextmanager
def contact_store(settings: Settings, *, create: bool = True, needs_key: bool = False) -> Iterator[ContactStore]:
    """The contact store. With `needs_key` a missing or wrong key is found now. Raises Misconfigured or Unavailable."""
    if settings.contacts_url == settings.database_url:
        raise Misconfigured("EWS_CONTACTS_URL is EWS_DATABASE_URL: the contact store is a database of its own")
    cipher = _cipher(settings)
    with open_database(settings.contacts_url, CONTACTS, create=create) as database:
        store = ContactStore(database, cipher)
        if needs_key or cipher is not None:
            store.check_key()
        yield store


def contact_loop(
    settings: Settings, database: Database, store: ContactStore, metrics: Metrics, stop: asyncio.Event
) -> TopicLoop[Event]:
    """What keeps the contact log and the opt-outs; `run` it beside the notifier, on the database of cases."""
    keeper = ContactKeeper(ContactLog(database), store, metrics, now=clock.now)
    return TopicLoop(settings, keeper, metrics, stop, bare_topic=Topic.CONTACTS, read=read_contact)


def _cipher(settings: Settings) -> AddressCipher | None:
    keys = settings.contacts_key
    return None if keys is None else AddressCipher(keys.get_secret_value())
