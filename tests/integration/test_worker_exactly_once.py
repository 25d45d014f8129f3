"""A drain moves whole or not at all, whatever is done to the process."""

from __future__ import annotations

import asyncio
import random
import signal
from typing import TYPE_CHECKING

import pytest

from streams import clock
from streams.agents.exits import Exit
from tests.integration.system import until

if TYPE_CHECKING:
    from tests.integration.system import System

KILLS = 5
KILLED_SECONDS_MAX = 60.0
ROUND = 500

TAKEN = {Exit.FENCED, Exit.INSTANCE_TAKEN}


@pytest.mark.timeout(180)
async def test_kill_at_any_moment_loses_and_doubles_nothing(system: System) -> None:
    """After kill -9 at five random moments every event is counted once and every alert is there once.

    Without transactions, or with an offset in any other place than the changelog, the counts differ.
    """
    chance = random.Random(20)  # noqa: S311 - not a secret
    worker, deadline = system.worker(), clock.monotonic() + KILLED_SECONDS_MAX
    await worker.recovered()
    for _ in range(KILLS):
        life = clock.monotonic() + chance.uniform(0.0, 1.5)
        while clock.monotonic() < min(life, deadline):
            await system.some(ROUND)
        worker.signal(signal.SIGKILL)
        worker = system.worker()
        if chance.random() < 0.7:  # Else it is killed again while it starts.
            await worker.recovered()
    await system.all_counted()
    await system.assert_exactly_once()


async def test_a_frozen_owner_is_fenced(system: System) -> None:
    """A worker that was paused and overtaken ends when it wakes up, and commits nothing.

    Without fencing before reading, its last drain is committed beside the successor's: doubled.
    """
    zombie = system.worker("same")
    await zombie.recovered()
    await system.some(ROUND)
    sending = asyncio.create_task(system.some(4 * ROUND))
    await asyncio.sleep(0)
    zombie.signal(signal.SIGSTOP)
    await sending
    successor = system.worker("same")
    await successor.recovered()
    await system.all_counted()
    zombie.signal(signal.SIGCONT)
    assert await zombie.ended() in TAKEN
    await system.some(ROUND)
    await system.all_counted()
    await system.assert_exactly_once()
    assert successor.process.poll() is None


async def test_a_member_whose_id_is_taken_ends(system: System) -> None:
    """Two processes with one instance id: the older one ends instead of fighting back for ever."""
    older = system.worker("same")
    await older.recovered()
    younger = system.worker("same")
    await younger.recovered()
    assert await older.ended() in TAKEN
    await system.some(ROUND)
    await system.all_counted()
    await system.assert_exactly_once()
    assert younger.process.poll() is None


async def test_lanes_move_between_workers(system: System) -> None:
    """A second worker takes half of the lanes and gives them back when it stops, while events flow."""
    first = system.worker(None)
    await first.recovered()
    await system.some(ROUND)
    second = system.worker(None)
    await asyncio.gather(first.recovered(2), second.recovered(), system.some(2 * ROUND))
    assert sorted(first.said("worker.recovered")[-1]["lanes"] + second.said("worker.recovered")[-1]["lanes"]) == [
        0,
        1,
        2,
        3,
    ]
    await system.some(ROUND)
    second.signal(signal.SIGTERM)
    assert await second.ended() == Exit.OK
    await system.some(ROUND)
    await until(lambda: first.said("worker.recovered")[-1]["lanes"] == [0, 1, 2, 3], what="the lanes did not come back")
    await system.all_counted()
    await system.assert_exactly_once()


async def test_a_graceful_stop_finishes_and_is_quick(system: System) -> None:
    """SIGTERM under load ends with 0 within seconds, and the next start goes on where it stopped."""
    worker = system.worker()
    await worker.recovered()
    sending = asyncio.create_task(system.some(4 * ROUND))
    await until(lambda: system.sent.total() > ROUND)
    began = clock.monotonic()
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == Exit.OK
    assert clock.monotonic() - began < 5.0
    await sending
    await system.worker().recovered()
    await system.all_counted()
    await system.assert_exactly_once()
