"""Every topic once: its name, what keys it, how long it is kept. And Kafka's own key-to-partition rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from murmurhash2 import murmurhash2

from schemas.events import EVENTS, Topic

if TYPE_CHECKING:
    from collections.abc import Mapping

MURMUR2_SEED = 0x9747B28C
DAY_MS = 86_400_000
CHANGELOG_DELETE_RETENTION_MS = DAY_MS
"""How long the tombstone of a forgotten state stays at least: a checkpoint must be younger."""

SOURCES = (Topic.REPAYMENTS, Topic.TRANSACTIONS, Topic.BUREAU, Topic.CONTACTS)
"""The keyed topics that a lane drains, in the order that breaks ties."""

ALERTS = "alerts"
ORDER = "order"
POLICIES = "policies"
COHORTS = "cohorts"
LINKS = "links"
ALERT_OUTCOMES = "alert-outcomes"
DEAD_LETTERS = "dead-letters"
STATE = "state"
"""The changelog of the borrowers' states, one record for each borrower that a drain touched."""
PORTFOLIO_STATE = "portfolio-state"
"""The same of the second hop: cohorts and links."""
PORTFOLIO_ORDER = "portfolio-order"
"""The order of the second hop's lanes."""


@dataclass(frozen=True)
class TopicLayout:
    """How a topic is laid out. `keyed` topics all have the same number of partitions, the others have one."""

    name: str
    keyed: bool
    config: Mapping[str, str] = field(default_factory=dict)


_KEPT = {"cleanup.policy": "delete", "retention.ms": "-1"}
_COMPACTED = {"cleanup.policy": "compact"}
_CHANGELOG = {
    "cleanup.policy": "compact",
    "segment.bytes": str(64 * 2**20),
    "segment.ms": "600000",
    "min.cleanable.dirty.ratio": "0.2",
    "max.compaction.lag.ms": "3600000",
    "delete.retention.ms": str(CHANGELOG_DELETE_RETENTION_MS),
}

LAYOUTS: dict[str, TopicLayout] = {
    layout.name: layout
    for layout in (
        *(TopicLayout(topic, keyed=True, config=_KEPT) for topic in SOURCES),
        TopicLayout(Topic.FEEDS, keyed=False, config=_KEPT),
        TopicLayout(POLICIES, keyed=False, config=_COMPACTED),
        TopicLayout(ORDER, keyed=True, config=_KEPT),
        TopicLayout(ALERTS, keyed=True, config=_KEPT),
        TopicLayout(COHORTS, keyed=True, config=_KEPT),
        TopicLayout(LINKS, keyed=True, config=_KEPT),
        TopicLayout(ALERT_OUTCOMES, keyed=True, config=_KEPT),
        TopicLayout(
            DEAD_LETTERS,
            keyed=True,
            # Raw bytes hold persons: two weeks. A letter is as large as the largest event, with room for its headers.
            config={
                "cleanup.policy": "delete",
                "retention.ms": str(14 * DAY_MS),
                "max.message.bytes": str(1_048_588 + 65_536),
            },
        ),
        TopicLayout(STATE, keyed=True, config=_CHANGELOG),
        TopicLayout(PORTFOLIO_STATE, keyed=True, config=_CHANGELOG),
        TopicLayout(PORTFOLIO_ORDER, keyed=True, config=_KEPT),
    )
}
"""Every topic of the product by name."""


def partition_of(key: bytes, partitions: int) -> int:
    """The partition that Kafka's default (murmur2) partitioner gives a key. Producers must use the same rule."""
    return (murmurhash2(key, MURMUR2_SEED) & 0x7FFFFFFF) % partitions


def topic_of(event_type: str) -> Topic:
    """The topic an event type belongs to. Raises KeyError for an unknown type."""
    return EVENTS[event_type].topic
