"""Time that passes with no event, heartbeats, and the end of an event clock."""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING, Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import ORDER
from streams import clock
from tests.integration.system import PARTITIONS, System

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

UNTIL = "2026-01-01T00:00:00Z"
UNTIL_MS = 1_767_225_600_000


async def _steps(system: System) -> dict[int, list[list[Any]]]:
    steps: dict[int, list[list[Any]]] = {partition: [] for partition in range(PARTITIONS)}
    for record in await system.read(ORDER):
        steps[record.partition] += orjson.loads(record.value)["steps"]
    return steps


async def _until(condition: Callable[[], Awaitable[bool]], seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():  # noqa: ASYNC110 - it is another process's
            await asyncio.sleep(0.1)


async def _beat(system: System, count: int) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=system.settings.bootstrap_servers)
    await producer.start()
    for number in range(count):
        await producer.send_and_wait(system.topic("feeds"), b"%d" % number, key=b"bank")
    await producer.stop()


async def test_time_passes_with_no_events(broker: str, prefix: str, tmp_path: Any) -> None:
    """Every lane ticks while nothing arrives, never past the clock: else silence is never noticed."""
    system = System(broker, prefix, tmp_path)
    await system.create()
    try:
        worker = system.worker(None, COUNTING_STEP_MS="500")
        await worker.recovered()

        async def two_ticks() -> bool:
            return all(len(steps) > 1 for steps in (await _steps(system)).values())

        await _until(two_ticks)
    finally:
        system.end()
    for steps in (await _steps(system)).values():
        assert {step[0] for step in steps} == {"tick"}
        assert all(0 <= clock.now_ms() - step[1] < 60_000 for step in steps)


async def test_each_lane_takes_up_each_heartbeat_once(system: System) -> None:
    """Heartbeats from before the start and from after it reach every lane, and none twice after a restart."""
    await _beat(system, 3)
    worker = system.worker()

    async def taken(count: int) -> bool:
        runs = [[step for step in steps if step[1] == "feeds"] for steps in (await _steps(system)).values()]
        return all(run and run[-1][3] == count for run in runs)

    await _until(lambda: taken(3))
    await _beat(system, 2)
    await _until(lambda: taken(5))
    worker.end()
    await system.worker().recovered()
    await _beat(system, 1)
    await _until(lambda: taken(6))
    await system.assert_order_joins()


@pytest.mark.timeout(90)
async def test_an_event_clock_ends_at_its_end_and_shows_it(system: System) -> None:
    """With the clock `event` each lane drains what is there and comes to `until`; the progress says 1 only then."""
    await system.some(400)
    worker = system.worker(EWS_CLOCK="event", EWS_CLOCK_UNTIL=UNTIL, COUNTING_STEP_MS="1")
    await worker.recovered()
    port = worker.said("health.listening")[0]["port"]
    async with aiohttp.ClientSession() as session:

        async def done() -> bool:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                found = re.search(r"^ews_progress_ratio (\S+)$", await response.text(), re.MULTILINE)
            return found is not None and float(found[1]) == 1.0

        await _until(done)
        async with session.get(f"http://127.0.0.1:{port}/readyz") as response:
            assert response.status == 200
    await system.assert_exactly_once()
    for steps in (await _steps(system)).values():
        assert steps[-1][:2] == ["tick", UNTIL_MS]
