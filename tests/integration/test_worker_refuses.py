"""What a worker will not do: start on wrong topics, write what does not fit, go on past the limit of dead letters."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import aiohttp
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata

from schemas.topics import ALERTS, partition_of
from streams.agents.app import group_id
from streams.agents.exits import Exit
from tests.integration.system import PARTITIONS, ROOT

if TYPE_CHECKING:
    from tests.integration.system import System

EWS = Path(sys.executable).parent / "ews"


def _ews_worker(system: System, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(EWS), "worker"],
        env={**os.environ, "PYTHONPATH": str(ROOT), **system.environment, **environment},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def test_a_missing_topic_is_refused(system: System) -> None:
    """A worker without its topics ends with 2 and says which are missing, instead of waiting for them for ever."""
    refused = _ews_worker(system, EWS_TOPIC_PREFIX="nowhere-")
    assert refused.returncode == Exit.MISCONFIGURED
    assert "nowhere-repayments is missing" in refused.stderr


async def test_a_wrong_partition_count_is_refused(system: System) -> None:
    """A worker that is told another number of partitions ends with 2: keys would be in other lanes than their state."""
    refused = _ews_worker(system, EWS_PARTITIONS="5")
    assert refused.returncode == Exit.MISCONFIGURED
    assert "partitions" in refused.stderr


async def test_an_oversized_record_ends_the_worker(system: System) -> None:
    """A record that its topic would refuse ends the process before it is sent, and nothing of its drain is committed.

    aiokafka commits a transaction without the record that was refused: the alert would be gone, the event counted.
    """
    await system.send([("repayments", b"k1", b"1"), ("repayments", b"k1", b"!large")])
    assert await system.worker().ended() == Exit.RECORD_TOO_LARGE
    assert await system.runs() == []
    assert await system.read(ALERTS) == []


async def test_the_limit_of_dead_letters_ends_the_worker(system: System) -> None:
    """Past the limit the worker ends with 3 and nothing of that drain is committed: it would never end."""
    await system.send([("repayments", b"k1", b"1"), *[("repayments", b"k1", b"!bad")] * 15])
    assert await system.worker().ended() == Exit.DEAD_LETTER_LIMIT
    assert await system.dead_letters() == []
    assert await system.runs() == []


async def test_an_exception_in_the_logic_ends_the_worker(system: System) -> None:
    """A defect ends the process: Faust would acknowledge the drain and restart the agent without it."""
    await system.send([("repayments", b"k1", b"1"), ("repayments", b"k1", b"!crash")])
    worker = system.worker()
    assert await worker.ended() == Exit.CRASHED
    assert worker.said("worker.exit")[-1]["reason"] == "ZeroDivisionError"
    assert await system.runs() == []


@pytest.mark.parametrize(("value", "reason"), [(b"!stuck", "nothing moved"), (b"!hang", "the event loop")])
async def test_a_worker_that_hangs_is_ended(system: System, value: bytes, reason: str) -> None:
    """Records wait and nothing moves, or the process itself stands still: the watchdog ends it with 18."""
    worker = system.worker(COUNTING_STALL_SECONDS="3")
    await worker.recovered()
    await system.some(400)
    await system.all_counted()
    await system.send([("repayments", b"k1", value)])
    assert await worker.ended() == Exit.STALLED
    assert worker.said("worker.exit")[-1]["reason"].startswith(reason)
    await system.assert_order_joins()


async def test_committed_offsets_do_not_matter(system: System) -> None:
    """The position is in the changelog: a worker goes on from it when the group's offsets are expired or set back."""
    worker = system.worker(None)
    await worker.recovered()
    await system.some(400)
    await system.all_counted()
    worker.signal(signal.SIGTERM)
    assert await worker.ended() == Exit.OK
    group = group_id(system.settings)
    consumer = AIOKafkaConsumer(bootstrap_servers=system.settings.bootstrap_servers, group_id=group)
    await consumer.start()
    parts = [TopicPartition(system.topic("repayments"), partition) for partition in range(PARTITIONS)]
    consumer.assign(parts)
    assert any([(await consumer.committed(part) or 0) > 0 for part in parts]), "lag tools see no offsets"
    await consumer.commit({part: OffsetAndMetadata(0, "") for part in parts})
    await consumer.stop()
    await system.worker(None).recovered()
    await system.some(400)
    await system.all_counted()
    await system.assert_exactly_once()


@pytest.mark.timeout(120)
async def test_a_foreign_open_transaction_blocks_until_it_times_out(system: System) -> None:
    """Nothing is read past an open transaction, the metric shows it, and when the broker aborts it all goes on."""
    worker = system.worker()
    await worker.recovered()
    foreign = AIOKafkaProducer(
        bootstrap_servers=system.settings.bootstrap_servers,
        transactional_id=f"{system.topic('x')}",
        transaction_timeout_ms=4_000,
    )
    await foreign.start()
    await foreign.begin_transaction()
    await foreign.send_and_wait(
        system.topic("repayments"), b"open", key=b"k1", partition=partition_of(b"k1", PARTITIONS)
    )
    await system.send([("repayments", b"k1", b"1"), ("repayments", b"k2", b"1")])
    port = worker.said("health.listening")[0]["port"]
    async with aiohttp.ClientSession() as session:

        async def unstable() -> float:
            async with session.get(f"http://127.0.0.1:{port}/metrics") as response:
                text = await response.text()
            return sum(float(value) for value in re.findall(r"^ews_unstable_records\{.*\} (\S+)$", text, re.MULTILINE))

        async with asyncio.timeout(5):
            while await unstable() == 0:  # noqa: ASYNC110 - the metric is another process's
                await asyncio.sleep(0.1)
    assert b"k1" not in await system.counted()
    await system.all_counted(40.0)
    assert await system.counted() == system.sent
    await foreign.stop()
