"""What was fetched and is not yet applied: the records of one lane, bounded, and what is known to lie beyond them.

No Kafka here: the transport says what it fetched and how far the broker is, and this says what a drain may see.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from streams.engine.drain import Inbox

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from streams.engine.drain import SourceRecord

RECORDS_MAX = 8_000
"""From here on no more is fetched of a source until some is applied."""
BYTES_MAX = 8 * 2**20
"""The same in bytes: one fetch can go over it, by the size of a fetch."""
DRAIN_RECORDS_MAX = 4_000
"""The most of one source that one drain sees."""
DRAIN_RECORDS_MIN = 50
DRAIN_RECORDS_START = 100
"""Little, since the drain before may have been what ended the process before."""
DRAIN_SECONDS = 0.1
"""How long a drain should take at most. Meanwhile nothing else goes on: a commit of another lane needs a dozen turns of
the event loop and must end by its deadline."""


class LogChanged(Exception):  # noqa: N818 - it names what happened to the topic
    """A fetch did not begin where the last one ended: records are missing or came back."""


class Pull(NamedTuple):
    """One fetch of one partition: where it began, its records, and where the next one begins."""

    begin: int
    records: Sequence[Any]
    end: int


@dataclass(slots=True)
class SourceBuffer:
    """The fetched records of one source of a lane."""

    position: int
    """Where the next fetch begins. All below is applied, in `records`, or no record (markers take offsets)."""
    stable_end: int | None = None
    """The last stable offset as last heard of; None until then."""
    unstable: int = 0
    """How far the high watermark lies beyond it: records of a transaction that is still open."""
    records: list[SourceRecord] = field(default_factory=list)
    size: int = 0

    @property
    def behind(self) -> bool:
        """Whether the broker has more than is fetched, or may have."""
        return self.stable_end is None or self.stable_end > self.position

    @property
    def full(self) -> bool:
        """Whether fetching must wait."""
        return len(self.records) >= RECORDS_MAX or self.size >= BYTES_MAX

    @property
    def lag(self) -> int:
        """Records (and markers) that are not applied."""
        return len(self.records) + max(0, (self.stable_end or 0) - self.position)

    def extend(self, pull: Pull) -> None:
        """Takes up a fetch. Raises LogChanged if it does not join on to the last one."""
        if pull.begin != self.position:
            raise LogChanged(f"fetched from {pull.begin} where {self.position} is next")
        self.records.extend(pull.records)
        self.size += _size(pull.records)
        self.position = pull.end

    def heard(self, stable_end: int) -> None:
        """Notes a last stable offset. An answer that was overtaken by a later one changes nothing."""
        if self.stable_end is None or stable_end > self.stable_end:
            self.stable_end = stable_end

    def applied(self, next_offset: int) -> None:
        """Drops what lies below."""
        low, high = 0, len(self.records)
        while low < high:
            middle = (low + high) // 2
            if self.records[middle].offset < next_offset:
                low = middle + 1
            else:
                high = middle
        if low:
            self.size -= _size(self.records[:low])
            del self.records[:low]


def _size(records: Iterable[Any]) -> int:
    return sum([record.serialized_value_size for record in records])


class LaneBuffer:
    """The sources of one lane."""

    def __init__(self, starts: Mapping[str, int]) -> None:
        self.sources = {topic: SourceBuffer(position=start) for topic, start in starts.items()}
        self.drain_records = DRAIN_RECORDS_START
        self.version = 0
        """Counts fetches, so that it can be told whether anything came since."""

    def extend(self, topic: str, pull: Pull) -> None:
        """Takes up a fetch of one source."""
        self.sources[topic].extend(pull)
        if pull.records:
            self.version += 1

    def applied(self, positions: Mapping[str, int]) -> None:
        """Drops what the lane has applied."""
        for topic, source in self.sources.items():
            if topic in positions:
                source.applied(positions[topic])

    @property
    def behind(self) -> frozenset[str]:
        """Sources that have more on the broker than is here."""
        return frozenset(topic for topic, source in self.sources.items() if source.behind)

    @property
    def known(self) -> bool:
        """Whether the end of every source has been heard of: before, no drain may start."""
        return bool(self.sources) and all(source.stable_end is not None for source in self.sources.values())

    @property
    def lag(self) -> int:
        """Records of all sources that are not applied."""
        return sum(source.lag for source in self.sources.values())

    @property
    def empty(self) -> bool:
        """Whether nothing waits here."""
        return not any(source.records for source in self.sources.values())

    def reached(self, ends: Mapping[str, int]) -> bool:
        """Whether all that stood below these ends is fetched."""
        return all(source.position >= ends[topic] for topic, source in self.sources.items())

    def took(self, seconds: float, *, cut: bool) -> None:
        """Adapts what a drain sees to how long the last one took: an event costs 10 us, or 300, as the logic is."""
        if seconds > DRAIN_SECONDS:
            self.drain_records = max(DRAIN_RECORDS_MIN, int(self.drain_records * DRAIN_SECONDS / seconds))
        elif cut and seconds < DRAIN_SECONDS / 2:
            self.drain_records = min(DRAIN_RECORDS_MAX, self.drain_records * 2)

    @property
    def cut(self) -> bool:
        """Whether the next drain sees only a part of what is here."""
        return any(len(source.records) > self.drain_records for source in self.sources.values())

    def inbox(self, horizon_ms: int | None, feeds: Sequence[SourceRecord] = ()) -> Inbox:
        """What the next drain may see. A source that is cut off here counts as behind: it has more."""
        records: dict[str, Sequence[SourceRecord]] = {}
        behind = set(self.behind)
        for topic, source in self.sources.items():
            if len(source.records) > self.drain_records:
                records[topic] = source.records[: self.drain_records]
                behind.add(topic)
            elif source.records:
                records[topic] = source.records
        return Inbox(records=records, behind=frozenset(behind), horizon_ms=horizon_ms, feeds=feeds)
