"""Where records about one borrower lie, and until when: what an erasure cannot take out of a log, said exactly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from schemas.topics import (
    ALERT_OUTCOMES,
    ALERTS,
    DEAD_LETTERS,
    LINKS,
    PORTFOLIO_STATE,
    SOURCES,
    STATE,
    partition_of,
)
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts, topic_settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from streams.settings import Settings

BY_BORROWER = (*map(str, SOURCES), ALERTS, ALERT_OUTCOMES, STATE)
"""Topics whose key is the borrower: one partition of each is read."""
NAMING = (DEAD_LETTERS, LINKS, PORTFOLIO_STATE)
"""Topics that may name a borrower in a value, or have one under another partition: all of each is read."""
ASKED = ("cleanup.policy", "retention.ms", "max.compaction.lag.ms", "segment.ms", "delete.retention.ms")


@dataclass(frozen=True, slots=True)
class Trace:
    """What a topic holds of a borrower, as far as readers see it."""

    topic: str
    records: int
    latest: int
    """Of those, values that stand: the last of their key where the topic is compacted, else all."""
    first_at: datetime | None
    last_at: datetime | None
    kept: str
    """Until when, in words, by the topic's own settings."""


async def traces_of(settings: Settings, token: str) -> list[Trace]:
    """What each topic that can name a borrower holds of this one. Raises Misconfigured or Unavailable."""
    names = (*BY_BORROWER, *NAMING)
    counts, kept = await partition_counts(settings, names), await topic_settings(settings, names, ASKED)
    found = []
    for name in names:
        own = partition_of(token.encode(), counts[name])
        partitions = [own] if name in BY_BORROWER else range(counts[name])
        found.append(await _trace(settings, name, partitions, token.encode(), kept[name]))
    return found


async def _trace(
    settings: Settings, name: str, partitions: Iterable[int], token: bytes, kept: Mapping[str, str]
) -> Trace:
    count, stamps, standing = 0, [], {}
    compacted = "compact" in kept.get("cleanup.policy", "")
    async with reading(settings, name) as reader:
        for number in partitions:
            async for record in (await reader.open(number)).records():
                about = record.key == token or (name in NAMING and token in (record.value or b""))
                if about:
                    count += 1
                    stamps.append(record.timestamp)
                place = record.key if compacted else (number, record.offset)
                if about and record.value is not None:
                    standing[place] = True
                else:
                    standing.pop(place, None)
    first, last = (min(stamps), max(stamps)) if stamps else (None, None)
    return Trace(name, count, len(standing), _moment(first), _moment(last), _until(kept, last))


def _until(kept: Mapping[str, str], last_ms: int | None) -> str:
    if last_ms is None:
        return "nothing is held"
    if "compact" in kept.get("cleanup.policy", ""):
        lag = int(kept.get("max.compaction.lag.ms", "0")) + int(kept.get("segment.ms", "0"))
        gone = int(kept.get("delete.retention.ms", "0"))
        hours = timedelta(milliseconds=lag), timedelta(milliseconds=gone)
        return f"older values until compaction, due within {hours[0]} of the next write; deletions {hours[1]} longer"
    retention = int(kept.get("retention.ms", "-1"))
    if retention < 0:
        return "for ever: retention.ms is -1"
    ends = _moment(last_ms + retention)
    assert ends is not None, "there is a last one"
    segment = timedelta(milliseconds=int(kept.get("segment.ms", "0")))
    return f"until {ends:%Y-%m-%d %H:%M} UTC, and while its segment is written to (at most {segment} more)"


def _moment(at_ms: int | None) -> datetime | None:
    return None if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC)
