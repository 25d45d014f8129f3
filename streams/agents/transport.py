"""The transport: Faust's aiokafka transport, in which one event is one drain of a lane instead of one record.

All that Faust does for each message (two tasks, a lock, a queue, sensors: 70 to 110 us) is so done for each drain.
"""

from __future__ import annotations

import asyncio
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar, cast

import structlog
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from mode import Service

from streams import clock
from streams.agents.buffers import LogChanged, Pull
from streams.agents.exits import Exit, leave, leave_on

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from aiokafka import AIOKafkaConsumer

    from streams.agents.app import WorkerApp
    from streams.agents.lanes import Lanes
    from streams.agents.owned import OwnedLane

PULL_SECONDS = 0.1
"""How long one fetch from the local buffer waits. Fetching itself goes on in aiokafka's task."""
PULL_RECORDS_MAX = 8_000
FETCH_MAX_WAIT_MS = 100
"""Faust's 1,500 made the first record after a pause come 1,451 ms late."""
SESSION_TIMEOUT_MS = 10_000
HEARTBEAT_MS = 2_000
REBALANCE_TIMEOUT_MS = 30_000
"""How long the group waits for a member that finishes its drains: more than a transaction's deadline."""
PROBE_SECONDS = 1.0

log = structlog.get_logger(__name__)


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread around an aiokafka consumer, which is made with our options."""

    app: WorkerApp

    def _create_worker_consumer(self, transport: Any) -> AIOKafkaConsumer:  # noqa: ARG002 - Faust's signature
        # Faust hard-wires fetch_max_wait_ms and read_uncommitted, and knows no connection options but its own.
        app = self.app
        self._assignor = app.assignor
        return app.clients.consumer(
            **app.connection,
            client_id=app.conf.id,
            group_id=app.conf.id,
            group_instance_id=app.instance_id,
            partition_assignment_strategy=[app.assignor],
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=FETCH_MAX_WAIT_MS,
            session_timeout_ms=SESSION_TIMEOUT_MS,
            heartbeat_interval_ms=HEARTBEAT_MS,
            rebalance_timeout_ms=REBALANCE_TIMEOUT_MS,
            max_poll_interval_ms=2**31 - 1,  # The watchdog sees to stalls; leaving the group would not end the process.
            max_partition_fetch_bytes=2**20 + 2**16,
        )

    async def on_start(self) -> None:
        """Starts the consumer; a static member that the group no longer knows ends the process."""
        await super().on_start()
        if self.app.instance_id is not None:
            self._leave_when_taken(self._ensure_consumer()._coordinator)  # noqa: SLF001 - there is no other way to see it

    @staticmethod
    def _leave_when_taken(coordinator: Any) -> None:
        # aiokafka's heartbeat does not carry the instance id, so that the broker answers "unknown member" instead of
        # "fenced", and aiokafka joins again: two processes with one id threw each other out 13 times in 8 s.
        heartbeat = coordinator._do_heartbeat  # noqa: SLF001

        async def heartbeat_or_leave() -> bool:
            alive: bool = await heartbeat()
            if coordinator.member_id == "":
                leave(Exit.INSTANCE_TAKEN, "the group does not know this member any more")
            return alive

        coordinator._do_heartbeat = heartbeat_or_leave  # noqa: SLF001

    async def _fetch_records(  # type: ignore[override]  # pulls in place of records
        self,
        consumer: AIOKafkaConsumer,
        active: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature
        max_records: int | None = None,  # noqa: ARG002 - the same
    ) -> dict[TP, Pull]:
        # In the consumer's thread, so that no fetch comes between the positions and the records.
        before = self.positions(active)
        fetched = await super()._fetch_records(consumer, active, timeout, PULL_RECORDS_MAX)
        after = self.positions(before)
        return {
            tp: Pull(before[tp], fetched.get(tp, ()), after[tp])
            for tp in before
            if tp in after and (tp in fetched or after[tp] != before[tp])
        }

    def positions(self, tps: Iterable[TP]) -> dict[TP, int]:
        """Where the next fetch of each partition begins; absent where that is not known."""
        return {tp: state.position for tp, state in self._states(tps) if state.has_valid_position}

    def ends(self, tps: Iterable[TP]) -> dict[TP, tuple[int, int]]:
        """Last stable offset and high watermark as the last fetch of each partition brought them."""
        return {tp: (state.lso, state.highwater) for tp, state in self._states(tps) if state.lso is not None}

    def _states(self, tps: Iterable[TP]) -> Iterable[tuple[TP, Any]]:
        subscription = self._ensure_consumer()._subscription.subscription  # noqa: SLF001 - reads what fetches brought
        assignment = subscription.assignment if subscription is not None else None
        if assignment is None:
            return []
        return [(tp, assignment.state_value(tp)) for tp in tps if tp in assignment.tps]

    async def pause(self, tps: Iterable[TP]) -> None:
        """Fetches no more of these: Faust "pauses" the changelog by not reading what aiokafka goes on fetching."""

        async def pause() -> None:
            self._ensure_consumer().pause(*map(TopicPartition._make, tps))

        await self.call_thread(pause)


class Consumer(driver.Consumer):
    """Faust's consumer with a drain loop that fills the lanes' buffers and hands over whole drains."""

    app: WorkerApp
    _thread: ConsumerThread

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._numbers = count()
        self._begin: Callable[[], None] | None = None
        """What is left to do when recovery ends; None when it is done or not yet known."""
        self._offers: set[asyncio.Task[None]] = set()
        self.lanes.offer = self._offer

    @property
    def lanes(self) -> Lanes:
        """The lanes of this worker."""
        return self.app.lanes

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    # Faust commits what its agents acknowledge, exceptions and gaps included. Ours travels in the transactions.

    def ack(self, message: Any) -> bool:
        """Notes that the event is done, and nothing else: Faust would keep its offset until a commit."""
        message.acked = True
        self._unacked_messages.discard(message)
        return True

    async def commit(self, topics: Any = None, start_new_transaction: bool = True) -> bool:  # noqa: ARG002, FBT001, FBT002
        """Commits nothing."""
        return False

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Leaves stalls to our watchdog: Faust's compares commits that there are none of."""

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """Finishes what is in flight and stops the producers before Faust, and then the group, goes on."""
        self.stop_flow()
        await self._give_back()
        await super().on_partitions_revoked(revoked)

    async def on_stop(self) -> None:
        """The same for a graceful stop, while the connections are still there."""
        self.stop_flow()
        await self._give_back()
        await super().on_stop()

    async def _give_back(self) -> None:
        self._begin = None
        for offer in self._offers:
            offer.cancel()
        try:
            await self.lanes.release()
        except Exception as error:  # noqa: BLE001 - Faust would log it and rejoin with a drain in flight
            leave_on(error)

    async def perform_seek(self) -> None:
        """Goes to the position records: the committed offsets that Faust takes may be expired, or a zombie's."""
        # A fetch of the assignment before would otherwise take what is fetched from here on, and be dropped with it.
        await self.wait_for_stopped_flow()
        starts = {TP(*tp): at for tp, at in self.lanes.starts().items()}
        asked_ms = clock.now_ms()
        try:
            begins, ends = await self.lanes.ends.of(starts)
        except KafkaError as error:
            leave_on(error, Exit.RECOVERY_FAILED)
        seeks = {tp: self._start(tp, at, begins[tp], ends[tp]) for tp, at in starts.items()}
        await self.seek_wait(seeks)
        await self._thread.pause(self.assignment() - seeks.keys())
        self._begin = lambda: self.lanes.begin(seeks, asked_ms, ends)

    def resume_flow(self) -> None:
        """Begins to drain, at the end of a recovery and not before: Faust empties its queues when it resumes."""
        super().resume_flow()
        if self._begin is not None:
            begin, self._begin = self._begin, None
            begin()

    @staticmethod
    def _start(tp: TP, at: int | None, begin: int, end: int) -> int:
        if at is not None and at > end:
            leave(
                Exit.LOG_CHANGED,
                f"the state stands at {at}, the log ends at {end}",
                topic=tp.topic,
                partition=tp.partition,
            )
        if at is not None and at < begin:
            log.error("worker.records_gone", topic=tp.topic, partition=tp.partition, position=at, log_begins_at=begin)
        return max(begin, at or 0)

    async def _drain_messages(self, fetcher: Any) -> None:
        try:
            await self._drain_buffers(fetcher)
        except asyncio.CancelledError:
            # During a rebalance Faust takes any cancellation for a crash, that of a stop too.
            if not self.app.should_stop:
                raise

    async def _drain_buffers(self, fetcher: Any) -> None:
        # Faust's loop, with its conditions: it stops with the consumer or the fetcher, waits while the flow is stopped,
        # and drops what was fetched under an older generation.
        while not (self.should_stop or fetcher.should_stop):
            if not self.flow_active:
                await self.can_resume_flow.wait()
                continue
            generation = self.app.consumer_generation_id
            wanted = {tp for tp in self._get_active_partitions() if self.lanes.room(tp)}
            if not wanted:
                await self.sleep(0.005)
                continue
            self.not_waiting_next_records.clear()
            try:
                pulls = cast("Mapping[TP, Pull]", await self._getmany(wanted, PULL_SECONDS))
            finally:
                self.not_waiting_next_records.set()
            if self.flow_active and generation == self.app.consumer_generation_id:
                self._take(pulls)

    def _take(self, pulls: Mapping[TP, Pull]) -> None:
        try:
            for tp, pull in pulls.items():
                self.lanes.take(tp, pull)
        except LogChanged as changed:
            leave(Exit.LOG_CHANGED, str(changed), topic=tp.topic, partition=tp.partition)
        for tp, (stable, high) in self._thread.ends(self._get_active_partitions()).items():
            self.lanes.heard(tp, stable, high)
        self.lanes.offer_all()

    def _offer(self, lane: OwnedLane) -> None:
        """Hands a drain of the lane to Faust: conductor, stream, agent."""
        topic, drain, now = self.lanes.topic, cast("Any", lane), clock.monotonic()
        tp = TP(topic, lane.partition)
        generation = self.app.consumer_generation_id
        message = ConsumerMessage(
            topic,
            lane.partition,
            next(self._numbers),
            now,
            0,
            [],
            None,
            drain,
            None,
            0,
            0,
            tp,
            generation_id=generation,
        )
        task = asyncio.ensure_future(self.callback(message))
        self._offers.add(task)
        task.add_done_callback(self._offered)

    def _offered(self, task: asyncio.Task[None]) -> None:
        self._offers.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            leave_on(error)

    @Service.task
    async def _probe(self) -> None:
        """Asks once a second how far the sources are: time may go no further than the answer's question."""
        while not self.should_stop:
            await self.sleep(PROBE_SECONDS)
            if not self.flow_active or not self.lanes.owned:
                continue
            generation = self.app.consumer_generation_id
            asked_ms = clock.now_ms()
            try:
                _, ends = await self.lanes.ends.of([TP(*tp) for tp in self.lanes.starts()])
            except KafkaError as error:
                log.warning("worker.no_answer", error=type(error).__name__)
                continue
            if self.flow_active and generation == self.app.consumer_generation_id:
                self.lanes.probed(asked_ms, ends)


class Transport(driver.Transport):
    """Faust's transport with our consumer."""

    Consumer: ClassVar[type[Consumer]] = Consumer
