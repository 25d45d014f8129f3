"""One simulated worker process: the real lanes, transport, recovery and agent body over the simulated cluster.

What is Faust's is done here in its order: the group's callbacks, the recovery between them, the queue to the agent.
Everything of ours is the real code, put together by the real composition root.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from aiokafka import TopicPartition
from faust.tables.recovery import RebalanceAgain
from faust.types import TP

from streams.agents import transport
from streams.agents.app import Assembly, WorkerApp
from streams.agents.exits import leave_on
from streams.agents.recovery import LaneRecovery
from streams.agents.stage import BORROWERS
from streams.agents.watchdog import Watchdog
from streams.metrics import Metrics
from tests.simulation.loop import PROCESS

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from streams.agents.lanes import LaneFactory
    from streams.agents.policies import Book
    from streams.settings import Settings
    from tests.simulation.clients import Consumer as FakeConsumer
    from tests.simulation.cluster import Cluster
    from tests.simulation.group import Assigned, Group

HEARTBEAT_SECONDS = 1.0
AGAIN = 0.02
"""How often Faust hands an event over a second time."""


class _Span:
    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...


class Thread(transport.ConsumerThread):
    """The consumer's thread, in the one thread there is."""

    def __init__(self, app: Any, fake: FakeConsumer) -> None:  # its base would start a thread
        self.app = app
        self._consumer = fake
        self.log = SimpleNamespace(dev=_quiet)

    async def call_thread(self, fun: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """The other thread takes it up a little later."""
        await asyncio.sleep(0)
        result = fun(*args, **kwargs)
        if asyncio.iscoroutine(result):
            result = await result
        await asyncio.sleep(0)
        return result


class Consumer(transport.Consumer):
    """The transport's consumer without what makes it a service of an app."""

    should_stop = False  # type: ignore[assignment]

    def __init__(self, app: Any, callback: Any) -> None:
        self.app = app
        self.callback = callback
        self.log = SimpleNamespace(dev=_quiet)
        self.diag = cast("Any", SimpleNamespace(set_flag=_quiet, unset_flag=_quiet))
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self.not_waiting_next_records = asyncio.Event()
        self.not_waiting_next_records.set()
        self.flow_active = False
        self._active_partitions, self._paused_partitions = set(), set()
        self._gap, self._acked, self._acked_index = {}, {}, {}  # type: ignore[assignment]
        self._read_offset, self._committed_offset = {}, {}
        self._on_partitions_revoked = _revoked  # type: ignore[assignment]
        self._numbers = iter(range(1 << 60))  # type: ignore[assignment]
        self._begin = None
        self._offers = set()
        self.lanes.offer = self._offer

    async def sleep(self, seconds: Any) -> None:
        """Virtual sleep, not so short that waiting for a slow cluster takes most of a run's turns."""
        await asyncio.sleep(max(0.05, seconds))


class Recovery(LaneRecovery):
    """Faust's recovery as far as ours overrides it."""

    should_stop = False  # type: ignore[assignment]

    def __init__(self, app: Any) -> None:
        self.app = app
        self.active_offsets = Counter()


class Worker:
    """A process from its start to its end."""

    def __init__(
        self,
        cluster: Cluster,
        group: Group,
        settings: Settings,
        factory: LaneFactory,
        book: Book,
        *,
        chance: Callable[[], float],
    ) -> None:
        self._cluster = cluster
        self._group = group
        self._chance = chance
        self.process = PROCESS.get()
        self.settings = settings
        self.lanes = Assembly(settings, BORROWERS, Metrics(), {}, cluster.clients).lanes(factory, book)
        self._fake: FakeConsumer = cluster.clients.consumer(isolation_level="read_committed")
        self._fake._max_poll_records = None  # type: ignore[attr-defined]
        self.app = SimpleNamespace(
            lanes=self.lanes,
            consumer_generation_id=-1,
            clients=cluster.clients,
            instance_id=settings.instance_id,
            conf=SimpleNamespace(broker_request_timeout=90.0),
            _start_span_from_rebalancing=lambda _: _Span(),
        )
        self.consumer = Consumer(self.app, self._queue)
        self.consumer._thread = Thread(self.app, self._fake)
        self.consumer._thread.consumer = self.consumer
        self.app.consumer = self.consumer
        self.recovery = Recovery(self.app)
        self.on_recovered: Callable[[], None] = lambda: None
        self._events: asyncio.Queue[Any] = asyncio.Queue()
        self._recovering: asyncio.Task[None] | None = None
        self._assigned: Assigned | None = None
        self._tasks: list[Any] = []
        self.stopped = False

    # -- its life ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Runs until something ends it."""
        try:
            await self._run()
        except Exception as error:  # noqa: BLE001 - Faust's services end in `_crash`, which leaves
            leave_on(error)

    async def _run(self) -> None:
        await self.lanes.connect()
        watchdog = Watchdog(self.lanes.stalled_since)
        fetcher = SimpleNamespace(should_stop=False)
        app = cast("WorkerApp", self.app)
        stream = cast("Any", SimpleNamespace(noack=self._stream))
        for coro in (
            watchdog._beat(),
            self.consumer._drain_messages(fetcher),
            WorkerApp._drains(app, stream),
            transport.Consumer._probe(self.consumer),  # type: ignore[operator]  # the task of a service
        ):
            self._spawn(coro)
        await self._belong()

    def _spawn(self, coro: Any) -> None:
        self._tasks.append(asyncio.ensure_future(self._guarded(coro)))

    @staticmethod
    async def _guarded(coro: Any) -> None:
        try:
            await coro
        except Exception as error:  # noqa: BLE001 - as above
            leave_on(error)

    async def stop(self) -> None:
        """SIGTERM: finishes what is in flight and goes."""
        self.stopped = True
        self.consumer.stop_flow()
        await self.consumer._give_back()
        await self.lanes.disconnect()
        if self._assigned is not None:
            name = self._assigned.member
            await self._ask("leave", lambda: self._group.leave(name))
        self.process.end(0)

    async def _ask(self, kind: str, apply: Callable[[], Any]) -> Any:
        return await self._cluster.network.ask(self.process, kind, apply)

    # -- the group --------------------------------------------------------------------------------------------------

    async def _belong(self) -> None:
        coordinator = self._fake._coordinator
        coordinator._do_heartbeat = self._beat
        if self.app.instance_id is not None:
            transport.ConsumerThread._leave_when_taken(coordinator)
        while True:
            join = partial(self._group.join, coordinator.member_id, self.app.instance_id)
            self._assigned = await (await self._ask("join", join))
            await self._take_over(self._assigned)
            while await coordinator._do_heartbeat():  # noqa: ASYNC110 - that is what a heartbeat is
                await asyncio.sleep(HEARTBEAT_SECONDS)
            await self._give_up()

    async def _beat(self) -> bool:
        assigned = self._assigned
        assert assigned is not None
        answer = await self._ask("heartbeat", lambda: self._group.heartbeat(assigned.member, assigned.generation))
        if answer == "unknown":
            self._fake._coordinator.member_id = ""
        return bool(answer == "ok")

    async def _take_over(self, assigned: Assigned) -> None:
        self._fake._coordinator.member_id = assigned.member
        self._fake._coordinator.generation = self.app.consumer_generation_id = assigned.generation
        names = [*self.lanes.sources.values(), self.lanes.changelog.topic]
        parts = [TopicPartition(name, lane) for lane in assigned.lanes for name in names]
        self._fake.assign(parts)
        self.consumer._set_active_tps({TP(*part) for part in parts})
        if self._recovering is not None:
            self._recovering.cancel()
        self._recovering = asyncio.ensure_future(self._guarded(self._recover(assigned.generation)))

    async def _give_up(self) -> None:
        if not self.stopped:
            await self.consumer.on_partitions_revoked(self.consumer.assignment())
            while not self._events.empty():
                self._events.get_nowait()

    async def _recover(self, generation: int) -> None:
        # In the order of Faust's Recovery._restart_recovery and on_recovery_completed.
        parts = {tp for tp in self.consumer.assignment() if tp.topic == self.lanes.changelog.topic}
        try:
            await self.recovery._build_highwaters(self.consumer, parts, Counter(), "active")
        except RebalanceAgain:
            return
        self.on_recovered()
        self.consumer.resume_flow()
        await asyncio.sleep(0)
        if self.app.consumer_generation_id != generation:
            return
        if parts:
            await self.consumer.perform_seek()
        self.consumer.resume_flow()

    # -- the way of an event ----------------------------------------------------------------------------------------

    async def _queue(self, message: Any) -> None:
        await self._events.put(message)
        if self._chance() < AGAIN:
            self._cluster.network.fault("event handed over twice")
            if self._chance() < 0.5:
                await asyncio.sleep(self._chance() * 0.05)
            await self._events.put(message)

    async def _stream(self) -> AsyncIterator[Any]:
        while True:
            message = await self._events.get()
            if message.generation_id == self.app.consumer_generation_id:
                yield message.value


def _quiet(*_: object) -> None: ...


async def _revoked(_: Iterable[TP]) -> None: ...
