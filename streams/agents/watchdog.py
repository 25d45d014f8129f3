"""What ends a process that hangs: Faust and aiokafka have been seen to stand still after a rebalance, for ever."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from streams import clock
from streams.agents.exits import Exit, leave

if TYPE_CHECKING:
    from collections.abc import Callable

STALL_SECONDS = 60.0
"""So long nothing may move while something waits."""
_BEAT_SECONDS = 1.0


class Watchdog:
    """Two eyes: one on the progress of the work, and one, in a thread of its own, on whether the first still blinks."""

    def __init__(self, stalled_since: Callable[[], float | None], *, stall_seconds: float | None = None) -> None:
        self._stalled_since = stalled_since
        self._stall_seconds = STALL_SECONDS if stall_seconds is None else stall_seconds
        self._beaten = clock.monotonic()
        self._task: asyncio.Task[None] | None = None
        self._done = threading.Event()

    def start(self) -> None:
        """Begins to watch. Call it in the event loop."""
        self._task = asyncio.create_task(self._beat())
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Ends it."""
        self._done.set()
        if self._task is not None:
            self._task.cancel()

    async def _beat(self) -> None:
        while True:
            self._beaten = clock.monotonic()
            since = self._stalled_since()
            if since is not None and self._beaten - since > self._stall_seconds:
                leave(Exit.STALLED, f"nothing moved for {self._beaten - since:.0f} s while something waits")
            await asyncio.sleep(_BEAT_SECONDS)

    def _watch(self) -> None:
        while not self._done.wait(_BEAT_SECONDS):
            late = clock.monotonic() - self._beaten
            if late > self._stall_seconds:
                leave(Exit.STALLED, f"the event loop has been held up for {late:.0f} s")
