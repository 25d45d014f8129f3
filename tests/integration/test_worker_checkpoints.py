"""A worker that keeps checkpoints starts from them, and loses and doubles nothing by it."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from schemas.topics import STATE
from streams import clock
from streams.kafka.topic_ids import topic_id
from tests.integration.system import PARTITIONS, until

if TYPE_CHECKING:
    from pathlib import Path
    from uuid import UUID

    from tests.integration.system import System, Worker

KEYS = 200
EVENTS = 1_000


async def test_a_killed_worker_starts_from_its_checkpoints(system: System, tmp_path: Path) -> None:
    """It takes its states from the files and reads what came after; a file that was cut off is not trusted."""
    folder = tmp_path / "checkpoints"
    settings = {"EWS_CHECKPOINT_DIR": str(folder), "EWS_CHECKPOINT_SECONDS": "1"}
    worker = system.worker(**settings)
    await worker.recovered()
    await system.some(EVENTS, KEYS)
    await system.all_counted()
    await until(lambda: KEYS + PARTITIONS == _saved(worker), 60, "not all is saved")
    worker.signal(signal.SIGKILL)
    await worker.ended()
    whole = next(folder.glob("*-0.checkpoint"))
    whole.write_bytes(whole.read_bytes()[:-1])
    await system.some(EVENTS // 10, KEYS)
    there = len(await system.read(STATE))
    successor = system.worker(**settings)
    await successor.recovered()
    await system.all_counted()
    assert [0] == [line["lane"] for line in successor.said("checkpoint.discarded")]
    recovered: dict[str, Any] = successor.said("worker.recovered")[0]
    assert 0 < recovered["from_checkpoints"] < KEYS + PARTITIONS
    assert recovered["read"] < there
    await system.assert_exactly_once()


def _saved(worker: Worker) -> int:
    """The states in the latest checkpoints."""
    return sum({line["lane"]: line["states"] for line in worker.said("checkpoint.saved")}.values())


async def test_a_topic_made_anew_has_another_id(broker: str, prefix: str) -> None:
    """The id tells a topic from one that had its name before: the checkpoints of that one are foreign."""
    consumer = AIOKafkaConsumer(bootstrap_servers=broker)
    admin = AIOKafkaAdminClient(bootstrap_servers=broker)
    await consumer.start()
    await admin.start()
    try:
        ids = []
        for _ in range(2):
            await admin.create_topics([NewTopic(f"{prefix}named", 1, 1)])
            ids.append(await _known(consumer._client, f"{prefix}named"))
            assert ids[-1] == await topic_id(consumer._client, f"{prefix}named")
            await admin.delete_topics([f"{prefix}named"])
        assert ids[0] != ids[1]
    finally:
        await admin.close()
        await consumer.stop()


async def _known(client: Any, topic: str) -> UUID:
    """The id of a topic that has just been made: brokers hear of it a moment later."""
    deadline = clock.monotonic() + 20
    while True:
        try:
            return await topic_id(client, topic)
        except UnknownTopicOrPartitionError:
            assert clock.monotonic() < deadline, "the topic is not there"
