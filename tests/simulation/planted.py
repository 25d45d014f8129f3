"""Known bugs, each planted into the real code for a run, so that it shows whether the simulation would see it."""

from __future__ import annotations

import asyncio
import contextlib
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from unittest import mock

import msgspec
import orjson
from aiokafka import TopicPartition
from aiokafka.errors import ProducerFenced

from schemas.topics import DEAD_LETTERS, ORDER, SOURCES
from streams.agents import recovery, transactions
from streams.agents.lanes import Lanes
from streams.agents.owned import OwnedLane
from streams.agents.recovery import ChangelogReader
from streams.agents.transactions import LaneProducer
from streams.engine import work
from streams.engine.drain import LANE_KEY
from tests.simulation.log import Written
from tests.simulation.loop import PROCESS
from tests.simulation.oracle import position_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.simulation.run import Run

BUGS: dict[str, Callable[[Run], Any]] = {}


def planted(bug: Callable[[Run], Iterator[None]]) -> Callable[[Run], Any]:
    """Takes a bug into the list under its name."""
    made = contextlib.contextmanager(bug)
    BUGS[bug.__name__] = made
    return made


@planted
def producers_start_after_recovery(_: Run) -> Iterator[None]:
    """A paused owner commits while its successor reads, and is lost."""
    start, read = LaneProducer.start, ChangelogReader.read
    waiting: dict[Any, list[LaneProducer]] = {}

    async def later(self: LaneProducer) -> None:
        waiting.setdefault(PROCESS.get(), []).append(self)

    async def read_then_start(self: ChangelogReader, partitions: Any) -> Any:
        found = await read(self, partitions)
        await asyncio.gather(*map(start, waiting.pop(PROCESS.get(), [])))
        return found

    with mock.patch.object(LaneProducer, "start", later), mock.patch.object(ChangelogReader, "read", read_then_start):
        yield


@planted
def offsets_from_the_group(run: Run) -> Iterator[None]:
    """The position is what the group committed, which expires, instead of the position record."""
    read = ChangelogReader.read

    async def read_and_forget(self: ChangelogReader, partitions: Any) -> Any:
        states, ends = await read(self, partitions)
        for lane, kept in states.items():
            if LANE_KEY in kept:
                position = position_in(kept)
                group = run.cluster.transactions.committed.get("ews", {})
                for topic in map(str, SOURCES):
                    position.offsets.pop(topic, None)
                    if (topic, lane) in group:
                        position.offsets[topic] = group[topic, lane]
                kept[LANE_KEY] = msgspec.msgpack.encode(position)
        return states, ends

    with mock.patch.object(ChangelogReader, "read", read_and_forget):
        yield


@planted
def deliveries_are_not_awaited(_: Run) -> Iterator[None]:
    """A produce that fails inside a transaction does not fail its commit."""

    async def gather(*_: object) -> None: ...

    with mock.patch.object(transactions, "asyncio", SimpleNamespace(timeout=asyncio.timeout, gather=gather)):
        yield


@planted
def state_before_the_commit(_: Run) -> Iterator[None]:
    """The states are taken as committed, and the next drain begins, before the transaction is."""
    commit = OwnedLane.commit

    async def early(self: OwnedLane, effects: Any) -> None:
        self.logic.committed(effects)
        self.buffer.applied(self.logic.positions)
        self.busy, self.task = False, None
        with mock.patch.object(self.logic, "committed"):
            await commit(self, effects)

    with mock.patch.object(OwnedLane, "commit", early):
        yield


@planted
def failed_commits_are_swallowed(_: Run) -> Iterator[None]:
    """The worker goes on after a transaction that failed, as Faust does."""

    async def commit(self: LaneProducer, effects: Any, positions: Any) -> int:
        with contextlib.suppress(Exception):
            async with asyncio.timeout(transactions.DEADLINE_SECONDS):
                return await self._commit(effects, positions)
        self._producer._began = False
        return 0

    with mock.patch.object(LaneProducer, "commit", commit):
        yield


def _reading(done: Callable[[Any, Any, Any, int], bool]) -> Callable[..., Any]:
    """The reader's loop with another end."""

    async def read(self: ChangelogReader, partitions: Any) -> Any:
        parts = [TopicPartition(self.topic, partition) for partition in partitions]
        states: dict[int, dict[bytes, bytes]] = {part.partition: {} for part in parts}
        begins, ends = await self._ends.of(parts)
        self._consumer.assign(parts)
        for part in parts:
            self._consumer.seek(part, begins[part])
        open_ = {part for part in parts if begins[part] < ends[part]}
        last = dict.fromkeys(parts, -1)
        while open_:
            fetched = await self._consumer.getmany(*open_, timeout_ms=500)
            for part, records in fetched.items():
                recovery._apply(states[part.partition], records)
                last[part] = records[-1].offset
            open_ = {p for p in open_ if not done(await self._consumer.position(p), last[p], ends[p], begins[p])}
        self._consumer.pause(*parts)
        return states, {part.partition: end for part, end in ends.items()}

    return read


@planted
def recovery_waits_for_a_record_at_the_end(_: Run) -> Iterator[None]:
    """A marker stands where the last record is awaited: for ever."""
    with mock.patch.object(ChangelogReader, "read", _reading(lambda _, last, end, __: last >= end - 1)):
        yield


@planted
def recovery_ends_with_the_first_fetch(_: Run) -> Iterator[None]:
    """One fetch is taken for all there is."""
    with mock.patch.object(ChangelogReader, "read", _reading(lambda *_: True)):
        yield


@planted
def recovery_ends_before_its_records_are_applied(_: Run) -> Iterator[None]:
    """Fetched records are on their way to the states when the lanes begin."""
    apply = recovery._apply

    def later(states: Any, records: Any) -> None:
        asyncio.get_running_loop().call_later(0.005, apply, states, records)

    with mock.patch.object(recovery, "_apply", later):
        yield


@planted
def recovery_reads_uncommitted(run: Run) -> Iterator[None]:
    """What a dead owner left open, or aborted, is taken for state."""

    async def start(self: ChangelogReader) -> None:
        self._consumer = run.cluster.clients.consumer(isolation_level="read_uncommitted")

    with mock.patch.object(ChangelogReader, "start", start):
        yield


@planted
def events_handed_over_twice_are_drained_twice(_: Run) -> Iterator[None]:
    """A drain that Faust repeats goes out a second time."""
    with mock.patch.object(OwnedLane, "committing", new=False):
        yield


@planted
def ticks_before_sources_are_complete(_: Run) -> Iterator[None]:
    """Time goes to the clock although records of before are not here yet."""
    probed = Lanes.probed

    def early(self: Lanes, asked_ms: int, ends: Any) -> None:
        probed(self, asked_ms, ends)
        for lane in self.owned.values():
            if lane.buffer.sources and self._wall:
                lane.horizon_ms = asked_ms
                for source in lane.buffer.sources.values():
                    source.stable_end = source.position

    with mock.patch.object(Lanes, "probed", early):
        yield


@planted
def wakeups_are_not_rebuilt(_: Run) -> Iterator[None]:
    """After a restart nobody is woken by time any more."""
    wakeups = work.Wakeups
    with mock.patch.object(work, "Wakeups", lambda _, through: wakeups((), through)):
        yield


@planted
def transactional_ids_are_random(_: Run) -> Iterator[None]:
    """Nobody fences anybody."""
    make, numbers = LaneProducer.__init__, count()

    def init(self: LaneProducer, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        self._transactional_id += f"-{next(numbers)}"

    with mock.patch.object(LaneProducer, "__init__", init):
        yield


@planted
def a_fenced_owner_takes_its_lane_back(_: Run) -> Iterator[None]:
    """A zombie that is fenced gets a new epoch and commits what it had."""
    commit = LaneProducer._commit

    async def again(self: LaneProducer, effects: Any, positions: Any) -> int:
        try:
            return await commit(self, effects, positions)
        except ProducerFenced:
            await self.start()
            return await commit(self, effects, positions)

    with mock.patch.object(LaneProducer, "_commit", again):
        yield


@planted
def dead_letters_outside_the_transaction(run: Run) -> Iterator[None]:
    """They are there again after every abort."""
    commit = LaneProducer._commit

    async def beside(self: LaneProducer, effects: Any, positions: Any) -> int:
        part = run.cluster.topics[DEAD_LETTERS, self.partition]
        part.append(run.now_ms(), [Written(x.key, x.value, tuple(x.headers)) for x in effects.dead_letters])
        letters, effects.dead_letters = effects.dead_letters, []
        done = await commit(self, effects, positions)
        effects.dead_letters = letters
        return done

    with mock.patch.object(LaneProducer, "_commit", beside):
        yield


def _changed_records(change: Callable[[LaneProducer, dict[Any, Any]], None]) -> Any:
    records = LaneProducer._records

    def changed(self: LaneProducer, effects: Any) -> Any:
        found = records(self, effects)
        change(self, found)
        return found

    return mock.patch.object(LaneProducer, "_records", changed)


@planted
def the_order_misses_a_run(_: Run) -> Iterator[None]:
    """An order record with several runs leaves the last one out."""

    def change(self: LaneProducer, found: dict[Any, Any]) -> None:
        if (ORDER, self.partition) in found:
            raw = orjson.loads(found[ORDER, self.partition][0][1])
            runs = [step for step in raw["steps"] if step[0] == "run"]
            if len(runs) > 1:
                raw["steps"].remove(runs[-1])
            found[ORDER, self.partition] = [(None, orjson.dumps(raw), [])]

    with _changed_records(change):
        yield


@planted
def alerts_are_written_twice(_: Run) -> Iterator[None]:
    """A record of the alerts is repeated within its transaction, as a client without idempotence does."""

    def change(self: LaneProducer, found: dict[Any, Any]) -> None:
        if ("alerts", self.partition) in found:
            found["alerts", self.partition] = [*found["alerts", self.partition], found["alerts", self.partition][-1]]

    with _changed_records(change):
        yield


@planted
def the_position_is_not_kept(_: Run) -> Iterator[None]:
    """The position record is left out of every third transaction."""
    numbers = count()

    def change(self: LaneProducer, found: dict[Any, Any]) -> None:
        kept = found.get(("state", self.partition), [])
        if next(numbers) % 3 == 2:
            found["state", self.partition] = [record for record in kept if record[0] != LANE_KEY]

    with _changed_records(change):
        yield


@planted
def offsets_outside_the_transaction(_: Run) -> Iterator[None]:
    """Lag tools see nothing: the group's offsets are not committed with the transaction."""
    commit = LaneProducer._commit
    with mock.patch.object(LaneProducer, "_commit", lambda self, effects, _: commit(self, effects, {})):
        yield


@planted
def a_stale_fetch_is_taken_up(_: Run) -> Iterator[None]:
    """What was fetched under an older assignment counts, and the seek does not wait for it."""
    from streams.agents import transport  # noqa: PLC0415 - named for what is patched

    async def at_once(_: object) -> None: ...

    with mock.patch.object(transport.Consumer, "wait_for_stopped_flow", at_once):
        yield
