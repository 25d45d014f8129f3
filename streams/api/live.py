"""Which cases have changed, told to whoever listens: one look at the database a second, however many listen.

    async with contextlib.aclosing(live.changes(after)) as changes:
        async for number, case_ids in changes: ...

`number` is that of the last audit line that was seen; who comes back with it misses nothing.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

import structlog
from starlette.concurrency import run_in_threadpool

from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from streams.api.desk import Desk

LOOK_SECONDS: Final = 1.0
LISTENERS_MAX: Final = 200
"""Of one process. Each is a connection that stays open."""

log = structlog.get_logger(__name__)


class Live:
    """The changes of one desk."""

    def __init__(self, desk: Desk, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._desk = desk
        self._look_seconds = look_seconds
        self._head = 0
        self._looked = asyncio.Condition()
        self._looking: asyncio.Task[None] | None = None
        self._listeners = 0
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether nobody else should listen."""
        return self._listeners >= LISTENERS_MAX

    async def changes(self, after: int | None = None) -> AsyncGenerator[tuple[int, list[str]], None]:
        """Changes from now on, or after a line of the audit trail. Ends when the process does."""
        self._listeners += 1
        try:
            last = await self._last()
            # A line that is not there yet is one of a trail that was put back: waiting for it would be for ever.
            seen = last if after is None else min(after, last)
            if after is None:
                yield seen, []  # So that whoever loses the line at once knows where it was.
            while not self._closed:
                head, cases = await run_in_threadpool(self._desk.changes_since, seen)
                if head > seen:
                    seen = head
                    yield seen, [case_id for case_id in cases if case_id]
                await self._next(seen)
        finally:
            self._listeners -= 1

    async def close(self) -> None:
        """End every listener's stream."""
        self._closed = True
        if self._looking is not None:
            self._looking.cancel()
        async with self._looked:
            self._looked.notify_all()

    async def _last(self) -> int:
        """The last line of the trail as it is now."""
        head, _ = await run_in_threadpool(self._desk.changes_since, LAST)
        return head

    async def _next(self, seen: int) -> None:
        """Until there is more than was seen."""
        if self._looking is None or self._looking.done():
            self._head = max(self._head, seen)
            self._looking = asyncio.create_task(self._look())
        async with self._looked:
            await self._looked.wait_for(lambda: self._closed or self._head > seen)

    async def _look(self) -> None:
        """Look as long as somebody listens."""
        while self._listeners and not self._closed:
            await asyncio.sleep(self._look_seconds)
            try:
                head, _ = await run_in_threadpool(self._desk.changes_since, self._head)
            except Unavailable as away:
                log.warning("live.not_looked", fault=str(away))
                continue
            if head > self._head:
                self._head = head
                async with self._looked:
                    self._looked.notify_all()


LAST: Final = 2**62
"""After every line that there will ever be."""
