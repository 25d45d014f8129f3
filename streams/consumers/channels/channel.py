"""What a channel is: it takes one parcel, or says that it is away or that it refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from streams.errors import Unavailable
from streams.stores.messages import BORROWER, STAFF

if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["BORROWER", "STAFF", "AskedToWait", "Channel", "Parcel"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """One message as a channel takes it. The same key is the same message, whatever else has changed.

    Whoever receives a key that he knows may drop the parcel. What tells of a person is in no representation.
    """

    key: str
    body: str = field(repr=False)
    """The text; on a channel to staff the alert as JSON."""
    title: str = field(default="", repr=False)
    """A subject, a title, or what a call says before it is known who has answered."""
    to: str = field(default="", repr=False)
    """The borrower's address; staff channels have their own."""
    language: str = ""
    until: datetime | None = None
    """When it must have gone out: later it would be against the rules on contacts."""
    traceparent: str | None = None
    """The trace that it belongs to, for channels that can say so."""

    @property
    def trace(self) -> dict[str, str]:
        """The header of HTTP that says so."""
        return {"traceparent": self.traceparent} if self.traceparent else {}


class AskedToWait(Unavailable):
    """The other side named a time before which it wants no further try."""

    def __init__(self, text: str, seconds: float) -> None:
        super().__init__(text)
        self.seconds = seconds


class Channel(Protocol):
    """A way to reach somebody. tests/consumers/test_every_channel.py holds every channel to this."""

    @property
    def name(self) -> str:
        """What the store and the metrics call it."""
        ...

    @property
    def audience(self) -> str:
        """Whom it reaches: `staff` or `borrower`."""
        ...

    async def start(self) -> None:
        """Get ready. Raises Misconfigured where no message could ever go out."""
        ...

    async def send(self, parcel: Parcel) -> None:
        """Deliver, or raise Unavailable (try again) or Rejected (never will). No error names the recipient."""
        ...

    async def stop(self) -> None:
        """Let go of what `start` took."""
        ...
