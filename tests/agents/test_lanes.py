from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from faust.types import TP

from streams import clock
from streams.agents import lanes as module
from streams.agents import watchdog as watching
from streams.agents.buffers import Pull
from streams.agents.checkpointing import Checkpointing
from streams.agents.checkpoints import Checkpoint, CheckpointFiles, Origin
from streams.agents.exits import Exit
from streams.agents.gauges import Gauges
from streams.agents.lanes import Lanes
from streams.agents.watchdog import Watchdog
from streams.metrics import Metrics
from tests.agents.counting_lane import CountingLane

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from streams.agents.owned import OwnedLane
    from streams.engine.drain import Effects

SOURCES = {"repayments": "x-repayments", "transactions": "x-transactions"}
STEP_MS = 1_000


class Left(BaseException):
    """Stands for the end of the process."""


class Record(NamedTuple):
    """A record as aiokafka gives it, as far as anybody looks at it."""

    offset: int
    timestamp: int = 0
    key: bytes = b"k"
    value: bytes = b"1"
    serialized_value_size: int = 1


class FakeProducer:
    """Commits at once, and notes in one list for all what happens in which order."""

    def __init__(self, partition: int, story: list[str]) -> None:
        self.partition = partition
        self.story = story
        self.hold: asyncio.Event | None = None
        self.changelog_next = 0

    async def start(self) -> None:
        """Notes it."""
        self.story.append(f"start {self.partition}")

    async def stop(self) -> None:
        """Notes it."""
        self.story.append(f"stop {self.partition}")

    async def commit(self, effects: Effects, positions: Mapping[str, int]) -> int:
        """Notes it, when it is let."""
        assert effects.positions == positions
        if self.hold is not None:
            await self.hold.wait()
        self.story.append(f"commit {self.partition}")
        self.changelog_next += len(effects.states)
        return len(effects.states)


class FakeChangelog:
    """Holds no states, and notes when it is read."""

    topic = "x-state"
    checkpointing = None
    from_checkpoints = records = 0

    def __init__(self, story: list[str]) -> None:
        self.story = story

    async def read(self, partitions: Iterable[int]) -> tuple[dict[int, dict[bytes, bytes]], dict[int, int]]:
        """Notes it."""
        self.story.append("read")
        return {partition: {} for partition in partitions}, dict.fromkeys(partitions, 0)


class FakeFeeds:
    """No heartbeats."""

    end = 0

    async def need(self, position: int) -> None:
        """There are none."""

    def since(self, position: int) -> tuple[()]:  # noqa: ARG002 - the interface
        """There are none."""
        return ()


def assignment(*partitions: int) -> set[TP]:
    """All topics of these partitions."""
    return {TP(topic, partition) for topic in (*SOURCES.values(), "x-state") for partition in partitions}


class World:
    """Lanes on fakes."""

    def __init__(self) -> None:
        self.story: list[str] = []
        self.offered: list[OwnedLane] = []
        self.producers: dict[int, FakeProducer] = {}
        stand_ins: dict[str, Any] = {"changelog": FakeChangelog(self.story), "feeds": FakeFeeds(), "ends": None}
        self.lanes = Lanes(
            sources=SOURCES,
            factory=lambda partition, states: CountingLane(partition, states, step_ms=STEP_MS),
            new_producer=self._producer,
            gauges=Gauges(Metrics(), wall=True),
            until_ms=None,
            wall=True,
            **stand_ins,
        )
        self.lanes.offer = self.offered.append

    def _producer(self, partition: int) -> Any:
        return self.producers.setdefault(partition, FakeProducer(partition, self.story))

    async def own(self, *partitions: int) -> None:
        """Takes lanes over at the beginning of empty sources."""
        await self.lanes.acquire(assignment(*partitions))
        zeros = {tp: 0 for tp in assignment(*partitions) if tp.topic != "x-state"}
        self.lanes.begin(zeros, 5_000, zeros)

    async def drain_all(self) -> None:
        """Does what the agent does until nothing is offered any more."""
        while self.offered:
            lane = self.offered.pop(0)
            self.lanes.drain(lane)
            if lane.task is not None:
                await lane.task


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    """The exit codes that the process would have ended with."""
    codes: list[Exit] = []

    def leave(code: Exit, *_: Any, **__: Any) -> None:
        codes.append(code)
        raise Left

    monkeypatch.setattr(module, "leave", leave)
    monkeypatch.setattr(module, "leave_on", lambda _, code=Exit.CRASHED: leave(code))
    monkeypatch.setattr(watching, "leave", leave)
    return codes


async def test_producers_start_before_the_changelog_is_read() -> None:
    """Fencing comes first: a paused owner that still writes while we read would be doubled or lost."""
    world = World()
    await world.own(0, 1)
    assert world.story == ["start 0", "start 1", "read"]


async def test_an_answer_about_the_ends_that_comes_before_the_sources_are_sought_is_let_go() -> None:
    """The flow is on between the end of recovery and the seek: a probe then ended the process."""
    world = World()
    await world.lanes.acquire(assignment(0))
    world.lanes.probed(5_000, {tp: 3 for tp in assignment(0) if tp.topic != "x-state"})
    assert world.offered == []


async def test_release_finishes_the_drain_in_flight_before_the_producer_stops() -> None:
    """Revoked lanes are committed or not begun: a successor must find nothing open."""
    world = World()
    await world.own(0)
    await world.drain_all()
    world.story.clear()
    world.producers[0].hold = asyncio.Event()
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0)], 1))
    world.lanes.offer_all()
    world.lanes.drain(world.offered.pop())
    releasing = asyncio.create_task(world.lanes.release())
    await asyncio.sleep(0)
    assert world.story == []
    world.producers[0].hold.set()
    await releasing
    assert world.story == ["commit 0", "stop 0"]
    assert world.lanes.owned == {}


async def test_a_checkpoint_holds_nothing_of_a_transaction_under_way(tmp_path: Path) -> None:
    """Its states and its offset are those of the last commit, at every moment of the next one."""
    world, files = World(), CheckpointFiles(tmp_path, "ews")
    checkpointing = Checkpointing(files, "x-state", 1.0)
    await world.own(0)
    await world.drain_all()
    lane = world.lanes.owned[0]
    before, offset = dict(lane.states), lane.changelog_next
    world.producers[0].hold = asyncio.Event()
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0)], 1))
    world.lanes.offer_all()
    world.lanes.drain(world.offered.pop())
    await asyncio.sleep(0)
    await checkpointing.save(lane)
    origin = Origin("x-state", "None", 0)
    assert Checkpoint(before, offset) == files.load(origin, 0, 1_000, clock.now_ms())
    world.producers[0].hold.set()
    await world.lanes.release()
    await checkpointing.save(lane)
    after = files.load(origin, 0, 1_000, clock.now_ms())
    assert after == Checkpoint(dict(lane.states), lane.changelog_next)
    assert after != Checkpoint(before, offset)


async def test_a_drain_handed_over_before_the_release_does_nothing_after_it() -> None:
    """An event may still stand in Faust's queue when its lane is gone."""
    world = World()
    await world.own(0)
    lane = world.offered.pop()
    await world.lanes.release()
    world.lanes.drain(lane)
    assert lane.task is None


async def test_an_event_that_faust_hands_over_twice_is_drained_once() -> None:
    """A second drain while the first is committed would begin a transaction within a transaction."""
    world = World()
    await world.own(0)
    lane = world.offered.pop()
    world.producers[0].hold = asyncio.Event()
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0)], 1))
    world.lanes.drain(lane)
    committing = lane.task
    world.lanes.drain(lane)
    assert lane.task is committing
    world.producers[0].hold.set()
    await world.lanes.release()
    assert ["commit 0"] == [what for what in world.story if what.startswith("commit")]


@pytest.mark.parametrize("missing", [*SOURCES.values(), "x-state"])
async def test_a_torn_lane_ends_the_process(left: list[Exit], missing: str) -> None:
    """Without a source the order is wrong, without the changelog the state is lost."""
    world = World()
    with pytest.raises(Left):
        await world.lanes.acquire({tp for tp in assignment(0) if tp.topic != missing})
    assert left == [Exit.LANE_INCOMPLETE]


async def test_a_quiet_lane_is_left_alone_until_something_changes() -> None:
    """A drain with nothing to do is not asked for again: a worker with idle lanes would spin."""
    world = World()
    await world.own(0)
    await world.drain_all()
    assert world.story[-1] == "commit 0"  # The first tick.
    world.lanes.offer_all()
    assert world.offered == []
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0)], 1))
    world.lanes.offer_all()
    assert [lane.partition for lane in world.offered] == [0]
    world.lanes.offer_all()
    assert len(world.offered) == 1, "one drain of a lane at a time"


async def test_time_waits_for_what_stood_there_when_it_was_asked() -> None:
    """The lane's time may come to the question's moment only when all that was stable then is fetched."""
    world = World()
    await world.own(0)
    await world.drain_all()
    ends = {TP("x-repayments", 0): 1, TP("x-transactions", 0): 0}
    world.lanes.probed(9_000, ends)
    assert world.lanes.owned[0].horizon_ms == 5_000
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0, timestamp=6_000)], 1))
    world.lanes.probed(10_000, ends)
    assert world.lanes.owned[0].horizon_ms == 10_000


async def test_an_answer_that_comes_before_the_sources_are_placed_is_left_alone() -> None:
    """A rebalance on the heels of another: the lane is owned and not begun, so no end and no time is set."""
    world = World()
    await world.lanes.acquire(assignment(0))
    world.lanes.probed(9_000, {TP("x-repayments", 0): 1, TP("x-transactions", 0): 0})
    assert not world.lanes.owned[0].buffer.known
    assert world.lanes.owned[0].horizon_ms is None
    assert world.offered == []


async def test_an_exception_of_the_logic_ends_the_process(left: list[Exit]) -> None:
    """It never reaches Faust, which would acknowledge the drain."""
    world = World()
    await world.own(0)
    await world.drain_all()
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0, value=b"!crash")], 1))
    world.lanes.offer_all()
    with pytest.raises(Left):
        world.lanes.drain(world.offered.pop())
    assert left == [Exit.CRASHED]


async def test_a_lane_that_was_idle_for_long_is_not_stalled_when_work_comes() -> None:
    """The watchdog counts from when something began to wait, not from the last commit."""
    world = World()
    await world.own(0)
    await world.drain_all()
    lane = world.lanes.owned[0]
    lane.progressed -= 1_000
    assert world.lanes.stalled_since() is None
    world.lanes.take(TP("x-repayments", 0), Pull(0, [Record(0)], 1))
    since = world.lanes.stalled_since()
    assert since is not None
    assert since == lane.progressed


async def test_the_watchdog_ends_a_process_in_which_nothing_moves(left: list[Exit]) -> None:
    """A worker that waits for ever behind a dead fetcher looks alive to everybody else."""
    watchdog = Watchdog(lambda: 0.0, stall_seconds=0.0)
    with pytest.raises(Left):
        await watchdog._beat()
    assert left == [Exit.STALLED]
