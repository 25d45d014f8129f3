"""Repeating the order of a whole system from its topics, and comparing what comes out with what the worker wrote.

Each lane by itself, one after the other: its sources, its order, its alerts and its dead letters are read alongside
each other, each in bounded memory; a lane's states are held whole, as the worker holds them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from schemas.events import Topic
from schemas.topics import ALERTS, DEAD_LETTERS, ORDER, SOURCES, STATE
from streams import clock
from streams.engine.portfolio.judging import SOURCE as PORTFOLIO_SOURCE
from streams.errors import Unavailable
from streams.history.order import Held, LaneRepeat, compare_states, differing, partition_in, read_order
from streams.history.portfolio_log import RepeatedPortfolio
from streams.history.states import Digest, latest
from streams.kafka.letters import RETURNABLE
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiokafka import ConsumerRecord

    from streams.engine.drain import DeadLetter, Effects
    from streams.history.order import EngineOf, OrderRecord
    from streams.kafka.reading import Partition, TopicReader
    from streams.settings import Settings

READ = (*SOURCES, Topic.FEEDS, ORDER, ALERTS, DEAD_LETTERS, STATE)
CATCH_UP_SECONDS = 5.0
"""How much later than the order an alert of the same transaction may become readable."""
POLL_SECONDS = 0.1
_OTHER_STAGE = b'"source":"%s"' % PORTFOLIO_SOURCE.encode()


@dataclass(slots=True)
class Repeated:
    """What a repeat found. Equal means: order, alerts and dead letters byte for byte, and the states if asked for."""

    partitions: int = 0
    order_records: int = 0
    ticks: int = 0
    policies: Counter[str] = field(default_factory=Counter)
    """Ticks by the version of the policy that they carried."""
    events: Counter[str] = field(default_factory=Counter)
    """Applied records by topic."""
    alerts: int = 0
    dead_letters: int = 0
    letters_gone: int = 0
    """Dead letters that retention had deleted, so that they were not compared."""
    differences: list[str] = field(default_factory=list)
    """The first difference of each lane that has one."""
    states: Digest = field(default_factory=Digest)
    """Of the repeated states, as `ews state export --digest` counts them."""
    states_compared: bool = False
    portfolio: RepeatedPortfolio = field(default_factory=RepeatedPortfolio)
    """The same of the second stage."""
    seconds: float = 0.0

    @property
    def equal(self) -> bool:
        """Whether no lane differs."""
        return not self.differences and not self.portfolio.differences


@dataclass(frozen=True, slots=True)
class Watch:
    """Who hears of a repeat while it runs."""

    alert: Callable[[bytes], None]
    """Each alert's bytes, lane by lane."""
    progress: Callable[[int, int], None]
    """How many more records were applied, and the event time that was reached."""


class Differs(Exception):  # noqa: N818 - it carries the finding, and no failure
    """The repeat and the log part here."""


class OrderedSource:
    """One source of a lane, read as far as the order reaches."""

    def __init__(self, name: str, partition: Partition) -> None:
        self._partition = partition
        self.held = Held(name)

    async def reach(self, next_: int) -> None:
        """Read on until all below an offset is here."""
        while self.held.last < next_ - 1 and (batch := await self._partition.batch()):
            self.held.extend(batch)


class _Written:
    """What the worker wrote into one topic of a lane, in order."""

    def __init__(self, partition: Partition, wanted: Callable[[ConsumerRecord], bool]) -> None:
        self._partition = partition
        self._known_end = partition.end
        self._wanted = wanted
        self._records: Sequence[ConsumerRecord] = ()
        self._at = 0

    async def next(self, *, wait: bool = True) -> ConsumerRecord | None:
        """The next record, which `wait` says must come. None if there is none."""
        deadline = clock.monotonic() + CATCH_UP_SECONDS
        while self._at >= len(self._records):
            batch = await self._partition.batch()
            self._records, self._at = [record for record in batch if self._wanted(record)], 0
            if not batch:
                if not wait or clock.monotonic() > deadline:
                    return None
                await asyncio.sleep(POLL_SECONDS)
                await self._partition.extend()
        self._at += 1
        return self._records[self._at - 1]

    def back(self) -> None:
        """Give the last record again next time."""
        self._at = max(0, self._at - 1)

    async def surplus(self) -> ConsumerRecord | None:
        """A record that was there before the order was read and that nothing asked for."""
        record = await self.next(wait=False)
        return record if record is not None and record.offset < self._known_end else None


class _Lane:
    """One lane: its logs, and the engine that does again what they say."""

    def __init__(self, number: int, engine_of: EngineOf, watch: Watch, done: Repeated) -> None:
        self._number = number
        self._watch = watch
        self._done = done
        self._repeat = LaneRepeat(engine_of)
        self._cut = False
        """Whether the oldest dead letters are gone, and none that is there has been reached."""

    @property
    def states(self) -> dict[bytes, bytes]:
        """The repeated states."""
        return self._repeat.states

    async def open(self, readers: Mapping[str, TopicReader]) -> None:
        """Open its logs. Raises Unavailable if the order's beginning is gone."""
        number = self._number
        # What was written before the order and is not in it is a surplus, so the order is opened last.
        self._alerts = _Written(await readers[ALERTS].open(number), _is_of_this_stage)
        letters = await readers[DEAD_LETTERS].open(number)
        self._letters, self._cut = _Written(letters, _is_of_a_lane), letters.begin > 0
        self._sources = {str(topic): await self._source(readers[topic], topic) for topic in RETURNABLE}
        self._order = await readers[ORDER].open(number)
        if self._order.begin:
            raise Unavailable(
                f"{ORDER}/{number} begins at offset {self._order.begin}: retention deleted what came before, "
                "and without it the order cannot be repeated"
            )

    async def _source(self, reader: TopicReader, topic: str) -> OrderedSource:
        partition = partition_in(topic, self._number)
        return OrderedSource(f"{topic}/{partition}", await reader.open(partition))

    async def follow(self) -> None:
        """Do the order again and compare. Raises Differs, Unavailable, Misconfigured."""
        while batch := await self._order.batch():
            for written in batch:
                record = read_order(written.value)
                effects = await self._apply(record)
                self._done.order_records += 1
                if effects.order != record.value:
                    raise Differs(f"{ORDER} offset {written.offset}: {differing(effects.order, record.value)}")
                await self._compare(effects)
        for name, log in ((ALERTS, self._alerts), (DEAD_LETTERS, self._letters)):
            if (left := await log.surplus()) is not None:
                raise Differs(f"{name} offset {left.offset}: it is in the log and does not come out of the order")

    async def _apply(self, record: OrderRecord) -> Effects:
        runs = list(record.runs())
        for topic, _, next_ in runs:
            await self._sources[topic].reach(next_)
        found = {(topic, first): self._sources[topic].held.run(first, next_) for topic, first, next_ in runs}
        effects = self._repeat.apply(record, lambda topic, first, _next: found[topic, first])
        applied: Counter[str] = Counter()
        for (topic, _), records in found.items():
            applied[topic] += len(records)
        for topic, count in applied.items():
            next_ = max(next_ for name, _, next_ in runs if name == topic)
            if (left_out := self._sources[topic].held.done(next_, count)) is not None:
                raise Differs(left_out)
        self._done.events += applied
        self._done.ticks += len(record.steps) - len(runs)
        self._done.policies.update(record.carried())
        self._watch.progress(applied.total(), effects.now_ms)
        return effects

    async def _compare(self, effects: Effects) -> None:
        for key, value in effects.alerts:
            await self._compare_alert(key, value)
        for letter in effects.dead_letters:
            await self._compare_letter(letter)

    async def _compare_alert(self, key: bytes, value: bytes) -> None:
        self._watch.alert(value)
        self._done.alerts += 1
        there = await self._alerts.next()
        if there is None:
            raise Differs(f"{ALERTS}: alert {self._done.alerts} of the repeat is not in the log")
        if (there.key, there.value) != (key, value):
            what = differing(value, there.value or b"") if there.key == key else "its key"
            raise Differs(f"{ALERTS} offset {there.offset}: {what}")

    async def _compare_letter(self, letter: DeadLetter) -> None:
        self._done.dead_letters += 1
        there = await self._letters.next(wait=not self._cut)
        if self._cut and (there is None or list(there.headers) != letter.headers):
            self._done.letters_gone += 1
            self._letters.back()
            return
        self._cut = False
        if there is None:
            raise Differs(f"{DEAD_LETTERS}: letter {self._done.dead_letters} of the repeat is not in the log")
        if (there.key, there.value, list(there.headers)) != (letter.key, letter.value, letter.headers):
            what = "key or bytes" if list(there.headers) == letter.headers else "headers"
            raise Differs(f"{DEAD_LETTERS} offset {there.offset}: {what}")


def _is_of_this_stage(record: ConsumerRecord) -> bool:
    """Whether a borrower lane wrote the alert: the second hop's stand between them, in an order of their own."""
    return _OTHER_STAGE not in (record.value or b"")


def _is_of_a_lane(record: ConsumerRecord) -> bool:
    """Whether a lane wrote it: consumers write letters of their own there, and requeues leave marks."""
    topic = next((value for name, value in record.headers if name == "topic"), None)
    return topic is not None and topic.decode(errors="replace") in RETURNABLE


async def repeat_lanes(settings: Settings, engine_of: EngineOf, watch: Watch, *, states: bool = False) -> Repeated:
    """Repeat every lane and compare; with `states` the resulting states too.

    Raises Unavailable if something that is needed is gone or Kafka is, Misconfigured for another policy or release.
    """
    began = clock.monotonic()
    counts = await partition_counts(settings, READ)
    done = Repeated(states_compared=states)
    async with contextlib.AsyncExitStack() as stack:
        readers = {name: await stack.enter_async_context(reading(settings, name)) for name in READ}
        for number in range(counts[ORDER]):
            await _repeat_lane(readers, _Lane(number, engine_of, watch, done), number, done)
    if not done.order_records:
        raise Unavailable("there is no order to repeat: has a worker run on these topics?")
    done.seconds = clock.monotonic() - began
    return done


async def _repeat_lane(readers: Mapping[str, TopicReader], lane: _Lane, number: int, done: Repeated) -> None:
    await lane.open(readers)
    done.partitions += 1
    try:
        await lane.follow()
        if done.states_compared:
            _same_states(lane.states, await latest(await readers[STATE].open(number)))
    except Differs as difference:
        done.differences.append(f"lane {number}: {difference}")
    done.states.add(lane.states)


def _same_states(ours: Mapping[bytes, bytes], theirs: Mapping[bytes, bytes]) -> None:
    difference = compare_states(ours, theirs)
    if difference is not None:
        raise Differs(difference)
