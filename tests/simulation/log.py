"""A simulated Kafka log: partitions with offsets, control markers, last stable offset, fencing by epoch, compaction."""

from __future__ import annotations

from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka.errors import InvalidProducerEpoch, InvalidTxnState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

TopicPartition = tuple[str, int]
_offset = attrgetter("offset")


class Entry:
    """A record in a partition, or the marker that ends a transaction there."""

    __slots__ = ("headers", "key", "marker", "offset", "stable_at", "timestamp", "txn", "value")

    def __init__(self, offset: int, timestamp: int, written: Written, txn: Txn | None, *, marker: bool = False) -> None:
        self.offset = offset
        self.timestamp = timestamp
        self.key, self.value, self.headers = written
        self.txn = txn
        self.marker = marker
        self.stable_at = -1.0
        """When the last stable offset went beyond it; negative until then."""

    @property
    def serialized_value_size(self) -> int:
        """As of aiokafka's records."""
        return len(self.value or b"")

    @property
    def committed(self) -> bool:
        """Whether a read_committed reader sees it."""
        return not self.marker and (self.txn is None or self.txn.outcome == "commit")


class Written(NamedTuple):
    """What a producer gives."""

    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


MARK = Written(None, None)


class Txn:
    """One transaction of a producer."""

    __slots__ = ("began", "epoch", "offsets", "outcome", "parts", "pid")

    def __init__(self, pid: int, epoch: int, began: float) -> None:
        self.pid = pid
        self.epoch = epoch
        self.began = began
        self.parts: list[Partition] = []
        self.offsets: dict[str, dict[TopicPartition, int]] = {}
        self.outcome: str | None = None


class Partition:
    """One partition."""

    def __init__(self, topic: str, number: int, now: Callable[[], float]) -> None:
        self.topic = topic
        self.number = number
        self.entries: list[Entry] = []
        self.end = 0
        """The high watermark."""
        self.begin = 0
        self.open: dict[int, int] = {}
        """First offset of the open transaction of each producer."""
        self.epochs: dict[int, int] = {}
        self._now = now
        self._unstable = 0
        """Index of the first entry that is not stable yet."""
        self.waiters: list[Callable[[], None]] = []
        """Called when something becomes stable."""

    @property
    def stable_end(self) -> int:
        """The last stable offset."""
        return min(self.open.values(), default=self.end)

    def append(self, timestamp: int, batch: Iterable[Written], txn: Txn | None = None) -> None:
        """Writes a batch. Raises InvalidProducerEpoch for that of a fenced producer."""
        if txn is not None:
            self._check(txn)
            self.epochs[txn.pid] = txn.epoch
            self.open.setdefault(txn.pid, self.end)
        for written in batch:
            self.entries.append(Entry(self.end, timestamp, written, txn))
            self.end += 1
        self._moved()

    def _check(self, txn: Txn) -> None:
        if txn.epoch < self.epochs.get(txn.pid, -1):
            raise InvalidProducerEpoch
        if self not in txn.parts or txn.outcome is not None:
            raise InvalidTxnState

    def mark(self, timestamp: int, txn: Txn, epoch: int) -> None:
        """Writes the marker that ends a transaction here."""
        self.epochs[txn.pid] = max(epoch, self.epochs.get(txn.pid, -1))
        self.entries.append(Entry(self.end, timestamp, MARK, txn, marker=True))
        self.end += 1
        self.open.pop(txn.pid, None)
        self._moved()

    def _moved(self) -> None:
        end, now = self.stable_end, self._now()
        moved = False
        while self._unstable < len(self.entries) and self.entries[self._unstable].offset < end:
            self.entries[self._unstable].stable_at = now
            self._unstable += 1
            moved = True
        if moved:
            waiters, self.waiters = self.waiters, []
            for waiter in waiters:
                waiter()

    def index(self, offset: int) -> int:
        """Where the entries from an offset on begin."""
        return bisect_left(self.entries, offset, key=_offset)

    def read(self, position: int, records_max: int, *, committed: bool = True) -> tuple[list[Entry], int]:
        """Records from a position on and where the next read begins, as a fetch brings them."""
        end = self.stable_end if committed else self.end
        found: list[Entry] = []
        entries = self.entries
        for at in range(self.index(position), len(entries)):
            entry = entries[at]
            if entry.offset >= end:
                break
            if len(found) >= records_max:
                return found, entry.offset
            if entry.committed if committed else not entry.marker:
                found.append(entry)
        return found, max(position, end)

    def visible(self) -> list[Entry]:
        """All that a read_committed reader sees."""
        return self.read(0, 1 << 60)[0]

    def compact(self, below: int) -> None:
        """Drops what a later record of its key supersedes, and what was aborted, below an offset."""
        below = min(below, self.stable_end - 1)
        latest = {entry.key: entry.offset for entry in self.visible()}
        kept = [
            entry
            for entry in self.entries
            if entry.offset >= below or (entry.committed and latest[entry.key] == entry.offset)
        ]
        self._unstable -= len(self.entries) - len(kept)
        self.entries = kept


class Topics:
    """All partitions of a cluster, made when they are first asked for."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.parts: dict[tuple[str, int], Partition] = {}

    def __getitem__(self, part: Any) -> Partition:
        found = self.parts.get((part[0], part[1]))
        if found is None:
            found = self.parts[part[0], part[1]] = Partition(part[0], part[1], self._now)
        return found
