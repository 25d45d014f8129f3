"""Where a lane stands, what decides its order and time, and what its records can turn out to be. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from schemas import events
from schemas.codec import InvalidEvent
from streams.engine.change import Sweep, WarmUps
from streams.engine.feeds import Feed  # noqa: TC001 - the same
from streams.engine.limits import Tally  # noqa: TC001 - the same

STATE = "state"
ORDER_VERSION = 1
TICK = "tick"
Fact = events.Event | InvalidEvent
"""An event, or what is wrong with the bytes that should have been one."""


class LaneSettings(NamedTuple):
    """What decides a lane's order and time. It stands in every order record, so that a repeat needs nothing else."""

    partition: int
    partitions: int
    clock: str = "wall"
    step_ms: int = 60_000
    live_from_ms: int | None = None


class Position(msgspec.Struct, array_like=True):
    """The position record: state and positions cannot part, since they are committed together."""

    version: int = 1
    offsets: dict[str, int] = {}
    now_ms: int = 0
    feeds: dict[str, Feed] = {}
    tallies: dict[str, Tally] = {}
    unfinished: bool = False
    """Whether the tick of `now_ms` had more to wake than one drain may: the next drain goes on with it."""
    policy: str = ""
    """The version that the latest tick carried; '' before the first."""
    sweep: Sweep | None = None
    """A change of the policy that has not reached every borrower yet."""
    warming: WarmUps = msgspec.field(default_factory=WarmUps)


class Poison(Exception):  # noqa: N818 - it names the record, not a failure to report
    """Our own code failed on a record, or on a borrower in a tick: `at` says on which."""

    def __init__(self, at: tuple[object, ...], cause: Exception) -> None:
        super().__init__(f"{at}: {cause!r}")
        self.at = at
        self.cause = cause


class Refused(NamedTuple):
    """A record that becomes a dead letter, and where it stood."""

    key: bytes | None
    value: bytes | None
    topic: str
    offset: int
    timestamp: int
