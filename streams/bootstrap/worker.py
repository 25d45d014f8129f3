"""Puts the worker together: settings, logs, metrics, the lane's logic, the shell."""

from __future__ import annotations

import asyncio
import logging
import sys
from typing import TYPE_CHECKING

import structlog

from streams.agents.worker import run_worker
from streams.metrics import Metrics

if TYPE_CHECKING:
    from streams.agents.lanes import LaneFactory
    from streams.settings import Settings


def run(settings: Settings, factory: LaneFactory) -> int:
    """Runs a worker with this logic until it is asked to stop; the exit code."""
    log_as_json()
    return asyncio.run(run_worker(settings, factory, Metrics.of_process()))


def log_as_json() -> None:
    """Logs lines of JSON to standard error, ours from INFO and the libraries' from WARNING on."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
