"""A channel that keeps what it gets, and fails as it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Pigeonhole:
    """A channel in memory. `fault` says for (key, attempt) what goes wrong, if anything."""

    audience = "staff"

    def __init__(
        self, name: str = "pigeonhole", fault: Callable[[str, int], Exception | None] = lambda *_: None
    ) -> None:
        self.name = name
        self.fault = fault
        self.taken: list[str] = []
        self.attempts: dict[str, int] = {}

    async def start(self) -> None:
        """Nothing to do."""

    async def send(self, key: str, body: str) -> None:
        """Keep the key, or fail."""
        assert body
        self.attempts[key] = self.attempts.get(key, 0) + 1
        fault = self.fault(key, self.attempts[key])
        if fault is not None:
            raise fault
        self.taken.append(key)

    async def stop(self) -> None:
        """Nothing to do."""
