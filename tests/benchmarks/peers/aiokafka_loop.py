"""The reference job as a plain loop over aiokafka: fetch, apply, write, commit. No framework, no recovery.

Exactly once is the consume-process-produce loop of aiokafka's documentation: one transaction for each fetched batch. It
is the loop that the product is held against. At least once waits for all writes and then commits the offsets.
`exactly-once-packed` fills its record batches itself (`create_batch`), which costs a sixth of `send`.

The states are kept as objects and only written as JSON. A loop that could be restarted would also read them back.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from report import Job, Report

from streams.local.reference import judge

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

RECORDS_MAX = 8_000
BATCH_BYTES = 512 * 1024

Out = list[tuple[str, int, bytes, bytes]]
"""Topic, partition, key, value."""


class Loop:
    """The job and its states."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self._states: dict[bytes, Any] = {}

    def apply(self, batches: Mapping[Any, Iterable[Any]]) -> Out:
        """What a fetched batch makes to be written: the alerts, and each state that changed once."""
        out: Out = []
        touched: dict[bytes, int] = {}
        for place, records in batches.items():
            for record in records:
                key = record.key
                touched[key] = place.partition
                value = judge(self._states.setdefault(key, {}), orjson.loads(record.value))
                if value is not None:
                    out.append((self.job.alerts, place.partition, key, value))
        states = [(self.job.state, at, key, orjson.dumps(self._states[key])) for key, at in touched.items()]
        return out + states


async def run(job: Job) -> None:
    """The loop, until it is killed."""
    loop, report = Loop(job), Report(job.events)
    once = job.guarantee.startswith("exactly-once")
    send = _packed if job.guarantee.endswith("packed") else _one_by_one
    consumer = AIOKafkaConsumer(
        *job.sources, bootstrap_servers=job.bootstrap, group_id=f"{job.prefix}loop", enable_auto_commit=False,
        auto_offset_reset="earliest", isolation_level="read_committed", fetch_max_wait_ms=100,
    )  # fmt: skip
    producer = AIOKafkaProducer(
        bootstrap_servers=job.bootstrap, acks="all", enable_idempotence=True, max_batch_size=BATCH_BYTES,
        transactional_id=f"{job.prefix}loop" if once else None,
    )  # fmt: skip
    await consumer.start()
    await producer.start()
    while True:
        batches = await consumer.getmany(timeout_ms=100, max_records=RECORDS_MAX)
        if not batches:
            continue
        out, offsets = loop.apply(batches), {place: records[-1].offset + 1 for place, records in batches.items()}
        if once:
            async with producer.transaction():
                await asyncio.gather(*await send(producer, out))
                await producer.send_offsets_to_transaction(offsets, f"{job.prefix}loop")
        else:
            await asyncio.gather(*await send(producer, out))
            await consumer.commit(offsets)
        report.seen(sum(map(len, batches.values())))


async def _one_by_one(producer: AIOKafkaProducer, out: Out) -> list[Any]:
    return [await producer.send(topic, value, key, partition=at) for topic, at, key, value in out]


async def _packed(producer: AIOKafkaProducer, out: Out) -> list[Any]:
    filling: dict[tuple[str, int], Any] = {}
    sent = []
    for topic, at, key, value in out:
        batch = filling.get((topic, at))
        if batch is None or batch.append(timestamp=None, key=key, value=value) is None:
            if batch is not None:
                sent.append(await producer.send_batch(batch, topic, partition=at))
            batch = filling[topic, at] = producer.create_batch()
            batch.append(timestamp=None, key=key, value=value)
    return sent + [await producer.send_batch(batch, topic, partition=at) for (topic, at), batch in filling.items()]


if __name__ == "__main__":
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    asyncio.run(run(Job.of_arguments()))
