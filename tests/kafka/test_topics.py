from __future__ import annotations

import asyncio
import socket

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from schemas.topics import LAYOUTS
from streams import clock
from streams.errors import Misconfigured, Unavailable
from streams.kafka.topics import _until_writable, check_topics, create_topics, require_topics
from streams.settings import Settings, load


@pytest.fixture
def settings(broker: str, prefix: str) -> Settings:
    """Two partitions, and topic names of this test's own."""
    return load(bootstrap_servers=broker, topic_prefix=prefix, partitions=2)


async def made_by_hand(settings: Settings, *topics: NewTopic) -> None:
    """Make topics as somebody without `ews topics create` would."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics(list(topics))
        await _until_writable(admin, [topic.name for topic in topics])
    finally:
        await admin.close()


async def test_every_missing_topic_is_reported(settings: Settings) -> None:
    """On an empty cluster each topic of the product is a mistake of its own, with what to do."""
    mistakes = await check_topics(settings)
    assert len(LAYOUTS) == len(mistakes)
    assert all("is missing: run `ews topics create`" in mistake for mistake in mistakes)


async def test_topics_are_made_once(settings: Settings, prefix: str) -> None:
    """The first call makes every topic and they then pass the check; a second call finds nothing to do."""
    assert {prefix + name for name in LAYOUTS} == set(await create_topics(settings))
    assert [] == await check_topics(settings)
    assert [] == await create_topics(settings)


async def test_a_wrong_partition_count_is_refused(settings: Settings, prefix: str) -> None:
    """A topic with another number of partitions is named with both numbers, and nothing starts on it."""
    await made_by_hand(settings, NewTopic(f"{prefix}repayments", 3, 1))
    await create_topics(settings)
    sentence = f"the topic {prefix}repayments has 3 partitions, not 2 as EWS_PARTITIONS says"
    assert [sentence] == await check_topics(settings)
    with pytest.raises(Misconfigured, match="3 partitions, not 2"):
        await require_topics(settings)


async def test_a_wrong_cleanup_policy_is_reported(settings: Settings, prefix: str) -> None:
    """A changelog that is not compacted, or dead letters that would not fit, are mistakes."""
    await made_by_hand(settings, NewTopic(f"{prefix}state", 2, 1), NewTopic(f"{prefix}dead-letters", 2, 1))
    assert [
        f"the topic {prefix}state has cleanup.policy=delete, and needs compact",
        f"the topic {prefix}dead-letters has max.message.bytes=1048588, and needs 1114124",
    ] == await check_topics(settings, ["state", "dead-letters"])


async def test_too_low_a_replication_is_reported(settings: Settings) -> None:
    """One copy where three are asked for is a mistake, and so is the min ISR that goes with it."""
    await create_topics(settings)
    strict = settings.model_copy(update={"replication": 3, "min_isr": 2})
    mistakes = await check_topics(strict, ["alerts"])
    assert ["1 copies, fewer than EWS_REPLICATION=3", "min.insync.replicas=1, and needs 2"] == [
        mistake.split(" has ")[1] for mistake in mistakes
    ]


async def test_a_replication_that_the_cluster_cannot_give_is_refused(settings: Settings) -> None:
    """Asking one broker for three copies is a mistake of the settings, in the cluster's words."""
    with pytest.raises(Misconfigured, match=r"refuses to make the topic .*replication factor"):
        await create_topics(settings.model_copy(update={"replication": 3}))


async def test_an_unreachable_kafka_is_one_line_soon() -> None:
    """A port where nothing listens is reported at once, saying what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # Bound and not listening: connections are refused.
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable, match=rf"Kafka at 127.0.0.1:{port} cannot be reached: start it"):
            await check_topics(load(bootstrap_servers=f"127.0.0.1:{port}"))


async def test_a_listener_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A port that accepts and says nothing is given up within the bound, with a hint at the security settings."""
    monkeypatch.setattr("streams.kafka.topics.ANSWER_SECONDS_MAX", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        before = clock.monotonic()
        with pytest.raises(Unavailable, match="does not talk to us"):
            await check_topics(load(bootstrap_servers=f"127.0.0.1:{silent.getsockname()[1]}"))
        assert clock.monotonic() - before < 5


async def test_topics_are_made_by_two_at_once(settings: Settings) -> None:
    """Two that make the topics at the same moment do not disturb each other."""
    await asyncio.gather(create_topics(settings), create_topics(settings))
    assert [] == await check_topics(settings)
