"""The topics as they must be on the cluster: made, and checked before anything relies on them."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from schemas.topics import LAYOUTS
from streams import clock
from streams.errors import Misconfigured, Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import why_not

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from schemas.topics import TopicLayout
    from streams.settings import Settings

ANSWER_SECONDS_MAX = 8.0
"""How long a cluster may take to answer all that is asked of it in one go."""
LEADERS_SECONDS_MAX = 30.0
"""How long new topics may take until each partition can be written to."""
POLL_SECONDS = 0.1

_AT_LEAST = ("min.insync.replicas", "max.message.bytes", "delete.retention.ms")
_EQUAL = ("cleanup.policy",)


@dataclass(frozen=True)
class _Found:
    """A topic as the cluster describes it."""

    partitions: int
    replication: int
    has_leaders: bool
    config: dict[str, str] = field(default_factory=dict)


async def create_topics(settings: Settings) -> list[str]:
    """Make the topics that are missing and wait until they can be used. Their names; none if all were there.

    Raises Unavailable, and Misconfigured when the cluster refuses one (too few brokers for the replication, no right).
    """
    async with administering(settings) as admin:
        wanted = {topic_name(settings, layout.name): layout for layout in LAYOUTS.values()}
        there = await _described(admin, wanted)
        missing = [_new_topic(name, layout, settings) for name, layout in wanted.items() if name not in there]
        if not missing:
            return []
        answer = await admin.create_topics(missing, timeout_ms=int(ANSWER_SECONDS_MAX * 1000))
        for name, code, reason in answer.topic_errors:
            if code not in {0, TopicAlreadyExistsError.errno}:  # Somebody else may make them at this moment.
                raise Misconfigured(
                    f"the cluster refuses to make the topic {name}: {reason or for_code(code).__name__}"
                )
        await _until_writable(admin, [topic.name for topic in missing])
        return [topic.name for topic in missing]


async def check_topics(settings: Settings, bare_names: Iterable[str] | None = None) -> list[str]:
    """What is wrong with the topics (all, or those named), a sentence each; none if all is well. Raises Unavailable."""
    layouts = [LAYOUTS[name] for name in (LAYOUTS if bare_names is None else bare_names)]
    names = [topic_name(settings, layout.name) for layout in layouts]
    async with administering(settings) as admin:
        there = await _described(admin, names)
        configs = await _configs(admin, there)
    return [
        mistake
        for name, layout in zip(names, layouts, strict=True)
        for mistake in _mistakes(name, layout, settings, there.get(name), configs.get(name, {}))
    ]


async def require_topics(settings: Settings, bare_names: Iterable[str] | None = None) -> None:
    """Refuse to start on topics that are not as they must be. Raises Misconfigured (every mistake) or Unavailable."""
    mistakes = await check_topics(settings, bare_names)
    if mistakes:
        raise Misconfigured("; ".join(mistakes))


async def partition_counts(settings: Settings, bare_names: Iterable[str]) -> dict[str, int]:
    """How many partitions each of these topics has. Raises Misconfigured for a missing one, or Unavailable."""
    names = {topic_name(settings, bare): bare for bare in bare_names}
    async with administering(settings) as admin:
        there = await _described(admin, names)
    if missing := sorted(names.keys() - there.keys()):
        raise Misconfigured(
            f"there is no topic {', '.join(missing)} on {settings.bootstrap_servers}: "
            "is EWS_TOPIC_PREFIX right? `ews topics create` makes them"
        )
    return {bare: there[name].partitions for name, bare in names.items()}


@contextlib.asynccontextmanager
async def administering(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    """A started admin client. What goes wrong while it is used, time included, is Unavailable or Misconfigured."""
    admin = AIOKafkaAdminClient(
        **connection(settings), client_id=f"{settings.app}-topics", request_timeout_ms=int(ANSWER_SECONDS_MAX * 1000)
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS_MAX):
            await admin.start()
        yield admin
    except (KafkaError, OSError, TimeoutError) as failed:
        raise await why_not(settings, failed) from failed
    finally:
        await admin.close()


def _new_topic(name: str, layout: TopicLayout, settings: Settings) -> NewTopic:
    config = dict(layout.config) | {"min.insync.replicas": str(settings.min_isr)}
    return NewTopic(name, _partitions(layout, settings), settings.replication, topic_configs=config)


def _partitions(layout: TopicLayout, settings: Settings) -> int:
    return settings.partitions if layout.keyed else 1


async def _described(admin: AIOKafkaAdminClient, names: Iterable[str]) -> dict[str, _Found]:
    """Those of the topics that are there. All are asked for: asking for one by name could make it on some clusters."""
    wanted = set(names)
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        topics = await admin.describe_topics()
    return {topic["topic"]: _found(topic["partitions"]) for topic in topics if topic["topic"] in wanted}


def _found(partitions: list[dict[str, Any]]) -> _Found:
    return _Found(
        partitions=len(partitions),
        replication=min((len(partition["replicas"]) for partition in partitions), default=0),
        has_leaders=bool(partitions) and all(partition["leader"] >= 0 for partition in partitions),
    )


async def topic_settings(
    settings: Settings, bare_names: Iterable[str], asked: Iterable[str]
) -> dict[str, dict[str, str]]:
    """What these settings of these topics are on the cluster. Raises Unavailable."""
    names = {topic_name(settings, bare): bare for bare in bare_names}
    async with administering(settings) as admin:
        found = await _configs(admin, names, asked)
    return {bare: found.get(name, {}) for name, bare in names.items()}


async def _configs(
    admin: AIOKafkaAdminClient, names: Iterable[str], options: Iterable[str] = (*_EQUAL, *_AT_LEAST)
) -> dict[str, dict[str, str]]:
    asked = dict.fromkeys(options, "")
    resources = [ConfigResource(ConfigResourceType.TOPIC, name, configs=asked) for name in names]
    if not resources:
        return {}
    async with asyncio.timeout(ANSWER_SECONDS_MAX):
        answers = await admin.describe_configs(resources)
    return {
        name: {entry[0]: entry[1] for entry in entries}
        for answer in answers
        for _code, _reason, _kind, name, entries in answer.resources
    }


def _mistakes(
    name: str, layout: TopicLayout, settings: Settings, found: _Found | None, config: Mapping[str, str]
) -> list[str]:
    if found is None:
        # To a user without rights the cluster shows nothing.
        unseen = "" if settings.security_protocol == "PLAINTEXT" else ", or let this user see it (`ews topics acls`)"
        return [f"the topic {name} is missing: run `ews topics create`{unseen}"]
    mistakes = []
    if found.partitions != (wanted := _partitions(layout, settings)):
        mistakes.append(f"the topic {name} has {found.partitions} partitions, not {wanted} as EWS_PARTITIONS says")
    if found.replication < settings.replication:
        mistakes.append(
            f"the topic {name} has {found.replication} copies, fewer than EWS_REPLICATION={settings.replication}"
        )
    asked = dict(layout.config) | {"min.insync.replicas": str(settings.min_isr)}
    compared = [option for option in (*_EQUAL, *_AT_LEAST) if option in asked and option in config]
    return mistakes + [
        f"the topic {name} has {option}={config[option]}, and needs {asked[option]}"
        for option in compared
        if not _satisfies(option, config[option], asked[option])
    ]


def _satisfies(option: str, value: str, needed: str) -> bool:
    return value == needed if option in _EQUAL else int(value) >= int(needed)


async def _until_writable(admin: AIOKafkaAdminClient, names: list[str]) -> None:
    """Wait until every partition has a leader."""
    deadline = clock.monotonic() + LEADERS_SECONDS_MAX
    while clock.monotonic() < deadline:
        there = await _described(admin, names)
        if len(there) == len(names) and all(found.has_leaders for found in there.values()):
            return
        await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(f"the new topics have no leaders after {LEADERS_SECONDS_MAX:.0f} s: look at the cluster")
