"""Puts the notifier together: its channels, its contact policy, and the stores that its commands read."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, NamedTuple
from uuid import uuid4

from schemas.events import Topic
from schemas.topics import ALERTS, DEAD_LETTERS
from streams import clock
from streams.bootstrap.channels import all_channels, ways_to_borrowers
from streams.bootstrap.contacts import contact_loop, contact_store
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.running import stop_on_signals, together
from streams.casework.holds import holds_of
from streams.casework.outreach import Outreach
from streams.casework.packs import known_packs, load_packs
from streams.casework.texts import Texts, load_texts
from streams.consumers.borrower_messages import BorrowerMessages
from streams.consumers.channels.channel import STAFF
from streams.consumers.contact_events import ContactEvents
from streams.consumers.contact_policy import ContactPolicy, Grounds, staff_only
from streams.consumers.delivery import Delivery
from streams.consumers.loop import AlertLoop
from streams.consumers.notifier import Notifier
from streams.consumers.relay import Relay
from streams.kafka.topics import require_topics
from streams.metrics import Metrics
from streams.stores.contact_log import ContactLog
from streams.stores.database import open_database
from streams.stores.leases import Leases
from streams.stores.messages import MessageStore
from streams.stores.outbox import Outbox

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from streams.consumers.channels.channel import Channel
    from streams.consumers.delivery import Policy
    from streams.settings import Settings
    from streams.stores.contacts import ContactStore
    from streams.stores.messages import Then


class _ToBorrowers(NamedTuple):
    """What writing to borrowers needs."""

    messages: BorrowerMessages
    grounds: Grounds


@contextmanager
def message_store(settings: Settings) -> Iterator[MessageStore]:
    """The messages. The database is made if it is not there: a pause may come before the start."""
    with open_database(settings.database_url) as database:
        yield MessageStore(database)


def house_texts(settings: Settings) -> Texts:
    """The texts to borrowers as they are sent, all checked. Raises Misconfigured."""
    return load_texts(Outreach.standard(), lender=settings.lender_name, house=settings.templates_dir)


def run_notifier(settings: Settings) -> None:
    """Send staff what alerts say, and borrowers what they are to be told, until SIGTERM or Ctrl-C."""
    channels = all_channels(settings)
    to_borrowers = ways_to_borrowers(settings)
    with ExitStack() as stack:
        contacts = stack.enter_context(contact_store(settings, needs_key=bool(to_borrowers)))
        store = stack.enter_context(message_store(settings))
        log_as_json(settings.log_level)
        borrowers = _to_borrowers(settings, store, contacts) if to_borrowers else None
        asyncio.run(_notifier(settings, store, contacts, channels, borrowers))


async def _notifier(
    settings: Settings,
    store: MessageStore,
    contacts: ContactStore,
    channels: list[Channel],
    to_borrowers: _ToBorrowers | None,
) -> None:
    metrics, stop = Metrics.of_process(), stop_on_signals()
    here = asyncio.get_running_loop()
    await require_topics(settings, (ALERTS, DEAD_LETTERS, Topic.CONTACTS))
    delivery = _delivery(store, channels, to_borrowers, metrics, stop)
    notifier = Notifier(
        store,
        [channel for channel in channels if channel.audience == STAFF],
        metrics,
        now=clock.now,
        notify_from=settings.notify_from,
        borrowers=to_borrowers.messages if to_borrowers else None,
        taken_down=lambda: _in_loop(here, delivery.wake),
    )
    loop = AlertLoop(settings, notifier, metrics, stop)
    delivery.partitions = lambda: loop.partitions
    # Others contact borrowers too, whether we do or not: what they report counts, and opt-outs hold for them as well.
    opt_outs = contact_loop(settings, store.database, contacts, metrics, stop)
    works: list[Coroutine[None, None, None]] = [loop.run(), delivery.run(), opt_outs.run()]
    if to_borrowers:
        delivery.borrowers_wait = lambda: not opt_outs.has_been_level  # An opt-out may stand on the topic, unread yet.
        works.append(_relay(settings, store, metrics, stop).run())
    await together(settings, metrics, stop, lambda: loop.ready, *works)


def _to_borrowers(settings: Settings, store: MessageStore, contacts: ContactStore) -> _ToBorrowers:
    outreach = Outreach.standard()
    grounds = Grounds(
        contacts=contacts,
        log=ContactLog(store.database),
        packs=load_packs(settings.contact_packs.split(","), settings.contact_packs_dir),
        known=known_packs(settings.contact_packs_dir),
        outreach=outreach,
        texts=house_texts(settings),
        holds=holds_of,
    )
    return _ToBorrowers(BorrowerMessages(outreach, ways_to_borrowers(settings), now=clock.now), grounds)


def _delivery(
    store: MessageStore,
    channels: list[Channel],
    to_borrowers: _ToBorrowers | None,
    metrics: Metrics,
    stop: asyncio.Event,
) -> Delivery:
    policy: Policy = staff_only
    then: Then | None = None
    if to_borrowers:
        messages, grounds = to_borrowers
        policy = ContactPolicy(grounds, messages, metrics, now=clock.now)
        then = ContactEvents(grounds.log, grounds.outreach, messages, now=clock.now)
    return Delivery(store, channels, policy, metrics, now=clock.now, partitions=lambda: (), stop=stop, then=then)


def _relay(settings: Settings, store: MessageStore, metrics: Metrics, stop: asyncio.Event) -> Relay:
    """What publishes our contacts, should no case creator run: whoever holds the lease does it."""
    database = store.database
    return Relay(
        settings, Outbox(database), Leases(database), metrics, stop, holder=f"notifier-{uuid4()}", now=clock.now
    )


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call from another thread."""
    loop.call_soon_threadsafe(call)
