"""Gathering from the topics of a cluster, as they stand. Nothing is written and no group is joined."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from schemas.codec import InvalidEvent, decode, decode_alert, decode_outcome
from schemas.events import Topic
from schemas.topics import ALERT_OUTCOMES, ALERTS, SOURCES, partition_of
from streams.history.explain.material import Fact, Material, Told, Wanted, assembled
from streams.history.order import partition_in
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from aiokafka import ConsumerRecord

    from schemas.outcomes import AlertOutcome
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
    outcomes = await _outcomes(settings, told)
    return assembled(told, mine, facts, _where(settings), cut=cut, outcomes=outcomes)


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


async def _outcomes(settings: Settings, told: Told) -> list[AlertOutcome]:
    """How the episode was judged. Outcomes are keyed like the alerts that they judge."""
    key = told.alert.subject.encode()
    number = partition_of(key, (await partition_counts(settings, [ALERT_OUTCOMES]))[ALERT_OUTCOMES])
    found = []
    async with reading(settings, ALERT_OUTCOMES) as reader:
        async for record in (await reader.open(number)).records():
            if record.key == key:
                with suppress(InvalidEvent):
                    found.append(decode_outcome(record.value))
    own = [x for x in found if x.data.episode_id == told.alert.data.episode_id]
    return sorted(own, key=lambda outcome: outcome.data.decided_at)


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
