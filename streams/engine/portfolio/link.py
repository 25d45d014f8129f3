"""One link: the borrowers who use a device, phone, guarantor or employer, and the episodes it has with each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from streams.engine.borrower import Episode  # noqa: TC001 - msgspec reads the annotations at run time

if TYPE_CHECKING:
    from collections.abc import Mapping

MEMBERS_MAX = 200
"""More are not kept: what so many share says nothing about one of them."""


class Link(msgspec.Struct, array_like=True):
    """The state of a link as of the last day that was judged, and what was told of later days."""

    version: int = 1
    lively: bool = False
    pending: dict[int, dict[str, int | None]] = {}
    """By day, the worst bucket of each borrower; None for one who left."""
    members: dict[str, int] = {}
    episodes: dict[str, list[Episode]] = {}

    def add(self, day: int, borrower: str, bucket: int | None) -> None:
        """Keep what a lane told of a day until all lanes have passed it."""
        self.pending.setdefault(day, {})[borrower] = bucket

    def settle(self, day: int) -> None:
        """Take in what was told up to a day that all lanes have passed."""
        for told in sorted(self.pending):
            if told <= day:
                for borrower, bucket in sorted(self.pending.pop(told).items()):
                    self._stand(borrower, bucket)

    def _stand(self, borrower: str, bucket: int | None) -> None:
        if bucket is None:
            self.members.pop(borrower, None)
        elif borrower in self.members or len(self.members) < MEMBERS_MAX:
            self.members[borrower] = bucket

    def close(self) -> None:
        """The day has been judged. An episode that is over is not looked at again: the next one has another day."""
        still = {borrower: [e for e in episodes if e.is_open] for borrower, episodes in self.episodes.items()}
        self.episodes = {borrower: episodes for borrower, episodes in still.items() if episodes}
        self.lively = bool(self.episodes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it need be kept."""
        return not (self.pending or self.members or self.episodes)


class LinkView(NamedTuple):
    """What a detector may see of a link at the end of a day."""

    name: str
    day: int
    members: Mapping[str, int]
    """The borrowers who share it, with the bucket of the worst loan of each."""

    @property
    def kind(self) -> str:
        """`device`, `phone`, `guarantor` or `employer`."""
        return self.name.partition(":")[0]
