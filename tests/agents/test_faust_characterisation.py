"""What the worker relies on in Faust, mode and aiokafka, and what it steps round: an upgrade must tell us."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.consumer import fetcher, group_coordinator, subscription_state
from aiokafka.producer import message_accumulator, sender
from faust.agents import agent
from faust.app.base import App
from faust.tables import manager, recovery
from faust.topics import Topic
from faust.transport import consumer
from faust.transport.drivers import aiokafka as driver
from intervaltree import IntervalTree
from mode.utils.queues import FlowControlEvent, FlowControlQueue

from streams.agents import app as ours
from streams.agents import recovery as our_recovery
from streams.agents import transactions, transport
from streams.metrics import Metrics
from streams.settings import Settings

FETCH_RECORDS = ["self", "consumer", "active_partitions", "timeout", "max_records"]


@pytest.mark.parametrize(
    ("distribution", "pinned"), [("faust-streaming", "0.15.3"), ("mode-streaming", "0.7.1"), ("aiokafka", "0.14.0")]
)
def test_the_versions_are_those_that_were_read(distribution: str, pinned: str) -> None:
    """Another version needs this file to be gone through again: private names are used."""
    assert version(distribution) == pinned


@pytest.mark.parametrize(
    ("base", "name", "parameters"),
    [
        (driver.AIOKafkaConsumerThread, "_create_worker_consumer", ["self", "transport"]),
        (
            driver.AIOKafkaConsumerThread,
            "_fetch_records",
            ["self", "consumer", "active_partitions", "timeout", "max_records"],
        ),
        (driver.AIOKafkaConsumerThread, "on_start", ["self"]),
        (driver.Consumer, "_new_consumer_thread", ["self"]),
        (consumer.Consumer, "_drain_messages", ["self", "fetcher"]),
        (consumer.Consumer, "perform_seek", ["self"]),
        (consumer.Consumer, "resume_flow", ["self"]),
        (consumer.Consumer, "on_partitions_revoked", ["self", "revoked"]),
        (consumer.Consumer, "commit", ["self", "topics", "start_new_transaction"]),
        (consumer.Consumer, "ack", ["self", "message"]),
        (consumer.Consumer, "verify_event_path", ["self", "now", "tp"]),
        (recovery.Recovery, "_build_highwaters", ["self", "consumer", "tps", "destination", "title"]),
        (recovery.Recovery, "_wait", ["self", "coro", "timeout"]),
        (manager.TableManager, "on_start", ["self"]),
        (Topic, "_compile_decode", ["self"]),
        (Topic, "maybe_declare", ["self"]),
        (App, "_crash", ["self", "reason"]),
        (App, "on_first_start", ["self"]),
        (group_coordinator.GroupCoordinator, "_do_heartbeat", ["self"]),
        (fetcher.Fetcher, "fetched_records", ["self", "partitions", "timeout", "max_records"]),
    ],
)
def test_what_is_overridden_is_there_with_these_parameters(base: type, name: str, parameters: list[str]) -> None:
    """An override of a name that is gone does nothing, in silence: then Faust commits, seeks or recovers by itself."""
    assert list(inspect.signature(getattr(base, name)).parameters) == parameters


@pytest.mark.parametrize(
    ("derived", "base"),
    [
        (transport.Consumer, driver.Consumer),
        (transport.ConsumerThread, driver.AIOKafkaConsumerThread),
        (our_recovery.LaneRecovery, recovery.Recovery),
        (our_recovery.LaneTables, manager.TableManager),
        (ours.LaneTopic, Topic),
    ],
)
def test_every_override_overrides_something_or_is_new(derived: type, base: type) -> None:
    """Private methods of ours that Faust does not call must not carry a name that Faust may take one day."""
    known = {"lanes", "_give_back", "_start", "_take", "_offer", "_offered", "_probe", "_acquire", "_decode"}
    known |= {"positions", "ends", "_states", "pause", "_leave_when_taken", "_drain_buffers"}
    added = {name for name, value in vars(derived).items() if inspect.isfunction(value) and not hasattr(base, name)}
    assert added <= known
    assert not any(hasattr(base, name) for name in known - {"_start", "_states"} if name in vars(derived))


def test_an_exception_in_an_agent_commits() -> None:
    """Faust commits when an agent fails, the failing event acknowledged: so nothing leaves our agent's body."""
    assert "consumer.on_task_error(exc)" in inspect.getsource(App._on_agent_error)
    assert "await self.commit()" in inspect.getsource(consumer.Consumer.on_task_error)
    assert "leave_on(error)" in inspect.getsource(ours.WorkerApp._drains)


def _consumer(**state: Any) -> Any:
    return SimpleNamespace(
        _acked_index={"tp": set()}, _gap={"tp": IntervalTree()}, _committed_offset={"tp": None}, **state
    )


def test_faust_commits_past_a_gap_at_the_head() -> None:
    """With nothing committed yet the head is not checked: 0 is not done, 4 is committed. So Faust commits nothing."""
    acked = {"_acked": {"tp": [1, 2, 3]}, "_acked_index": {"tp": set()}}
    stand_in: Any = SimpleNamespace(_gap={"tp": IntervalTree()}, _committed_offset={"tp": None}, **acked)
    tp: Any = "tp"
    assert consumer.Consumer._new_offset(stand_in, tp) == 4


def test_faust_takes_a_gap_in_offsets_for_done() -> None:
    """Records that never came are counted as done, the one that has just come among them."""
    source = inspect.getsource(consumer.Consumer._add_gap)
    assert "gap_for_tp.addi(offset_from, offset_to + 1)" in source


async def test_resuming_the_flow_empties_the_queues() -> None:
    """A drain handed over before recovery's last `resume` is lost, and its lane stands still: so it begins after it."""
    flow = FlowControlEvent()
    queue: Any = FlowControlQueue(flow_control=flow, clear_on_resume=True)
    flow.resume()
    queue.put_nowait("drain")
    flow.resume()
    assert queue.empty()


def test_recovery_resumes_the_queues_before_the_consumer() -> None:
    """Our drains begin in `resume_flow`, which must come after the queues were emptied and after `perform_seek`."""
    source = inspect.getsource(recovery.Recovery.on_recovery_completed)
    assert source.index("perform_seek") < source.index("flow_control.resume") < source.index("consumer.resume_flow")


def test_a_time_out_of_recovery_s_wait_looks_like_a_stop() -> None:
    """Without our `_wait` a recovery that takes longer than the request time-out ends in silence."""
    assert "raise ServiceStopped()" in inspect.getsource(recovery.Recovery._wait)
    assert "timeout" not in inspect.getsource(our_recovery.LaneRecovery._wait).partition("await")[2]


def test_building_highwaters_is_recovery_s_first_step() -> None:
    """The producers start there: before any offset is looked at."""
    source = inspect.getsource(recovery.Recovery._restart_recovery.fun)
    assert source.index("_build_highwaters") < source.index("_build_offsets") < source.index("_seek_offsets")


def test_the_table_manager_sleeps_a_second() -> None:
    """A second of every restart; ours does not."""
    assert "await self.sleep(1.0)" in inspect.getsource(manager.TableManager.on_start)


def test_faust_s_consumer_reads_uncommitted_and_waits_long() -> None:
    """Hard-wired, so we make the consumer ourselves."""
    source = inspect.getsource(driver.AIOKafkaConsumerThread._create_worker_consumer)
    assert "fetch_max_wait_ms=1500" in source
    assert 'isolation_level: str = "read_uncommitted"' in source


def test_the_heartbeat_does_not_carry_the_instance_id() -> None:
    """So a member whose id was taken over is told "unknown member" and joins again; ours ends."""
    assert "HeartbeatRequest(self.group_id, self.generation, self.member_id)" in inspect.getsource(
        group_coordinator.GroupCoordinator._do_heartbeat
    )


async def test_the_fetcher_keeps_the_last_stable_offset_and_the_high_watermark() -> None:
    """They tell without a request whether a source is behind."""
    source = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    assert "tp_state.lso = lso" in source
    assert "tp_state.highwater = highwater" in source
    state = subscription_state.TopicPartitionState(None)
    assert (state.lso, state.highwater, state.has_valid_position) == (None, None, False)


def test_the_wait_between_transactions_is_shortened() -> None:
    """Aiokafka waits 20 ms: small transactions would take 25 ms instead of 6."""
    assert sender.BACKOFF_OVERRIDE == 0.002
    assert "return BACKOFF_OVERRIDE" in inspect.getsource(sender.AddPartitionsToTxnHandler.handle_response)


def test_a_batch_takes_its_first_record_whatever_its_size() -> None:
    """A dead letter is larger than our batches: it goes in one of its own."""
    batch = message_accumulator.BatchBuilder(transactions.BATCH_BYTES, 0, is_transactional=1)
    assert batch.append(timestamp=1, key=b"k", value=b"x" * 1_100_000) is not None
    assert batch.append(timestamp=1, key=b"k", value=b"x") is None


def test_an_agent_keeps_every_actor_it_ever_had() -> None:
    """A restarting agent leaks; ours never restarts, the process does."""
    assert "self._actors.add(aref)" in inspect.getsource(agent.Agent._prepare_actor)


async def test_copartitioned_topics_stay_together() -> None:
    """When a worker joins, each partition number moves with all sources and the changelog, or else a lane is torn."""
    settings = Settings(partitions=4)
    older, younger = (ours.WorkerApp(settings, _no_lane, Metrics()) for _ in range(2))
    topics = {*older.lanes.sources.values(), "state"}
    cluster: Any = SimpleNamespace(partitions_for_topic=lambda _: set(range(4)))
    alone = older.assignor.assign(cluster, {"a": older.assignor.metadata(topics)})
    older.assignor.on_assignment(alone["a"])
    members = {"a": older.assignor.metadata(topics), "b": younger.assignor.metadata(topics)}
    for assigned in older.assignor.assign(cluster, members).values():
        assert {topic for topic, _ in assigned.assignment} == topics
        assert len({tuple(partitions) for _, partitions in assigned.assignment}) == 1


def _no_lane(partition: int, states: Any) -> Any:
    raise AssertionError(partition, states)
