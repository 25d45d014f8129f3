"""Writing event files in order of available time: sorted pieces on disk, merged at the end, in bounded memory."""

from __future__ import annotations

import gzip
from contextlib import ExitStack, contextmanager
from heapq import merge
from typing import TYPE_CHECKING, BinaryIO, cast

from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

Keyed = tuple[int, str, str, bytes]
"""A line with what orders it: when it became known (milliseconds since the epoch), source, id."""

SEPARATOR = b"\x1f"
"""Lower than any character of a source or id, so that sorted bytes are sorted (time, source, id)."""
PIECE_LINES = 200_000
READ_BYTES = 1 << 18


def prefixed(line: Keyed) -> bytes:
    """A line behind its sort key, which is cut off again when pieces are merged."""
    at, source, name, value = line
    return b"%013d\x1f%b\x1f%b\x1f%b\n" % (at, source.encode(), name.encode(), value)


@contextmanager
def merged(pieces: Sequence[Path], *more: Iterable[bytes]) -> Iterator[Iterator[bytes]]:
    """The lines of sorted pieces, and of other sorted streams of prefixed lines, in one order without their keys."""
    with ExitStack() as stack:
        opened = [stack.enter_context(piece.open("rb", buffering=READ_BYTES)) for piece in pieces]
        yield (line.split(SEPARATOR, 3)[3] for line in merge(*opened, *more))


class Pieces:
    """Takes lines in any order, and keeps them as sorted pieces in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: list[bytes] = []
        self.paths: list[Path] = []

    def add(self, line: Keyed) -> None:
        """Take a line."""
        self._held.append(prefixed(line))
        if len(self._held) >= PIECE_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what is held into a piece."""
        if self._held:
            path = self._folder / f"{len(self.paths):06d}.piece"
            self._held.sort()
            path.write_bytes(b"".join(self._held))
            self.paths.append(path)
            self._held.clear()


def keep_apart(inputs: Iterable[Path], outputs: Iterable[Path | None]) -> None:
    """Raise Misconfigured if an output is an input or another output: something would be lost."""
    taken = {file.resolve() for file in inputs}
    for file in outputs:
        if file is None or (file.exists() and not file.is_file()):  # Such as /dev/null, which holds nothing.
            continue
        if file.resolve() in taken:
            raise Misconfigured(f"{file} is read or written already: give another file to write")
        taken.add(file.resolve())


@contextmanager
def replacing(out: Path) -> Iterator[BinaryIO]:
    """A stream that becomes `out` when all is written, so that nobody reads half a file. Packed if `out` ends in .gz.

    Raises Misconfigured if it cannot be written.
    """
    part = out.with_name(f".{out.name}.part")
    try:
        with ExitStack() as stack:
            plain = stack.enter_context(part.open("wb"))
            if out.suffix == ".gz":
                # Without a name and a time of day, the same events give the same bytes.
                packed = gzip.GzipFile("", "wb", compresslevel=4, fileobj=plain, mtime=0)
                yield cast("BinaryIO", stack.enter_context(packed))
            else:
                yield plain
        part.replace(out)
    except OSError as error:
        raise Misconfigured(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        part.unlink(missing_ok=True)
