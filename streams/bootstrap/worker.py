"""Puts the worker together: settings, logs, metrics, health, the lane's logic, the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streams.agents.worker import run_worker
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.policy import load_engine
from streams.engine.lane import Lane, LaneSettings
from streams.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from streams.agents.lanes import LaneFactory
    from streams.settings import Settings

EVENT_STEP_MS = 3_600_000
"""With the clock `event` a tick stands at each whole hour."""


def run(settings: Settings, factory: LaneFactory | None = None) -> int:
    """Runs a worker until SIGTERM or SIGINT and returns its exit code.

    `factory` makes the logic of a lane of its partition and states; without it the product's.
    """
    log_as_json()
    logic = factory or lane_factory(settings)
    return asyncio.run(run_worker(settings, logic, Metrics.of_process()))


def lane_factory(settings: Settings) -> LaneFactory:
    """Makes the product's lanes: one engine for all of them. Raises Misconfigured for a bad policy."""
    live_from_ms = int(settings.live_from.timestamp() * 1000) if settings.live_from else None
    engine = load_engine(settings.policy_file, live_from_ms)

    def lane(partition: int, states: MutableMapping[bytes, bytes]) -> Lane:
        return Lane(engine, lane_settings(settings, partition), states)

    return lane


def lane_settings(settings: Settings, partition: int) -> LaneSettings:
    """What decides the order and time of a lane of this installation."""
    return LaneSettings(
        partition=partition,
        partitions=settings.partitions,
        clock=settings.clock,
        step_ms=settings.tick_seconds * 1000 if settings.clock == "wall" else EVENT_STEP_MS,
        live_from_ms=int(settings.live_from.timestamp() * 1000) if settings.live_from else None,
    )
