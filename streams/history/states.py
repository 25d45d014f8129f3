"""The states in the changelog as they stand: exported, told apart by one digest, looked at one by one."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from schemas.topics import STATE, partition_of
from streams.engine.borrower import Borrower, restore
from streams.engine.drain import LANE_KEY
from streams.engine.lane import Position
from streams.errors import Misconfigured, Rejected
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping

    from streams.kafka.reading import Partition, TopicReader
    from streams.settings import Settings

States = dict[bytes, bytes]


@dataclass(slots=True)
class Digest:
    """Tells two sets of states apart, however they are spread over partitions. Holds hashes, not the values."""

    hashes: dict[bytes, bytes] = field(default_factory=dict)
    size: int = 0

    def add(self, states: Mapping[bytes, bytes]) -> None:
        """Take in the borrowers of a partition; its position record is left out."""
        for key, value in states.items():
            if key != LANE_KEY:
                self.hashes[key] = hashlib.sha256(value).digest()
                self.size += len(value)

    @property
    def borrowers(self) -> int:
        """How many borrowers there are."""
        return len(self.hashes)

    def hexdigest(self) -> str:
        """SHA-256 over each token (its length before it) and the hash of its value, in the order of the tokens."""
        total = hashlib.sha256()
        for key in sorted(self.hashes):
            total.update(len(key).to_bytes(4, "big") + key + self.hashes[key])
        return total.hexdigest()


async def read_states(settings: Settings, partition: int | None = None) -> AsyncGenerator[tuple[int, States]]:
    """The latest value of each key, a partition (or the one asked for) at a time. Raises Unavailable, Misconfigured."""
    count = (await partition_counts(settings, [STATE]))[STATE]
    if partition is not None and not 0 <= partition < count:
        raise Misconfigured(f"there is no partition {partition}: the states have 0 to {count - 1}")
    async with reading(settings, STATE) as reader:
        for number in range(count) if partition is None else [partition]:
            yield number, await latest(await reader.open(number))


async def latest(partition: Partition) -> States:
    """The latest value of each key of a partition of the changelog."""
    states: States = {}
    while batch := await partition.batch():
        for record in batch:
            if record.value is None:
                states.pop(record.key, None)
            else:
                states[record.key] = record.value
    return states


@dataclass(frozen=True, slots=True)
class Inspected:
    """One borrower, and where its lane stood."""

    token: str
    partition: int
    borrower: Borrower
    size: int
    position: Position


async def inspect(settings: Settings, token: str) -> Inspected:
    """One borrower. Raises Rejected if there is no state of it; Unavailable, Misconfigured."""
    key = token.encode()
    number = partition_of(key, (await partition_counts(settings, [STATE]))[STATE])
    async with reading(settings, STATE) as reader:
        found = await _two(reader, number, key)
    if key == LANE_KEY or key not in found:
        raise Rejected(f"there is no state of a borrower {token}: it was never seen, or is forgotten")
    lane = found.get(LANE_KEY)
    position = Position() if lane is None else msgspec.msgpack.decode(lane, type=Position)
    return Inspected(token, number, readable(key, found[key]), len(found[key]), position)


async def _two(reader: TopicReader, number: int, key: bytes) -> States:
    """The borrower and the position record alone, whatever else the partition holds."""
    found: States = {}
    partition = await reader.open(number)
    while batch := await partition.batch():
        for record in batch:
            if record.key in {key, LANE_KEY}:
                found[record.key] = record.value
    return {key: value for key, value in found.items() if value is not None}


def readable(key: bytes, value: bytes) -> Borrower:
    """The borrower of a value. Raises Misconfigured for one of another release, or of somebody else."""
    try:
        return restore(value)
    except msgspec.MsgspecError as error:
        raise Misconfigured(f"the state of {key.decode(errors='replace')} cannot be read: {error}") from error
    except Misconfigured as other:
        raise Misconfigured(f"the state of {key.decode(errors='replace')}: {other}") from other


def plain(value: Any) -> Any:
    """A kept value with its fields by name, for JSON."""
    if isinstance(value, Borrower):
        return plain(value.content())
    if isinstance(value, msgspec.Struct):
        return {name: plain(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value.decode(errors="replace") if isinstance(value, bytes) else value
