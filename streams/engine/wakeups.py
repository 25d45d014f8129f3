"""When silence becomes news: the borrowers of a lane by the time at which they want to be judged.

A time that moves later leaves its entry in the queue, to be set right when that comes up: most move with every event.
So the queue always yields what one made anew from the kept states would. An entry whose source is not complete by its
time is held until it is.
"""

from __future__ import annotations

from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

Entry = tuple[int, bytes, str]


class Wakeups:
    """A heap of (instant, borrower, source) with one live entry for each borrower and source.

    What is kept of each is small, since there may be millions: most want just what their live entry says.
    """

    def __init__(self, kept: Iterable[tuple[bytes, Mapping[str, int]]], through: Callable[[str], int]) -> None:
        self._through = through
        self._live: dict[str, dict[bytes, int]] = {}
        """By source and borrower, the instant of the live entry."""
        self._later: dict[str, dict[bytes, int | None]] = {}
        """What is wanted in place of the live entry, where that is another instant, or nothing any more (None)."""
        self._queue: list[Entry] = []
        self._held: dict[str, list[Entry]] = {}
        for token, asked in kept:
            for source, at in asked.items():
                self._of(source)[0][token] = at
                self._queue.append((at, token, source))
        heapify(self._queue)

    def __len__(self) -> int:
        return sum(map(len, self._live.values()))

    def _of(self, source: str) -> tuple[dict[bytes, int], dict[bytes, int | None]]:
        if source not in self._live:
            self._live[source], self._later[source] = {}, {}
        return self._live[source], self._later[source]

    def next_ms(self, now_ms: int) -> int | None:
        """When the next entry that is not held is due."""
        while self._queue and (self._is_stale(self._queue[0]) or self._must_wait(self._queue[0], now_ms)):
            entry = heappop(self._queue)
            if self._is_stale(entry):
                self._renew(entry)
            else:
                heappush(self._held.setdefault(entry[2], []), entry)
        return self._queue[0][0] if self._queue else None

    def held(self) -> int:
        """How many wait for their source."""
        return sum(map(len, self._held.values()))

    def plan(self, token: bytes, asked: Mapping[str, int], now_ms: int) -> None:
        """Note what a borrower asks for now, in place of what it asked for before.

        What is due already and could be judged comes in the next tick, not in this one again.
        """
        for source, at in asked.items():
            live, later = self._of(source)
            known = live.get(token)
            is_due = at <= now_ms and not (source and self._through(source) < at)
            wanted = now_ms + 1 if is_due else at
            if known is None or wanted < known:
                self._push(wanted, token, source)
            if known is not None and wanted > known:
                later[token] = wanted
            elif later:
                later.pop(token, None)
        for source, live in self._live.items():
            if source not in asked and token in live:
                self._later[source][token] = None

    def due(self, now_ms: int) -> Iterator[bytes]:
        """The borrowers to be judged at a tick, in the order of their times. Each is planned anew before the next."""
        for source, held in self._held.items():
            while held and held[0][0] <= self._through(source):
                heappush(self._queue, heappop(held))
        while self._queue and self._queue[0][0] <= now_ms:
            entry = heappop(self._queue)
            _, token, source = entry
            if self._is_stale(entry):
                self._renew(entry)
            elif self._must_wait(entry, now_ms):
                heappush(self._held.setdefault(source, []), entry)
            else:
                del self._live[source][token]
                yield token

    def _must_wait(self, entry: Entry, now_ms: int) -> bool:
        at, _, source = entry
        return bool(source) and at <= now_ms and at > self._through(source)

    def _is_stale(self, entry: Entry) -> bool:
        at, token, source = entry
        return self._live[source].get(token) != at or token in self._later[source]

    def _renew(self, entry: Entry) -> None:
        """Put the time that is wanted in place of a stale entry, if it was the live one."""
        at, token, source = entry
        live, later = self._of(source)
        if live.get(token) == at:
            del live[token]
            wanted = later.pop(token, None)
            if wanted is not None:
                self._push(wanted, token, source)

    def _push(self, at: int, token: bytes, source: str) -> None:
        self._live[source][token] = at
        heappush(self._queue, (at, token, source))
