from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.events import Topic
from schemas.topics import partition_of
from streams import clock
from streams.errors import Unavailable
from streams.kafka.topics import create_topics
from streams.local.loader import load
from streams.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

PARTITIONS = 3
YEAR_2025_MS = 1_735_689_600_000


class Line(NamedTuple):
    """A line of an event file."""

    available_ms: int
    key: bytes | None
    value: bytes
    topic: Topic = Topic.TRANSACTIONS


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """A system of its own on the tests' broker."""
    return Settings(bootstrap_servers=broker, topic_prefix=prefix, partitions=PARTITIONS)


async def read(settings: Settings, topic: str, partitions: Iterable[int]) -> dict[int, list[Any]]:
    """The records of a topic by partition, in order."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        parts = [TopicPartition(settings.topic_prefix + topic, partition) for partition in partitions]
        consumer.assign(parts)
        ends = await consumer.end_offsets(parts)
        records: dict[int, list[Any]] = {part.partition: [] for part in parts}
        while any([await consumer.position(part) < ends[part] for part in parts]):
            for part, fetched in (await consumer.getmany(timeout_ms=200)).items():
                records[part.partition] += fetched
        return records
    finally:
        await consumer.stop()


async def test_events_lie_where_producers_would_put_them_in_the_files_order(settings: Settings) -> None:
    """Each event is in the partition of its key, in order, its time and bytes kept; heartbeats in partition 0."""
    await create_topics(settings)
    lines = [Line(YEAR_2025_MS + n, b"b%d" % (n % 50), b"%d " % n * 100) for n in range(20_000)]
    beats = [Line(YEAR_2025_MS + n, b"bank/alpha", b"beat %d" % n, Topic.FEEDS) for n in range(10)]
    seen: list[int] = []
    loaded = await load(settings, [*lines, *beats], progress=seen.append)
    records = await read(settings, Topic.TRANSACTIONS, range(PARTITIONS))
    for partition, found in records.items():
        mine = [line for line in lines if partition_of(line.key or b"", PARTITIONS) == partition]
        assert [(r.timestamp, r.key, r.value) for r in found] == [(m.available_ms, m.key, m.value) for m in mine]
    assert [b.value for b in beats] == [r.value for r in (await read(settings, Topic.FEEDS, [0]))[0]]
    assert {"transactions": 20_000, "feeds": 10} == loaded.topics
    assert (YEAR_2025_MS, YEAR_2025_MS + 19_999) == (loaded.first_ms, loaded.last_ms)
    assert seen == sorted(seen)
    assert 20_010 == seen[-1]


async def test_what_a_broker_would_refuse_is_loaded_all_the_same(settings: Settings) -> None:
    """What is of the far future gets the time before it, what is too large is cut, and there may be no key."""
    await create_topics(settings)
    lines = [
        Line(YEAR_2025_MS, b"b1", b"good"),
        Line(clock.now_ms() + 86_400_000, b"b1", b"of tomorrow"),
        Line(YEAR_2025_MS + 1, b"b1", b"x" * 1_200_000),
        Line(YEAR_2025_MS + 2, b"k" * 300_000, b"y" * 1_000_000),
        Line(YEAR_2025_MS + 3, None, b""),
    ]
    loaded = await load(settings, lines)
    records = await read(settings, Topic.TRANSACTIONS, range(PARTITIONS))
    found = {(r.timestamp, (r.value or b"")[:11]): r for partition in records.values() for r in partition}
    assert 5 == loaded.total == len(found)
    assert (YEAR_2025_MS, b"of tomorrow") in found
    assert len(found[YEAR_2025_MS + 1, b"x" * 11].value) > 1_000_000
    assert found[YEAR_2025_MS + 3, b""].key is None
    assert YEAR_2025_MS + 3 == loaded.last_ms


async def test_events_after_the_end_are_left_out(settings: Settings) -> None:
    """What became known by `until` is loaded, the rest is counted."""
    await create_topics(settings)
    lines = [Line(YEAR_2025_MS + n, b"b1", b"%d" % n) for n in range(10)]
    loaded = await load(settings, lines, until_ms=YEAR_2025_MS + 6)
    assert (7, 3) == (loaded.total, loaded.left_out)


async def test_a_broker_that_is_not_there_is_one_line() -> None:
    """Nobody answers: Unavailable, with the address."""
    nowhere = Settings(bootstrap_servers="127.0.0.1:9")
    with pytest.raises(Unavailable, match=r"Kafka at 127.0.0.1:9 did not take the events"):
        await load(nowhere, [])
