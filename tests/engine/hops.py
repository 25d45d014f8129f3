"""Both hops in memory: borrower lanes, the topics between, lanes of the second hop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from schemas.alerts import Alert
from schemas.portfolio import decode_cohort, decode_link
from schemas.topics import ALERTS, COHORTS, partition_of
from streams.engine.drain import LANE_KEY, Inbox
from streams.engine.lane import LaneSettings
from streams.engine.portfolio.judging import Rules, rules_of
from streams.engine.portfolio.lane import PortfolioLane
from tests.builders import Record, World, day_told, in_order

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from schemas.events import Event
    from schemas.portfolio import Told
    from streams.engine.detector import Detector
    from streams.engine.drain import Effects, Outbound
    from streams.engine.engine import Engine

Log = dict[tuple[str, int], list[Record]]
"""Records by topic and partition."""


class Told1(World):
    """A borrower lane whose words to the second hop are kept."""

    def __init__(self, engine: Engine, **settings: Any) -> None:
        super().__init__(engine, **settings)
        self.outbound: list[Outbound] = []

    def commit(self, effects: Effects | None) -> None:
        """Keeps what is told."""
        if effects is not None:
            self.outbound += effects.outbound
        super().commit(effects)


def told_of(outbound: Iterable[Outbound]) -> list[Told]:
    """The records as they read."""
    return [decode_cohort(o.value) if o.topic == COHORTS else decode_link(o.value) for o in outbound]


def first_hop(engine: Engine, facts: list[Event], until: float, partitions: int = 1) -> list[list[Outbound]]:
    """What each borrower lane tells, in its own order."""
    lanes = []
    for partition in range(partitions):
        world = Told1(engine, partition=partition, partitions=partitions)
        mine = [fact for fact in in_order(facts) if partition_of(fact.subject.encode(), partitions) == partition]
        lanes.append(world.play(*mine, until=until).outbound)
    return lanes


def in_turn(lanes: list[list[Outbound]], order: Iterable[int]) -> Log:
    """The topics when the lanes write in some order: `order` names lanes, each time for one record."""
    log: Log = {}
    waiting = [iter(lane) for lane in lanes]
    for lane in [*order, *(n for n, told in enumerate(lanes) for _ in told)]:
        outbound = next(waiting[lane], None)
        if outbound is not None:
            records = log.setdefault((outbound.topic, outbound.partition), [])
            records.append(Record(len(records), 0, outbound.key, outbound.value))
    return log


class Portfolio:
    """The second hop over a log."""

    def __init__(
        self,
        rules: Rules,
        partitions: int = 1,
        *,
        reborn: bool = False,
        others: Mapping[str, Rules] | None = None,
        **settings: Any,
    ) -> None:
        self.rules = rules
        self.others = others or {}
        self.partitions = partitions
        self.reborn = reborn
        self.settings = [LaneSettings(n, partitions, clock="event", **settings) for n in range(partitions)]
        self.states: list[dict[bytes, bytes]] = [{} for _ in range(partitions)]
        self.lanes = [self._lane(n) for n in range(partitions)]
        self.alerts: list[Alert] = []
        self.outbound: list[Outbound] = []
        self.letters: list[Any] = []
        self.orders: list[list[bytes]] = [[] for _ in range(partitions)]

    def _lane(self, number: int) -> PortfolioLane:
        return PortfolioLane(self.rules, self.settings[number], self.states[number], self.others.get)

    def read(
        self, log: Mapping[tuple[str, int], list[Record]], at_once: int = 1_000_000, policy: str | None = None
    ) -> Portfolio:
        """Reads all of a log, so many records of each topic at a time, while a policy is in force."""
        for number in range(self.partitions):
            while True:
                lane = self.lanes[number]
                records = {
                    topic: held[(at := lane.positions.get(topic, 0)) : at + at_once]
                    for (topic, partition), held in log.items()
                    if partition == number
                }
                effects = lane.drain(Inbox(records, frozenset(), None, policy=policy))
                if effects is None:
                    break
                self.commit(number, effects)
        return self

    def commit(self, number: int, effects: Effects) -> None:
        """Takes effects as committed."""
        self.outbound += effects.outbound
        assert all(o.topic == ALERTS and o.partition == partition_of(o.key, self.partitions) for o in effects.outbound)
        self.alerts += [Alert.model_validate_json(o.value) for o in effects.outbound]
        self.letters += effects.dead_letters
        self.orders[number].append(effects.order)
        self.lanes[number].committed(effects)
        if self.reborn:
            self.lanes[number] = self._lane(number)

    def kept(self) -> dict[bytes, bytes]:
        """The states of all lanes without their positions."""
        return {key: value for states in self.states for key, value in states.items() if key != LANE_KEY}

    def said(self, detector: str) -> Iterator[tuple[str, int, str, str]]:
        """What a detector told: subject, day of the timeline, status, severity."""
        for alert in self.alerts:
            if alert.data.detector == detector:
                yield alert.subject, day_told(alert), alert.data.status.value, alert.data.severity.value


def rules(*detectors: Detector) -> Rules:
    """Rules of these detectors."""
    return rules_of("1", detectors)
