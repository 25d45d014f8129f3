"""The worker's life: check, start, run until asked to stop or until something ends it."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

import structlog
from aiokafka.errors import KafkaError

from streams.agents.app import WorkerApp, group_id
from streams.agents.exits import Exit, leave, leave_on
from streams.agents.stage import BORROWERS
from streams.agents.watchdog import Watchdog
from streams.errors import Unavailable
from streams.health import serve
from streams.kafka.topics import require_topics

if TYPE_CHECKING:
    from streams.agents.lanes import LaneFactory
    from streams.agents.policies import Book
    from streams.agents.stage import Stage
    from streams.metrics import Metrics
    from streams.settings import Settings

STOP_SECONDS_MAX = 12.0
"""A graceful stop that takes longer has failed: a transaction's deadline and some."""

log = structlog.get_logger(__name__)


async def run_worker(
    settings: Settings,
    factory: LaneFactory,
    metrics: Metrics,
    book: Book | None = None,
    stage: Stage = BORROWERS,
) -> int:
    """Runs a worker until SIGTERM or SIGINT; the exit code. Raises Misconfigured or Unavailable at the start.

    `book` takes up the policies of their topic; without it the logic goes by the one that it began with.
    """
    asked = _stop_signal()
    app = WorkerApp(settings, factory, metrics, book, stage)
    watchdog = Watchdog(app.stalled_since)
    async with serve(settings, ready=lambda: app.ready, registry=metrics.registry):
        await _connect(app, settings, stage)
        watchdog.start()
        log.info(
            "worker.starting", group=group_id(settings, stage), instance=settings.instance_id, clock=settings.clock
        )
        running = asyncio.create_task(app.start())
        running.add_done_callback(_started)
        await asked.wait()
        log.info("worker.stopping")
        watchdog.stop()
        await _stop(app)
        running.cancel()
    log.info("worker.stopped")
    return Exit.OK


async def _connect(app: WorkerApp, settings: Settings, stage: Stage) -> None:
    """Checks the topics while it opens connections: after a crash each round trip counts."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # What goes wrong here is said once, by us.
    connecting = asyncio.create_task(app.lanes.connect())
    try:
        await require_topics(settings, stage.used)
        await connecting
    except BaseException as error:
        connecting.cancel()
        await asyncio.wait([connecting])
        await app.lanes.disconnect()
        if isinstance(error, KafkaError):
            raise Unavailable(f"Kafka at {settings.bootstrap_servers}: {type(error).__name__}") from error
        raise
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)


def _stop_signal() -> asyncio.Event:
    asked = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    return asked


def _started(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        leave_on(error)


async def _stop(app: WorkerApp) -> None:
    try:
        async with asyncio.timeout(STOP_SECONDS_MAX):
            await app.stop()
            await app.lanes.disconnect()
    except TimeoutError:
        leave(Exit.STALLED, f"not stopped in {STOP_SECONDS_MAX} s")
