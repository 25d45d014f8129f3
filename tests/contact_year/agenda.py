"""What is to happen when, in virtual time."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime


class Agenda:
    """Things to do in the order of time; at one moment, in the order in which they were put here."""

    def __init__(self, begin: datetime) -> None:
        self.now = begin
        self._heap: list[tuple[datetime, int, Callable[[], object]]] = []
        self._number = 0

    def at(self, moment: datetime, action: Callable[[], object]) -> None:
        """Put something here. What is late is done next."""
        self._number += 1
        heapq.heappush(self._heap, (max(moment, self.now), self._number, action))

    @property
    def next_at(self) -> datetime | None:
        """When the next thing is due; None at the end."""
        return self._heap[0][0] if self._heap else None

    def step(self) -> None:
        """Go to the next thing and do it."""
        self.now, _, action = heapq.heappop(self._heap)
        action()
