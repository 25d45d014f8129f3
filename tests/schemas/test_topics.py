from __future__ import annotations

import pytest

from schemas.events import EVENTS, Topic
from schemas.topics import ALERTS, DEAD_LETTERS, LAYOUTS, PORTFOLIO_STATE, STATE, partition_of, topic_of

KAFKA_HASHES = {
    b"21": -973932308,
    b"foobar": -790332482,
    b"a-little-bit-long-string": -985981536,
    b"a-little-bit-longer-string": -1486304829,
    b"abc": 479470107,
}
"""What Kafka's own Java client gives, from its unit test of murmur2."""


@pytest.mark.parametrize("key", sorted(KAFKA_HASHES))
@pytest.mark.parametrize("partitions", [1, 4, 8, 48])
def test_partitions_are_those_of_kafkas_java_client(key: bytes, partitions: int) -> None:
    """The rule is murmur2 with the sign bit cleared, modulo the number of partitions."""
    assert (KAFKA_HASHES[key] & 0x7FFFFFFF) % partitions == partition_of(key, partitions)


def test_every_topic_that_holds_borrowers_is_keyed() -> None:
    """Only heartbeats and policies, which concern every lane, have one partition."""
    assert {name for name, layout in LAYOUTS.items() if not layout.keyed} == {"feeds", "policies"}


def test_records_with_persons_go_and_sources_stay() -> None:
    """Dead letters are kept for two weeks; sources and alerts as long as a replay may want them."""
    assert LAYOUTS[DEAD_LETTERS].config["retention.ms"] == "1209600000"
    assert LAYOUTS[ALERTS].config["retention.ms"] == "-1"
    assert LAYOUTS[Topic.REPAYMENTS].config["retention.ms"] == "-1"
    assert LAYOUTS[STATE].config["cleanup.policy"] == "compact"


@pytest.mark.parametrize("name", [STATE, PORTFOLIO_STATE])
def test_changelogs_are_compacted_soon_and_keep_tombstones_for_a_day(name: str) -> None:
    """Small segments, compacted within the hour; tombstones outlive every checkpoint that is trusted."""
    assert {
        "cleanup.policy": "compact",
        "segment.bytes": "67108864",
        "segment.ms": "600000",
        "min.cleanable.dirty.ratio": "0.2",
        "max.compaction.lag.ms": "3600000",
        "delete.retention.ms": "86400000",
    } == LAYOUTS[name].config


def test_every_event_type_has_its_topic() -> None:
    """The topic of a type is its model's, and an unknown type has none."""
    assert {kind: model.topic for kind, model in EVENTS.items()} == {kind: topic_of(kind) for kind in EVENTS}
    with pytest.raises(KeyError):
        topic_of("ews.unknown.v1")
