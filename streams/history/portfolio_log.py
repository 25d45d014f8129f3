"""Repeating the order of the second stage from its topics, and comparing what comes out with what the workers wrote.

Its alerts stand in the partitions of their subjects, between those of other lanes. So a lane's order and states are
compared byte for byte and in order, and the alerts of all lanes as a whole: each as often as it comes out, no others.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from dataclasses import dataclass, field
from hashlib import blake2s
from typing import TYPE_CHECKING

from schemas.topics import ALERTS, COHORTS, LINKS, PORTFOLIO_ORDER, PORTFOLIO_STATE
from streams.engine.drain import LANE_KEY
from streams.engine.portfolio.judging import SOURCE, Rules
from streams.engine.portfolio.lane import PortfolioLane
from streams.errors import Misconfigured, Unavailable
from streams.history.order import Held, differing, read_order
from streams.history.states import latest
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.engine.drain import Effects, Outbound
    from streams.history.order import OrderRecord
    from streams.kafka.reading import Partition, TopicReader
    from streams.settings import Settings

    RulesOf = Callable[[str], Rules | None]
    """The rules of a policy by its version, None for one that is not known."""
    Heard = Callable[[bytes], object]

READ = (COHORTS, LINKS, PORTFOLIO_ORDER, PORTFOLIO_STATE, ALERTS)
_MARK = b'"source":"%s"' % SOURCE.encode()
Hashes = Counter[bytes]


@dataclass(slots=True)
class RepeatedPortfolio:
    """What a repeat of the second stage found."""

    order_records: int = 0
    days: int = 0
    """Days judged, counted for each lane."""
    records: Counter[str] = field(default_factory=Counter)
    """Applied records by topic."""
    alerts: int = 0
    policies: set[str] = field(default_factory=set)
    """The versions that it judged by."""
    differences: list[str] = field(default_factory=list)


class Differs(Exception):  # noqa: N818 - it carries the finding, and no failure
    """The repeat and the log part here."""


class _Lane:
    """One lane: its sources, its order, and the logic that does again what that says."""

    def __init__(self, number: int, rules_of: RulesOf, done: RepeatedPortfolio, heard: Heard) -> None:
        self._number = number
        self._heard = heard
        self._rules_of = rules_of
        self._done = done
        self._settings: object = None
        self._lane: PortfolioLane | None = None
        self.states: dict[bytes, bytes] = {}
        self.outbound = Hashes()

    async def follow(self, readers: Mapping[str, TopicReader]) -> None:
        """Do the order again and compare it. Raises Differs, Unavailable, Misconfigured."""
        number, sources = self._number, {}
        for topic in (COHORTS, LINKS):
            sources[topic] = (await readers[topic].open(number), Held(f"{topic}/{number}"))
        order = await readers[PORTFOLIO_ORDER].open(number)
        if order.begin:
            raise Unavailable(f"{PORTFOLIO_ORDER}/{number} begins at offset {order.begin}: it cannot be repeated")
        async for written in order.records():
            record = read_order(written.value)
            effects = await self._apply(record, sources)
            self._done.order_records += 1
            if effects.order != record.value:
                what = differing(effects.order, record.value)
                raise Differs(f"{PORTFOLIO_ORDER} offset {written.offset}: {what}")
            for outbound in effects.outbound:
                self.outbound[_hash(outbound)] += 1
                self._heard(outbound.value)

    async def _apply(self, record: OrderRecord, sources: Mapping[str, tuple[Partition, Held]]) -> Effects:
        runs, found = list(record.runs()), {}
        for topic, first, next_ in runs:
            partition, held = sources[topic]
            while held.last < next_ - 1 and (batch := await partition.batch()):
                held.extend(batch)
            found[topic, first] = held.run(first, next_)
        effects = self._logic(record).repeat(
            [list(step) for step in record.steps], lambda topic, first, _next: found[topic, first]
        )
        assert effects is not None, "an order record has steps"
        self._logic(record).committed(effects)
        for topic, first, next_ in runs:
            if (left_out := sources[topic][1].done(next_, len(found[topic, first]))) is not None:
                raise Differs(left_out)
            self._done.records[topic] += len(found[topic, first])
        self._done.days += len(record.steps) - len(runs)
        return effects

    def _logic(self, record: OrderRecord) -> PortfolioLane:
        for version in record.policies():
            self._known(version)
        if self._lane is None or record.settings != self._settings:
            # Before its first tick a lane judges nothing.
            rules = next(map(self._known, record.policies()), Rules("", (), ()))
            self._lane = PortfolioLane(rules, record.settings, self.states, self._rules_of)
            self._settings = record.settings
        return self._lane

    def _known(self, version: str) -> Rules:
        rules = self._rules_of(version)
        if rules is None:
            raise Misconfigured(
                f"the order of the second stage was made with the policy {version}, which is not known: "
                "give its file (--policy FILE)"
            )
        self._done.policies.add(version)
        return rules


async def repeat_portfolio(
    settings: Settings, rules_of: RulesOf, *, states: bool = False, heard: Heard = lambda _value: None
) -> RepeatedPortfolio:
    """Repeat every lane of the second stage and compare; with `states` the resulting states too.

    `heard` is given each alert's bytes, lane by lane.
    Raises Unavailable if something that is needed is gone or Kafka is, Misconfigured for another policy or release.
    """
    counts, done = await partition_counts(settings, READ), RepeatedPortfolio()
    outbound = Hashes()
    async with contextlib.AsyncExitStack() as stack:
        readers = {name: await stack.enter_async_context(reading(settings, name)) for name in READ}
        before = await _written(readers[ALERTS], counts[ALERTS])
        for number in range(counts[PORTFOLIO_ORDER]):
            lane = _Lane(number, rules_of, done, heard)
            try:
                await lane.follow(readers)
                if states:
                    _compare(lane.states, await latest(await readers[PORTFOLIO_STATE].open(number)))
            except Differs as difference:
                done.differences.append(f"second stage, lane {number}: {difference}")
            outbound += lane.outbound
        after = await _written(readers[ALERTS], counts[ALERTS])
    done.alerts = outbound.total()
    if not done.differences:
        done.differences += _parted(before, outbound, after)
    return done


async def _written(reader: TopicReader, partitions: int) -> Hashes:
    """The alerts of the second stage that are in the log."""
    found = Hashes()
    for number in range(partitions):
        async for record in (await reader.open(number)).records():
            if _MARK in (record.value or b""):
                found[_digest(number, record.key or b"", record.value or b"")] += 1
    return found


def _hash(outbound: Outbound) -> bytes:
    return _digest(outbound.partition, outbound.key, outbound.value)


def _digest(partition: int, key: bytes, value: bytes) -> bytes:
    return blake2s(b"%d %d " % (partition, len(key)) + key + value, digest_size=16).digest()


def _parted(before: Hashes, repeated: Hashes, after: Hashes) -> Sequence[str]:
    """Alerts that only one side has. What was written while the order was read may be on either."""
    found = []
    if surplus := (before - repeated).total():
        found.append(f"second stage: {surplus} alerts are in the log and do not come out of the order")
    if missing := (repeated - after).total():
        found.append(f"second stage: {missing} alerts of the repeat are not in the log")
    return found


def _compare(ours: Mapping[bytes, bytes], theirs: Mapping[bytes, bytes]) -> None:
    if ours.get(LANE_KEY) != theirs.get(LANE_KEY):
        raise Unavailable("the second stage went on while its order was repeated: stop it, or repeat again")
    differ = [key for key in sorted(ours.keys() | theirs.keys()) if ours.get(key) != theirs.get(key)]
    if differ:
        raise Differs(f"state of {differ[0].decode(errors='replace')} ({len(differ)} in all)")
