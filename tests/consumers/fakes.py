"""A channel that keeps what it gets, and fails as it is told to."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.consumers.channels.channel import Parcel


class Pigeonhole:
    """A channel in memory. `fault` says for (key, attempt) what goes wrong, if anything."""

    def __init__(
        self,
        name: str = "pigeonhole",
        fault: Callable[[str, int], Exception | None] = lambda *_: None,
        *,
        audience: str = "staff",
    ) -> None:
        self.name = name
        self.audience = audience
        self.fault = fault
        self.taken: list[str] = []
        self.parcels: list[Parcel] = []
        self.attempts: dict[str, int] = {}

    async def start(self) -> None:
        """Nothing to do."""

    async def send(self, parcel: Parcel) -> None:
        """Keep the key and the parcel, or fail."""
        assert parcel.body
        key = parcel.key
        self.attempts[key] = self.attempts.get(key, 0) + 1
        fault = self.fault(key, self.attempts[key])
        if fault is not None:
            raise fault
        self.taken.append(key)
        self.parcels.append(parcel)

    async def stop(self) -> None:
        """Nothing to do."""
