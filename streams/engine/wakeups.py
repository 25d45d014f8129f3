"""When silence becomes news: the borrowers of a lane by the time at which they want to be judged.

Entries are hints, checked against the borrower's state when their time comes. One whose source is not complete by then is
held until it is.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Entry = tuple[int, bytes, str]


class Wakeups:
    """A heap of (instant, borrower, source) with one live entry for each borrower and source."""

    def __init__(self, kept: Iterable[tuple[bytes, Mapping[str, int]]], through: Callable[[str], int]) -> None:
        self._through = through
        self._at: dict[tuple[bytes, str], int] = {}
        self._queue: list[Entry] = []
        self._held: dict[str, list[Entry]] = {}
        for token, asked in kept:
            for source, at in asked.items():
                self._at[token, source] = at
                self._queue.append((at, token, source))
        heapify(self._queue)

    def __len__(self) -> int:
        return len(self._at)

    def next_ms(self) -> int | None:
        """When the next entry that is not held is due."""
        return self._queue[0][0] if self._queue else None

    def held(self) -> int:
        """How many wait for their source."""
        return sum(map(len, self._held.values()))

    def plan(self, token: bytes, asked: Mapping[str, int], now_ms: int) -> None:
        """Note what a borrower asks for. What is due already and could be judged comes in the next tick, not in this one again."""
        for source, wanted in asked.items():
            waits = source and self._through(source) < wanted
            at = wanted if wanted > now_ms or waits else now_ms + 1
            known = self._at.get((token, source))
            if known is None or at < known:
                self._at[token, source] = at
                heappush(self._queue, (at, token, source))

    def due(self, now_ms: int) -> Iterator[bytes]:
        """The borrowers to be judged at a tick, in the order of their times."""
        for source, held in self._held.items():
            while held and held[0][0] <= self._through(source):
                heappush(self._queue, heappop(held))
        while self._queue and self._queue[0][0] <= now_ms:
            at, token, source = heappop(self._queue)
            if self._at.get((token, source)) != at:
                continue
            if source and at > self._through(source):
                heappush(self._held.setdefault(source, []), (at, token, source))
            else:
                del self._at[token, source]
                yield token
