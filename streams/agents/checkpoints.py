"""A lane's committed states in a file: what recovery starts from, so that it reads only the end of the changelog.

A file is trusted only when all of it fits: its checksum, the topic (by the id that Kafka gave it), the offsets that the
partition has now, and its age. Else it is discarded with a line in the log, and the changelog is read from its
beginning. It is written beside its place and moved there whole, so at no moment is there half a file under its name.

    line    "ews-checkpoint 1"
    header  4 bytes of length, JSON: topic, topic_id, partition, offset, at_ms, count
    blocks  4 bytes of length, msgpack: key, value, key, value ...; a length of 0 ends them
    digest  16 bytes, XXH3-128 of all before it
"""

from __future__ import annotations

import os
from itertools import islice
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec
from xxhash import xxh3_128

from schemas.topics import CHANGELOG_DELETE_RETENTION_MS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    States = dict[bytes, bytes]

MAGIC = b"ews-checkpoint 1\n"
AGE_MS_MAX = CHANGELOG_DELETE_RETENTION_MS * 9 // 10
"""An older one may hold states whose tombstones compaction has taken away since: a tenth is left for slow clocks."""
AHEAD_MS_MAX = 60_000
BLOCK_STATES = 2_000
BLOCK_BYTES_MAX = 2**30
_LENGTH_BYTES = 4


class Origin(NamedTuple):
    """The partition of a changelog."""

    topic: str
    topic_id: str
    partition: int


class Header(msgspec.Struct, frozen=True):
    """What a file says of itself."""

    topic: str
    topic_id: str
    partition: int
    offset: int
    """All records of the changelog below it are in the states."""
    at_ms: int
    """When the states stood so."""
    count: int


class Checkpoint(NamedTuple):
    """Committed states, and where in the changelog to go on reading."""

    states: States
    offset: int


class Discarded(Exception):  # noqa: N818 - it is what becomes of the file
    """The file is not to be trusted; the text says why."""


class CheckpointFiles:
    """The checkpoints of a worker's lanes, a file each, which only this user can read: they hold tokens."""

    def __init__(self, directory: Path, group: str) -> None:
        self._directory = directory
        self._group = group

    def path(self, partition: int) -> Path:
        """Where the checkpoint of a lane lies."""
        return self._directory / f"{self._group}-{partition}.checkpoint"

    def save(self, origin: Origin, states: Sequence[tuple[bytes, bytes]], offset: int, at_ms: int) -> int:
        """Writes a checkpoint in place of the one before; the bytes. Raises OSError, and then that one stands."""
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.path(origin.partition)
        for left in self._directory.glob(f".{path.name}.*"):  # Of a process that was killed while it wrote.
            left.unlink(missing_ok=True)
        beside = self._directory / f".{path.name}.{os.getpid()}"
        header = Header(*origin, offset=offset, at_ms=at_ms, count=len(states))
        with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            size = _write(file, header, states)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        directory = os.open(self._directory, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
        return size

    def load(self, origin: Origin, begin: int, end: int, now_ms: int) -> Checkpoint | None:
        """The checkpoint of a partition that reaches from `begin` to `end` now; None if there is none.

        Raises Discarded.
        """
        try:
            with self.path(origin.partition).open("rb") as file:
                reading = _Reading(file)
                header = reading.header()
                _fits(header, origin, begin, end, now_ms)
                return Checkpoint(reading.states(header.count), header.offset)
        except FileNotFoundError:
            return None
        except OSError as unreadable:
            raise Discarded(f"it cannot be read: {unreadable.strerror}") from unreadable


def _write(file: IO[bytes], header: Header, states: Iterable[tuple[bytes, bytes]]) -> int:
    digest, size = xxh3_128(), 0

    def put(block: bytes) -> None:
        nonlocal size
        digest.update(block)
        size += file.write(block)

    encode = msgspec.msgpack.Encoder().encode
    put(MAGIC)
    put(_framed(msgspec.json.encode(header)))
    rest = iter(states)
    while some := list(islice(rest, BLOCK_STATES)):
        put(_framed(encode([part for state in some for part in state])))
    put(bytes(_LENGTH_BYTES))
    return size + file.write(digest.digest())


def _framed(block: bytes) -> bytes:
    return len(block).to_bytes(_LENGTH_BYTES, "big") + block


def _fits(header: Header, origin: Origin, begin: int, end: int, now_ms: int) -> None:
    if Origin(header.topic, header.topic_id, header.partition) != origin:
        raise Discarded("it is of another topic or partition, or the topic was made anew")
    if not begin <= header.offset <= end:
        raise Discarded(f"it stands at {header.offset}, the changelog reaches from {begin} to {end}")
    if header.at_ms > now_ms + AHEAD_MS_MAX:
        raise Discarded("it is of the future")
    if header.at_ms < now_ms - AGE_MS_MAX:
        raise Discarded(f"it is {(now_ms - header.at_ms) // 3_600_000} hours old: tombstones may be gone since")


class _Reading:
    """A file from its beginning to its end. Everything is doubted: whatever does not fit is Discarded."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = xxh3_128()

    def header(self) -> Header:
        """The header. Nothing is known of its checksum yet."""
        if self._take(len(MAGIC)) != MAGIC:
            raise Discarded("it is no checkpoint of this version")
        header: Header = self._decoded(msgspec.json.Decoder(Header), self._block())
        return header

    def states(self, count: int) -> States:
        """The states, once all of the file is seen to be whole."""
        states: States = {}
        decoder = msgspec.msgpack.Decoder(list[bytes])
        while block := self._block():
            parts = self._decoded(decoder, block)
            states.update(zip(parts[::2], parts[1::2], strict=False))
        digest = self._digest.digest()
        if self._file.read() != digest:
            raise Discarded("its checksum does not fit")
        if len(states) != count:
            raise Discarded(f"it says {count} states and has {len(states)}")
        return states

    def _block(self) -> bytes:
        length = int.from_bytes(self._take(_LENGTH_BYTES), "big")
        if length > BLOCK_BYTES_MAX:
            raise Discarded("a length in it is beyond reason")
        return self._take(length)

    def _take(self, length: int) -> bytes:
        part = self._file.read(length)
        if len(part) != length:
            raise Discarded("it is cut off")
        self._digest.update(part)
        return part

    @staticmethod
    def _decoded(decoder: Any, block: bytes) -> Any:
        try:
            return decoder.decode(block)
        except (msgspec.DecodeError, UnicodeDecodeError) as broken:
            raise Discarded("a part of it cannot be decoded") from broken
