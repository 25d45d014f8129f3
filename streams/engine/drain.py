"""What goes into one drain of a lane and what comes out of it.

A lane is one partition number of all source topics of a stage. A drain takes the records that are there, merges them in
one order, applies them and the ticks between them, and yields the effects that must be committed together. It is pure:
it is told the records and the time, and the shell moves the effects in one Kafka transaction.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping, Sequence

LANE_KEY = b"\x00lane"
"""The reserved key of the position record in the changelog. No token can be equal to it: tokens are printable."""


class SourceRecord(Protocol):
    """A Kafka record as aiokafka gives it. `timestamp` is in milliseconds since the epoch."""

    @property
    def offset(self) -> int:
        """Where it stands in its partition."""

    @property
    def timestamp(self) -> int:
        """When it was written, or (in a backfill) became known."""

    @property
    def key(self) -> bytes | None:
        """The borrower's token."""

    @property
    def value(self) -> bytes | None:
        """The event's bytes."""


class Inbox(NamedTuple):
    """All that one drain may see."""

    records: Mapping[str, Sequence[SourceRecord]]
    """By source topic, in offset order. Records below the lane's position are dropped (Faust hands some over twice)."""
    behind: frozenset[str]
    """Source topics that have more on the broker than `records` holds: there the drain stops and waits."""
    horizon_ms: int | None
    """How far time may go once every record is applied and nothing is behind; None while that is not known."""
    feeds: Sequence[SourceRecord] = ()
    """Heartbeats from the lane's own position in `feeds` on, or from before it."""
    latest_ms: int | None = None
    """The wall clock, which no record's timestamp may take time past; None where time is that of the events."""
    policy: str | None = None
    """The version of the policy that is in force by the topic; None for the one that the lane began with."""


class CohortFigures(NamedTuple):
    """Where a cohort stands at the end of the last day that was judged, for those who watch."""

    kind: str
    """`portfolio`, `product`, `channel`, `industry` or `region`."""
    name: str
    overdue: float
    """Outstanding at DPD >= 1 over all that is outstanding."""
    loans: Sequence[int]
    minor: Sequence[int]
    """Numbers of loans and amounts outstanding by bucket, M0 first."""
    rolls: Sequence[float | None]
    """Net flow from each bucket into the next between the last two month ends; None where nothing could flow."""


class DeadLetter(NamedTuple):
    """A rejected record: its own key and bytes, and why and where from in headers."""

    key: bytes | None
    value: bytes | None
    headers: list[tuple[str, bytes]]


class Outbound(NamedTuple):
    """A record for a partition that need not be the lane's own."""

    topic: str
    partition: int
    key: bytes
    value: bytes


@dataclass(slots=True)
class Effects:
    """All that one drain changes. Committed whole or not at all."""

    alerts: list[tuple[bytes, bytes]] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    states: dict[bytes, bytes | None] = field(default_factory=dict)
    """The new value of each key that changed, None to delete it. Holds the position record under LANE_KEY."""
    outbound: list[Outbound] = field(default_factory=list)
    """What other lanes are told: the second hop by borrower lanes, subscribers by the second hop."""
    order: bytes = b""
    positions: dict[str, int] = field(default_factory=dict)
    """Next offset of each source topic that moved."""
    now_ms: int = 0
    policy: str = ""
    """The version of the policy that the latest tick carried."""
    counts: Counter[tuple[str, ...]] | None = None
    """What happened, for metrics: ("event", topic, outcome), ("alert", detector, ...), ("dead_letter", reason) ..."""
    lateness_ms: list[int] = field(default_factory=list)


class LaneLogic(Protocol):
    """What the shell drives. `streams.engine.lane.Lane` is the product's; a benchmark has a smaller one.

    Order of calls: constructed with the states that recovery has read (LANE_KEY among them), then `drain` and, once its
    effects are committed, `committed`, over and over. One drain at a time. `drain` must not be called again before
    `committed`: nothing it returned has happened yet.
    """

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset to be applied of each source topic (and of `feeds`); a topic never seen is absent."""
        ...

    def drain(self, inbox: Inbox) -> Effects | None:
        """The effects of applying what may be applied, or None if nothing may. Raises DeadLetterLimit."""
        ...

    def committed(self, effects: Effects) -> None:
        """The effects are in the log: take them into the states."""
        ...

    def due_ms(self) -> int | None:
        """When the next wake-up is due, for the shell to sleep until then; None if nothing waits."""
        ...

    def held(self) -> int:
        """How many wake-ups wait for a source that is not complete."""
        ...

    def figures(self) -> Sequence[CohortFigures]:
        """Where the cohorts of a lane of the second hop stand; nothing elsewhere."""
        ...


States = "MutableMapping[bytes, bytes]"
