"""What a channel is: it takes one message, or says that it is away or that it refuses."""

from __future__ import annotations

from typing import Protocol


class Channel(Protocol):
    """A way to reach somebody. tests/contracts/test_channels.py holds every channel to this."""

    @property
    def name(self) -> str:
        """What the store and the metrics call it."""
        ...

    @property
    def audience(self) -> str:
        """Whom it reaches: `staff` is the only one so far."""
        ...

    async def start(self) -> None:
        """Get ready. Raises Misconfigured where no message could ever go out."""
        ...

    async def send(self, key: str, body: str) -> None:
        """Deliver, or raise Unavailable (try again) or Rejected (never will). The same key is the same message."""
        ...

    async def stop(self) -> None:
        """Let go of what `start` took."""
        ...
