"""Gathering from the topics of a cluster, as they stand. Nothing is written and no group is joined."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.codec import InvalidEvent, decode, decode_alert
from schemas.events import Topic
from schemas.topics import ALERTS, SOURCES
from streams.history.explain.material import Fact, Material, Told, Wanted, assembled
from streams.history.order import partition_in
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiokafka import ConsumerRecord

    from streams.settings import Settings

    Progress = Callable[[str, int], None]
    """Told a topic and how many more records of it were read."""

EVERY = 1_000


async def gather(settings: Settings, wanted: Wanted, progress: Progress) -> Material:
    """The material of an alert. Raises Rejected if it is not there; Unavailable, Misconfigured."""
    told = await find(settings, wanted)
    assert told.partition is not None, "it was read of one"
    key = told.alert.subject.encode()
    async with reading(settings, ALERTS) as reader:
        kept = [r async for r in (await reader.open(told.partition)).records() if r.key == key]
    facts, cut = await _facts(settings, told, progress)
    mine = [one for one in map(_told, kept) if one is not None]
    return assembled(told, mine, facts, _where(settings), cut=cut)


async def find(settings: Settings, wanted: Wanted) -> Told:
    """The alert of an id. Raises Rejected if it is not there; Unavailable, Misconfigured."""
    count = (await partition_counts(settings, [ALERTS]))[ALERTS]
    async with reading(settings, ALERTS) as reader:
        for number in range(count):
            async for record in (await reader.open(number)).records():
                if wanted.prefix in (record.value or b"") and (one := _told(record)) is not None:
                    wanted.offer(one)
    return wanted.found(_where(settings))


def _where(settings: Settings) -> str:
    return f"the topic {settings.topic_prefix}{ALERTS} of {settings.bootstrap_servers}"


def _told(record: ConsumerRecord) -> Told | None:
    """The alert of a record; None for what nobody can read."""
    try:
        alert = decode_alert(record.value)
    except InvalidEvent:
        return None
    return Told(alert, record.value, f"{ALERTS}/{record.partition}/{record.offset}", record.partition)


async def _facts(settings: Settings, told: Told, progress: Progress) -> tuple[list[Fact], list[str]]:
    """The events of whom the alert is about, and the sources whose oldest records are gone."""
    facts: list[Fact] = []
    cut: list[str] = []
    assert told.partition is not None, "it was read of one"
    for topic in sources_of(told):
        async with reading(settings, topic) as reader:
            number = partition_in(topic, told.partition)
            partition = await reader.open(number)
            if partition.begin:
                cut.append(f"{topic}/{number}")
            facts += [fact async for fact in _of(told.alert.subject, topic, partition.records(), progress)]
    return sorted(facts, key=lambda fact: (fact.available_ms, fact.event.source, fact.event.id)), cut


def sources_of(told: Told) -> tuple[Topic, ...]:
    """The topics with events of whom an alert is about. A source is known by its heartbeats; a cohort has none."""
    scope = told.alert.data.scope
    if scope == "source" or told.alert.data.detector == "feed_stale":
        return (Topic.FEEDS,)
    return SOURCES if scope is None else ()


async def _of(
    borrower: str, topic: str, records: AsyncIterator[ConsumerRecord], progress: Progress
) -> AsyncIterator[Fact]:
    key = borrower.encode()
    read = 0
    async for record in records:
        read += 1
        if read % EVERY == 0:
            progress(topic, EVERY)
        if record.key == key:
            try:
                event = decode(record.value)
            except InvalidEvent:
                continue  # A dead letter: nothing was concluded from it.
            yield Fact(event, record.timestamp, f"{topic}/{record.partition}/{record.offset}")
