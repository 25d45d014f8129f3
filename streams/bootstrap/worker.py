"""Puts the worker together: settings, logs, metrics, health, the lane's logic, the shell."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streams.agents.app import WorkerApp
from streams.agents.stage import BORROWERS, PORTFOLIO, Stage
from streams.agents.worker import run_worker
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.memory import collect_seldom
from streams.bootstrap.policy_book import load_book, rules_in
from streams.bootstrap.supervisor import Supervisor
from streams.engine.lane import Lane, LaneSettings
from streams.engine.portfolio.lane import PortfolioLane
from streams.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from streams.agents.lanes import LaneFactory
    from streams.bootstrap.policy_book import PolicyBook
    from streams.engine.engine import Engine
    from streams.settings import Settings

EVENT_STEP_MS = 3_600_000
"""With the clock `event` a tick stands at each whole hour."""


def run(settings: Settings, factory: LaneFactory | None = None, stage: Stage = BORROWERS) -> int:
    """Runs a worker of a stage until SIGTERM or SIGINT and returns its exit code.

    `factory` makes the logic of a lane of its partition and states; without it the product's.
    """
    log_as_json(settings.log_level)
    collect_seldom()
    if factory is not None:
        return asyncio.run(run_worker(settings, factory, Metrics.of_process(), stage=stage))
    book = load_book(settings.policy_file)
    return asyncio.run(run_worker(settings, _logic(settings, book, stage), Metrics.of_process(), book, stage))


def run_supervised(settings: Settings, factory: LaneFactory | None = None, stage: Stage = BORROWERS) -> int:
    """The same in a child that is started again whenever it dies, until a signal or a reason that a restart keeps."""
    log_as_json(settings.log_level)
    # A bad policy is refused before there is a child. All that the making of an app and a lane imports is there then.
    logic = factory or _logic(settings, load_book(settings.policy_file), stage)
    logic(0, {})
    asyncio.run(_made(settings, logic, stage))
    return Supervisor(lambda: run(settings, factory, stage)).run()


async def _made(settings: Settings, logic: LaneFactory, stage: Stage) -> None:
    """Makes an app and throws it away, with no connection opened."""
    WorkerApp(settings, logic, Metrics.of_process(), stage=stage)


def _logic(settings: Settings, book: PolicyBook, stage: Stage) -> LaneFactory:
    return portfolio_factory(settings, book) if stage is PORTFOLIO else lane_factory(settings, book)


def lane_factory(settings: Settings, book: PolicyBook | None = None) -> LaneFactory:
    """Makes the product's lanes: one engine for all that go by one policy. Raises Misconfigured for a bad policy file.

    `book` holds the policies that the lanes may be told to go by; without it there is only that of the settings.
    """
    live_from_ms = int(settings.live_from.timestamp() * 1000) if settings.live_from else None
    policies = book or load_book(settings.policy_file)

    def engine_of(version: str) -> Engine | None:
        return policies.engine(version, live_from_ms)

    def lane(partition: int, states: MutableMapping[bytes, bytes]) -> Lane:
        base = engine_of(policies.base.version)
        assert base is not None, "a book begins with its base"
        limited = settings.dead_letter_limit == "on"
        return Lane(base, lane_settings(settings, partition), states, engine_of, limited=limited)

    return lane


def portfolio_factory(settings: Settings, book: PolicyBook | None = None) -> LaneFactory:
    """Makes the lanes of the second hop. Raises Misconfigured for a bad policy file."""
    policies = book or load_book(settings.policy_file)
    rules_by = rules_in(policies)

    def lane(partition: int, states: MutableMapping[bytes, bytes]) -> PortfolioLane:
        base = rules_by(policies.base.version)
        assert base is not None, "a book begins with its base"
        return PortfolioLane(base, lane_settings(settings, partition), states, rules_by)

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
