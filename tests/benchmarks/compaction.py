"""Whether a changelog really shrinks, and tombstones really go: transactions on a real broker, with shortened times.

    python -m tests.benchmarks.compaction

The topic has the product's settings for changelogs but for its times: segments of 1 MiB or 5 s in place of 64 MiB or
10 min, compaction after 10 s in place of 1 h, tombstones for 5 s in place of 24 h. Takes about two minutes.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import LAYOUTS, STATE
from streams import clock
from streams.local.broker import LocalBroker

TOPIC = "compacted-state"
SHORTENED = {
    "segment.bytes": str(2**20),
    "segment.ms": "5000",
    "max.compaction.lag.ms": "10000",
    "delete.retention.ms": "5000",
}
KEYS, ROUNDS, FORGOTTEN = 2_000, 20, 1_000
VALUE = b"s" * 1_024
SECONDS_MAX = 240.0


class Held(NamedTuple):
    """What the topic holds."""

    records: int
    tombstones: int
    states: int
    log_bytes: int


async def main(directory: Path) -> None:
    """Writes, forgets, and watches."""
    with LocalBroker(directory, say=_say) as broker:
        servers = broker.bootstrap_servers
        await _create(servers)
        await _write(servers, [(b"k%d" % key, VALUE) for _ in range(ROUNDS) for key in range(KEYS)])
        _say("written:", await _held(servers, directory))
        await _write(servers, [(b"k%d" % key, None) for key in range(FORGOTTEN)])
        began = clock.monotonic()
        _say("forgotten:", await _held(servers, directory))
        while (held := await _held(servers, directory)).tombstones or held.records > 2 * KEYS:
            assert clock.monotonic() - began < SECONDS_MAX, held
            # A segment is rolled by a write, and only closed segments are compacted: a worker always writes.
            await _write(servers, [(b"\0lane", b"%d" % round(clock.monotonic() * 1e3))])
            await asyncio.sleep(2)
        _say(f"after {clock.monotonic() - began:.0f} s:", held)
        assert held.states == KEYS - FORGOTTEN, "a state is gone that was not forgotten"


def _say(*what: object) -> None:
    sys.stdout.write(" ".join(map(str, what)) + "\n")
    sys.stdout.flush()


async def _create(servers: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=servers)
    await admin.start()
    await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs=dict(LAYOUTS[STATE].config) | SHORTENED)])
    await admin.close()


async def _write(servers: str, records: list[tuple[bytes, bytes | None]]) -> None:
    producer: Any = AIOKafkaProducer(bootstrap_servers=servers, transactional_id="lane-0")
    await producer.start()
    for first in range(0, len(records), 500):
        async with producer.transaction():
            for key, value in records[first : first + 500]:
                await producer.send(TOPIC, value, key=key, partition=0)
    await producer.stop()


async def _held(servers: str, directory: Path) -> Held:
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=servers, isolation_level="read_committed")
    await consumer.start()
    part, states, records, tombstones = TopicPartition(TOPIC, 0), set(), 0, 0
    consumer.assign([part])
    await consumer.seek_to_beginning(part)
    end = (await consumer.end_offsets([part]))[part]
    while await consumer.position(part) < end:
        for record in (await consumer.getmany(timeout_ms=500)).get(part, ()):
            records, tombstones = records + 1, tombstones + (record.value is None)
            (states.discard if record.value is None else states.add)(record.key)
    await consumer.stop()
    return Held(records, tombstones, len(states - {b"\0lane"}), _size(directory))


def _size(directory: Path) -> int:
    return sum(file.stat().st_size for file in directory.glob(f"kafka/{TOPIC}-0/*.log"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(prefix="ews-compaction-") as scratch:
        asyncio.run(main(Path(scratch)))
