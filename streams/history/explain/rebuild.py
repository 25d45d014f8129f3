"""Making an alert again from the log: the lane's order repeated up to it, or the files replayed; bytes compared."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple

import orjson

from schemas.topics import ORDER
from streams.engine.calendar import ms_of
from streams.engine.portfolio.judging import SOURCE, rules_of
from streams.errors import Unavailable
from streams.history.order import LaneRepeat, differing, partition_in, read_order
from streams.history.order_log import OrderedSource
from streams.history.portfolio import SecondHop
from streams.history.portfolio_log import repeat_portfolio
from streams.history.replay import Sink, replay
from streams.kafka.letters import RETURNABLE
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from streams.engine.drain import Effects
    from streams.engine.engine import Engine
    from streams.history.explain.material import Told
    from streams.history.explain.topics import Progress
    from streams.history.files import FileEvent
    from streams.history.order import EngineOf, OrderRecord
    from streams.history.portfolio_log import RulesOf
    from streams.settings import Settings


class Rebuilt(NamedTuple):
    """Whether the alert came out of the log again. None: it was not tried, or could not be; `said` has the reason."""

    equal: bool | None
    said: str


class _Reached(Exception):  # noqa: N818 - it ends a replay that found what it was made for
    """The alert came again, with these bytes."""

    def __init__(self, value: bytes) -> None:
        super().__init__()
        self.value = value


def _verdict(told: Told, again: bytes | None, how: str) -> Rebuilt:
    if again is None:
        return Rebuilt(equal=False, said=f"{how} does not give this alert.")
    if again == told.value:
        return Rebuilt(equal=True, said=f"{how} gives this alert again, byte for byte ({len(again):,} bytes).")
    return Rebuilt(equal=False, said=f"{how} gives this alert with other bytes: {differing(again, told.value)} differ.")


def is_of_many(told: Told) -> bool:
    """Whether the second hop made the alert: it looks across borrowers."""
    return told.alert.source == SOURCE


def from_files(
    told: Told, lines: Iterable[FileEvent], engine: Engine, live_from_ms: int | None, progress: Progress
) -> Rebuilt:
    """Replay event files up to the moment of the alert, or as far as they go if it comes of many borrowers."""
    until_ms = None if is_of_many(told) else ms_of(told.alert.time)
    second = None
    if is_of_many(told):
        second = SecondHop(rules_of(engine.policy.version, engine.detectors), live_from_ms, _until(told)).take
    sink = Sink(_until(told), lambda _letter: None, lambda count, _now_ms: progress("events", count), second)
    again = None
    try:
        replay(engine, lines, sink, until_ms=until_ms, live_from_ms=live_from_ms)
    except _Reached as reached:
        again = reached.value
    return _verdict(told, again, f"A replay of the files to {told.alert.time:%Y-%m-%d %H:%M} UTC")


def _until(told: Told) -> Callable[[bytes], None]:
    identity = str(told.alert.id).encode()

    def hear(value: bytes) -> None:
        if identity in value and is_alert(value, identity):
            raise _Reached(value)

    return hear


def is_alert(value: bytes, identity: bytes) -> bool:
    """Whether these are the bytes of the alert with that id, and not of one that merely names it."""
    return bool(orjson.loads(value)["id"] == identity.decode())


async def from_portfolio(settings: Settings, told: Told, rules_of: RulesOf) -> Rebuilt:
    """Repeat the orders of the second stage up to the alert. Raises Unavailable if records are gone, Misconfigured."""
    again = None
    try:
        await repeat_portfolio(settings, rules_of, heard=_until(told))
    except _Reached as reached:
        again = reached.value
    return _verdict(told, again, "The order of the second stage, repeated from what the borrowers' lanes told it,")


async def from_order(settings: Settings, told: Told, engine_of: EngineOf, progress: Progress) -> Rebuilt:
    """Repeat the order of the alert's lane up to it. Raises Unavailable if records are gone, Misconfigured."""
    assert told.partition is not None, "it was read of a partition"
    await partition_counts(settings, [ORDER, *RETURNABLE])
    lane = _Lane(told.partition, engine_of, progress)
    again = await lane.until(settings, str(told.alert.id).encode())
    how = f"The order of lane {told.partition}, repeated over {lane.applied:,} records and {lane.ticks:,} ticks,"
    return _verdict(told, again, how)


class _Lane:
    """One lane's order and sources, read as far as is needed."""

    def __init__(self, number: int, engine_of: EngineOf, progress: Progress) -> None:
        self._number = number
        self._repeat = LaneRepeat(engine_of)
        self._progress = progress
        self._sources: dict[str, OrderedSource] = {}
        self.applied = 0
        self.ticks = 0

    async def until(self, settings: Settings, identity: bytes) -> bytes | None:
        """Repeat until the alert comes; its bytes, or None if it does not."""
        async with contextlib.AsyncExitStack() as stack:
            readers = {name: await stack.enter_async_context(reading(settings, name)) for name in (ORDER, *RETURNABLE)}
            for topic in RETURNABLE:
                partition = partition_in(topic, self._number)
                name = f"{topic}/{partition}"
                self._sources[str(topic)] = OrderedSource(name, await readers[topic].open(partition))
            order = await readers[ORDER].open(self._number)
            if order.begin:
                raise Unavailable(f"retention has deleted the beginning of {ORDER}/{self._number}")
            async for written in order.records():
                effects = await self._apply(read_order(written.value))
                for _, value in effects.alerts:
                    if identity in value and is_alert(value, identity):
                        return value
        return None

    async def _apply(self, record: OrderRecord) -> Effects:
        runs = list(record.runs())
        for topic, _, next_ in runs:
            await self._sources[topic].reach(next_)
        found = {(topic, first): self._sources[topic].held.run(first, next_) for topic, first, next_ in runs}
        effects = self._repeat.apply(record, lambda topic, first, _next: found[topic, first])
        applied = sum(map(len, found.values()))
        for topic, first, next_ in runs:
            self._sources[topic].held.done(next_, len(found[topic, first]))
        self.applied += applied
        self.ticks += len(record.steps) - len(runs)
        self._progress("order", applied)
        return effects
