"""Puts the consumers together: the case creator, the notifier, and the stores that their commands read."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from schemas.topics import ALERTS, DEAD_LETTERS
from streams import clock
from streams.bootstrap.logs import log_as_json
from streams.casework.ladder import CaseRules
from streams.consumers.case_creator import CaseCreator
from streams.consumers.channels.outbox import FileOutbox
from streams.consumers.channels.webhook import SignedWebhook
from streams.consumers.contact_policy import staff_only
from streams.consumers.delivery import Delivery
from streams.consumers.loop import AlertLoop
from streams.consumers.notifier import Notifier
from streams.errors import Misconfigured, Unavailable
from streams.health import serve
from streams.kafka.topics import require_topics
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.messages import MessageStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from streams.consumers.channels.channel import Channel
    from streams.settings import Settings

log = structlog.get_logger(__name__)

GAUGE_SECONDS = 10.0
"""How often the gauge of cases is brought up to date."""


@contextmanager
def case_store(settings: Settings, *, create: bool = False) -> Iterator[CaseStore]:
    """The cases. Raises Misconfigured or Unavailable."""
    with open_database(settings.database_url, create=create) as database:
        yield CaseStore(database)


@contextmanager
def message_store(settings: Settings) -> Iterator[MessageStore]:
    """The messages. The database is made if it is not there: a pause may come before the start."""
    with open_database(settings.database_url) as database:
        yield MessageStore(database)


def run_case_creator(settings: Settings) -> None:
    """Keep the cases until SIGTERM or Ctrl-C."""
    log_as_json()
    with case_store(settings, create=True) as store:
        asyncio.run(_case_creator(settings, store))


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


async def _case_creator(settings: Settings, store: CaseStore) -> None:
    metrics, stop = Metrics.of_process(), _stop_on_signals()
    await require_topics(settings, (ALERTS, DEAD_LETTERS))
    creator = CaseCreator(store, CaseRules(), metrics)
    loop = AlertLoop(settings, creator, metrics, stop)
    await _run(settings, metrics, stop, lambda: loop.ready, loop.run(), _refreshed(creator, stop))


async def _notifier(settings: Settings, store: MessageStore, channels: list[Channel]) -> None:
    metrics, stop = Metrics.of_process(), _stop_on_signals()
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
    await _run(settings, metrics, stop, lambda: loop.ready, loop.run(), delivery.run())


def _in_loop(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
    """Call from another thread."""
    loop.call_soon_threadsafe(call)


def _stop_on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _run(
    settings: Settings,
    metrics: Metrics,
    stop: asyncio.Event,
    ready: Callable[[], bool],
    *works: Coroutine[None, None, None],
) -> None:
    """Run the works together until the stop, or until one fails: then the others stop, and its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        async with serve(settings, ready=ready, registry=metrics.registry):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end


async def _refreshed(creator: CaseCreator, stop: asyncio.Event) -> None:
    while not stop.is_set():
        try:
            await asyncio.to_thread(creator.refresh)
        except Unavailable as away:
            log.warning("gauge_not_refreshed", fault=str(away))
        try:
            await asyncio.wait_for(stop.wait(), GAUGE_SECONDS)
        except TimeoutError:
            continue
