"""Puts the notifier together: its channels, its contact policy, and the store of messages that its commands read."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from schemas.topics import ALERTS, DEAD_LETTERS
from streams import clock
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.running import stop_on_signals, together
from streams.consumers.channels.outbox import FileOutbox
from streams.consumers.channels.webhook import SignedWebhook
from streams.consumers.contact_policy import staff_only
from streams.consumers.delivery import Delivery
from streams.consumers.loop import AlertLoop
from streams.consumers.notifier import Notifier
from streams.errors import Misconfigured
from streams.kafka.topics import require_topics
from streams.metrics import Metrics
from streams.stores.database import open_database
from streams.stores.messages import MessageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.consumers.channels.channel import Channel
    from streams.settings import Settings


@contextmanager
def message_store(settings: Settings) -> Iterator[MessageStore]:
    """The messages. The database is made if it is not there: a pause may come before the start."""
    with open_database(settings.database_url) as database:
        yield MessageStore(database)


def run_notifier(settings: Settings) -> None:
    """Send staff what alerts say until SIGTERM or Ctrl-C."""
    channels = staff_channels(settings)
    log_as_json()
    with message_store(settings) as store:
        asyncio.run(_notifier(settings, store, channels))


def staff_channels(settings: Settings) -> list[Channel]:
    """The channels that are set up. Raises Misconfigured if there is none: alerts would go nowhere."""
    channels: list[Channel] = []
    if settings.outbox_dir is not None:
        channels.append(FileOutbox(settings.outbox_dir))
    if settings.webhook_url is not None and settings.webhook_secret is not None:
        channels.append(SignedWebhook(settings.webhook_url, settings.webhook_secret))
    if not channels:
        raise Misconfigured(
            "the notifier has no channel: set EWS_OUTBOX_DIR, or EWS_WEBHOOK_URL and EWS_WEBHOOK_SECRET"
        )
    return channels


async def _notifier(settings: Settings, store: MessageStore, channels: list[Channel]) -> None:
    metrics, stop = Metrics.of_process(), stop_on_signals()
    await require_topics(settings, (ALERTS, DEAD_LETTERS))
    here = asyncio.get_running_loop()
    delivery = Delivery(
        store, channels, staff_only, metrics, now=clock.now, partitions=lambda: loop.partitions, stop=stop
    )
    notifier = Notifier(
        store,
        channels,
        metrics,
        now=clock.now,
        notify_from=settings.notify_from,
        taken_down=lambda: _in_loop(here, delivery.wake),
    )
    loop = AlertLoop(settings, notifier, metrics, stop)
    await together(settings, metrics, stop, lambda: loop.ready, loop.run(), delivery.run())


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call from another thread."""
    loop.call_soon_threadsafe(call)
