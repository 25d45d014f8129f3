"""Moving partitions between brokers, as an operator's tool does: their leaders go elsewhere, and come back behind."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.protocol.admin import AlterPartitionReassignmentsRequest

from streams import clock

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Places = dict[tuple[str, int], list[int]]
SETTLE_SECONDS_MAX = 60.0


async def move_leaders(servers: str, chosen: Callable[[str], bool]) -> int:
    """Take every leader of the chosen topics away from its broker and give the copy back as the last; how many."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        before = {place: at for place, at in (await _placed(admin)).items() if chosen(place[0])}
        without = {
            place: [n for n in at["replicas"] if n != at["leader"]] for place, at in before.items() if at["leader"] > 0
        }
        await _assign(admin, without)
        await _until(admin, without, lambda place, at: at["leader"] in without[place])
        back = {place: [*others, before[place]["leader"]] for place, others in without.items()}
        await _assign(admin, back)
        await _until(admin, back, lambda place, at: len(at["isr"]) == len(back[place]))
        return len(back)
    finally:
        await admin.close()


async def in_sync(servers: str, copies: int, seconds: float) -> bool:
    """Wait until every partition has so many copies in sync; whether it came to that."""
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    try:
        deadline = clock.monotonic() + seconds
        while clock.monotonic() < deadline:
            if all(len(at["isr"]) >= copies for at in (await _placed(admin)).values()):
                return True
            await asyncio.sleep(0.3)
        return False
    finally:
        await admin.close()


async def _placed(admin: AIOKafkaAdminClient) -> Mapping[tuple[str, int], Any]:
    topics = await admin.describe_topics()
    return {(topic["topic"], at["partition"]): at for topic in topics for at in topic["partitions"]}


async def _assign(admin: AIOKafkaAdminClient, places: Places) -> None:
    topics: dict[str, list[Any]] = {}
    for (topic, partition), replicas in places.items():
        topics.setdefault(topic, []).append((partition, replicas, {}))
    request = AlterPartitionReassignmentsRequest(10_000, [(name, parts, {}) for name, parts in topics.items()], {})
    answer = await admin._send_request(request)
    wrong = [(name, code, why) for name, parts, _ in answer.responses for _, code, why, _ in parts if code]
    assert (0, []) == (answer.error_code, wrong), answer.error_message


async def _until(
    admin: AIOKafkaAdminClient, places: Places, done: Callable[[tuple[str, int], Mapping[str, Any]], bool]
) -> None:
    deadline = clock.monotonic() + SETTLE_SECONDS_MAX
    while clock.monotonic() < deadline:
        placed = await _placed(admin)
        if all(place in placed and done(place, placed[place]) for place in places):
            return
        await asyncio.sleep(0.1)
    raise TimeoutError(f"{len(places)} partitions did not settle in {SETTLE_SECONDS_MAX:.0f} s")
