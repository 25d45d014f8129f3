"""Pauses of a process that is to end at once when told to: short ones, and growing ones while something is away."""

from __future__ import annotations

import asyncio

RETRY_SECONDS_FIRST = 0.5
RETRY_SECONDS_MAX = 30.0


class Waits:
    """The pauses of one task. Every one of them ends with the stop."""

    def __init__(self, stop: asyncio.Event) -> None:
        self._stop = stop
        self._next = RETRY_SECONDS_FIRST

    @property
    def stopped(self) -> bool:
        """Whether the process is to end."""
        return self._stop.is_set()

    async def pause(self, seconds: float) -> None:
        """Wait so long, or until the stop."""
        try:
            await asyncio.wait_for(self._stop.wait(), seconds)
        except TimeoutError:
            return

    async def longer(self) -> None:
        """Wait twice as long as the time before, up to half a minute."""
        seconds, self._next = self._next, min(2 * self._next, RETRY_SECONDS_MAX)
        await self.pause(seconds)

    def reset(self) -> None:
        """All is well again."""
        self._next = RETRY_SECONDS_FIRST
