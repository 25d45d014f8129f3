"""Puts the case process together, and the desk that commands act through.

The case process: the case creator (alerts), the promise keeper (repayments), the outcome keeper (alert-outcomes), the
relay of the outbox and the clockwork. All of them stand on one database; any number of processes may run, of which one
relays and one moves the clocks.
"""

from __future__ import annotations

import asyncio
import os
import socket
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import structlog

from schemas.events import Topic
from schemas.topics import ALERT_OUTCOMES, ALERTS, DEAD_LETTERS
from streams import clock
from streams.api.desk import Desk
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.policy import detector_keys
from streams.bootstrap.running import stop_on_signals, together
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.clockwork import Clockwork
from streams.consumers.loop import AlertLoop, TopicLoop
from streams.consumers.outcome_keeper import OutcomeKeeper, read_outcome
from streams.consumers.promise_keeper import PromiseKeeper, read_repayment
from streams.consumers.relay import Relay
from streams.errors import Unavailable
from streams.kafka.topics import require_topics
from streams.metrics import Metrics
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.dues import Dues
from streams.stores.leases import Leases
from streams.stores.outbox import Outbox
from streams.stores.outcomes import OutcomeStore
from streams.stores.promises import PromiseStore

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence

    from streams.settings import Settings
    from streams.stores.database import Database

log = structlog.get_logger(__name__)

GAUGE_SECONDS = 10.0
"""How often the gauges of cases and of precision are brought up to date."""
TOPICS = (ALERTS, Topic.REPAYMENTS, Topic.CONTACTS, ALERT_OUTCOMES, DEAD_LETTERS)
"""What the case process reads and writes."""


def ladder_of(settings: Settings) -> Ladder:
    """The ladder with the hard steps that this installation has switched on. Raises Misconfigured."""
    return Ladder.standard().with_hard_steps(settings.hard_steps)


@contextmanager
def case_store(settings: Settings, *, create: bool = False) -> Iterator[CaseStore]:
    """The cases. Raises Misconfigured or Unavailable."""
    with open_database(settings.database_url, create=create) as database:
        yield CaseStore(database)


@contextmanager
def open_desk(settings: Settings) -> Iterator[Desk]:
    """The desk over the database that there is. Raises Misconfigured or Unavailable."""
    ladder = ladder_of(settings)
    with open_database(settings.database_url, create=False) as database:
        yield Desk(database, ladder, now=clock.now)


def run_case_process(settings: Settings) -> None:
    """Keep the cases until SIGTERM or Ctrl-C."""
    ladder = ladder_of(settings)
    log_as_json(settings.log_level)
    with open_database(settings.database_url) as database:
        asyncio.run(_run(settings, database, ladder))


async def _run(settings: Settings, database: Database, ladder: Ladder) -> None:
    metrics, stop = Metrics.of_process(), stop_on_signals()
    await require_topics(settings, TOPICS)
    creator = CaseCreator(CaseStore(database), ladder, metrics, detectors=detector_keys())
    promises = PromiseKeeper(PromiseStore(database), ladder, metrics, now=clock.now)
    outcomes = OutcomeKeeper(OutcomeStore(database), metrics)
    loops: tuple[TopicLoop[Any], ...] = (
        AlertLoop(settings, creator, metrics, stop),
        TopicLoop(settings, promises, metrics, stop, bare_topic=Topic.REPAYMENTS, read=read_repayment),
        TopicLoop(settings, outcomes, metrics, stop, bare_topic=ALERT_OUTCOMES, read=read_outcome),
    )
    works: list[Coroutine[None, None, None]] = [loop.run() for loop in loops]
    works.append(_refreshed((creator.refresh, outcomes.refresh), stop))
    works += _alone(settings, database, ladder, metrics, stop)
    await together(settings, metrics, stop, lambda: all(loop.ready for loop in loops), *works)


def _alone(
    settings: Settings, database: Database, ladder: Ladder, metrics: Metrics, stop: asyncio.Event
) -> list[Coroutine[None, None, None]]:
    """What one process at a time does. Where time is that of the events, no wall clock moves the cases."""
    leases, holder = Leases(database), _holder()
    relay = Relay(settings, Outbox(database), leases, metrics, stop, holder=holder, now=clock.now)
    if settings.clock == "event":
        return [relay.run()]
    clockwork = Clockwork(Dues(database), leases, ladder, metrics, holder=holder, now=clock.now)
    return [relay.run(), clockwork.run(stop)]


def _holder() -> str:
    """A name that no other process has had or will have."""
    return f"{socket.gethostname()[:20]}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


async def _refreshed(refreshes: Sequence[Callable[[], None]], stop: asyncio.Event) -> None:
    while not stop.is_set():
        for refresh in refreshes:
            try:
                await asyncio.to_thread(refresh)
            except Unavailable as away:
                log.warning("gauge_not_refreshed", fault=str(away))
        try:
            await asyncio.wait_for(stop.wait(), GAUGE_SECONDS)
        except TimeoutError:
            continue
