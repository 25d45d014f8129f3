"""Puts the case creator together, and the store of cases that commands read. The notifier: `bootstrap.notifier`."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

import structlog

from schemas.topics import ALERTS, DEAD_LETTERS
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.running import stop_on_signals, together
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import AlertLoop
from streams.errors import Unavailable
from streams.kafka.topics import require_topics
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.database import open_database

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.settings import Settings

log = structlog.get_logger(__name__)

GAUGE_SECONDS = 10.0
"""How often the gauge of cases is brought up to date."""


@contextmanager
def case_store(settings: Settings, *, create: bool = False) -> Iterator[CaseStore]:
    """The cases. Raises Misconfigured or Unavailable."""
    with open_database(settings.database_url, create=create) as database:
        yield CaseStore(database)


def run_case_creator(settings: Settings) -> None:
    """Keep the cases until SIGTERM or Ctrl-C."""
    log_as_json()
    with case_store(settings, create=True) as store:
        asyncio.run(_case_creator(settings, store))


async def _case_creator(settings: Settings, store: CaseStore) -> None:
    metrics, stop = Metrics.of_process(), stop_on_signals()
    await require_topics(settings, (ALERTS, DEAD_LETTERS))
    creator = CaseCreator(store, Ladder.standard(), metrics)
    loop = AlertLoop(settings, creator, metrics, stop)
    await together(settings, metrics, stop, lambda: loop.ready, loop.run(), _refreshed(creator, stop))


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
