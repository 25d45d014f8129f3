from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, ProducerFenced
from aiokafka.producer.message_accumulator import BatchBuilder

from streams.agents import transactions
from streams.agents.exits import Exit
from streams.agents.stage import BORROWERS, PORTFOLIO, Stage
from streams.agents.transactions import LaneProducer
from streams.engine.drain import DeadLetter, Effects, Outbound


class Left(BaseException):
    """Stands for the end of the process."""


FIRST_OFFSET = 40
"""Where the fake's log puts the first record of every batch."""


class FakeProducer:
    """Notes what is asked of it, in order, and fails where it is told to."""

    def __init__(self, *, refuse: BaseException | None = None, hang: bool = False) -> None:
        self.calls: list[Any] = []
        self.refuse = refuse
        self.hang = hang

    def create_batch(self) -> BatchBuilder:
        """A batch as the real one makes it."""
        return BatchBuilder(transactions.BATCH_BYTES, 0, is_transactional=1)

    async def begin_transaction(self) -> None:
        """Notes it."""
        self.calls.append("begin")

    async def send_batch(self, batch: BatchBuilder, topic: str, *, partition: int) -> asyncio.Future[Any]:
        """Notes it; the delivery comes later."""
        self.calls.append((topic, partition, batch.record_count()))
        delivered: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self.refuse is not None:
            delivered.set_exception(self.refuse)
        elif not self.hang:
            asyncio.get_running_loop().call_later(0.01, delivered.set_result, SimpleNamespace(offset=FIRST_OFFSET))
            delivered.add_done_callback(lambda _: self.calls.append(f"delivered {topic}"))
        return delivered

    async def send_offsets_to_transaction(self, offsets: dict[TopicPartition, int], group: str) -> None:
        """Notes it."""
        self.calls.append((offsets, group))

    async def commit_transaction(self) -> None:
        """Notes it."""
        self.calls.append("commit")


@pytest.fixture
def left(monkeypatch: pytest.MonkeyPatch) -> list[Exit]:
    """The exit codes that the process would have ended with."""
    codes: list[Exit] = []

    def leave(code: Exit, *_: Any, **__: Any) -> None:
        codes.append(code)
        raise Left

    def leave_on(_: BaseException, code: Exit = Exit.CRASHED) -> None:
        leave(code)

    monkeypatch.setattr(transactions, "leave", leave)
    monkeypatch.setattr(transactions, "leave_on", leave_on)
    return codes


def lane_producer(fake: FakeProducer, stage: Stage = BORROWERS) -> LaneProducer:
    """A lane's producer on a fake one."""
    producer = LaneProducer({}, group="app", partition=3, topic=lambda name: f"x-{name}", agent="lanes", stage=stage)
    producer._producer = fake
    return producer


EFFECTS = Effects(alerts=[(b"k", b"a")], states={b"k": b"1", b"gone": None}, order=b"{}")


async def test_offsets_go_when_all_is_delivered_and_the_commit_last() -> None:
    """Every delivery is awaited before the offsets: aiokafka commits a transaction of which a part was refused."""
    fake = FakeProducer()
    assert await lane_producer(fake).commit(EFFECTS, {"repayments": 7}) == 4
    assert fake.calls[0] == "begin"
    assert {("x-order", 3, 1), ("x-alerts", 3, 1), ("x-state", 3, 2)} == set(fake.calls[1:4])
    assert {"delivered x-order", "delivered x-alerts", "delivered x-state"} == set(fake.calls[4:7])
    assert fake.calls[7:] == [({TopicPartition("x-repayments", 3): 7}, "app"), "commit"]


async def test_the_changelog_s_next_offset_is_known_once_it_is_committed() -> None:
    """A checkpoint says with it which records its states hold: those of a transaction under way are not among them."""
    fake = FakeProducer()
    producer = lane_producer(fake)
    committing = asyncio.create_task(producer.commit(EFFECTS, {"repayments": 7}))
    while "commit" not in fake.calls:
        assert producer.changelog_next is None
        await asyncio.sleep(0)
    await committing
    assert FIRST_OFFSET + len(EFFECTS.states) == producer.changelog_next


async def test_what_other_lanes_are_told_goes_in_the_same_transaction_to_their_partitions() -> None:
    """By topic and partition in one batch each, beside the stage's own states and order."""
    fake = FakeProducer()
    told = [Outbound("cohorts", 0, b"c", b"1"), Outbound("cohorts", 5, b"d", b"2"), Outbound("cohorts", 0, b"c", b"3")]
    assert await lane_producer(fake).commit(Effects(order=b"{}", outbound=told), {"repayments": 7}) == 4
    assert [("x-order", 3, 1), ("x-cohorts", 0, 2), ("x-cohorts", 5, 1)] == fake.calls[1:4]
    assert fake.calls.index("commit") > max(fake.calls.index(f"delivered x-{name}") for name in ("order", "cohorts"))


async def test_a_stage_writes_its_own_changelog_and_order() -> None:
    """The second stage's states are not those of borrowers."""
    fake = FakeProducer()
    await lane_producer(fake, PORTFOLIO).commit(Effects(order=b"{}", states={b"c:x": b"1"}), {})
    assert {("x-portfolio-order", 3, 1), ("x-portfolio-state", 3, 1)} == set(fake.calls[1:3])


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (MessageSizeTooLargeError(), Exit.TRANSACTION_FAILED),
        (KafkaError(), Exit.TRANSACTION_FAILED),
        (ProducerFenced(), Exit.FENCED),
    ],
)
async def test_a_refused_produce_ends_the_process(left: list[Exit], refusal: BaseException, code: Exit) -> None:
    """Nothing goes on after a failed delivery, and the commit is not sent."""
    fake = FakeProducer(refuse=refusal)
    with pytest.raises(Left):
        await lane_producer(fake).commit(EFFECTS, {"repayments": 7})
    assert left == [code]
    assert "commit" not in fake.calls


async def test_one_deadline_bounds_the_transaction(left: list[Exit], monkeypatch: pytest.MonkeyPatch) -> None:
    """A transaction that hangs ends the process: aiokafka would retry for ever."""
    monkeypatch.setattr(transactions, "DEADLINE_SECONDS", 0.05)
    fake = FakeProducer(hang=True)
    with pytest.raises(Left):
        await lane_producer(fake).commit(EFFECTS, {})
    assert left == [Exit.TRANSACTION_DEADLINE]


def test_the_deadline_is_below_the_broker_s() -> None:
    """Past the broker's time-out it aborts in silence what we would take for committed."""
    assert transactions.DEADLINE_SECONDS * 1000 < transactions.TRANSACTION_TIMEOUT_MS


@pytest.mark.parametrize("size", [transactions.RECORD_BYTES_MAX, 3_000_000])
async def test_sizes_are_checked_before_sending(left: list[Exit], size: int) -> None:
    """A record that its topic would refuse ends the process before anything is sent."""
    fake = FakeProducer()
    with pytest.raises(Left):
        await lane_producer(fake).commit(Effects(alerts=[(b"k", b"x" * size)]), {})
    assert left == [Exit.RECORD_TOO_LARGE]
    assert fake.calls == []


async def test_a_dead_letter_may_be_as_large_as_the_largest_event() -> None:
    """The raw bytes of an event at the sources' limit fit into its dead letter, with the headers."""
    fake = FakeProducer()
    letter = DeadLetter(b"k", b"x" * 1_048_000, [("reason", b"too_large"), ("detail", b"y" * 500)])
    assert await lane_producer(fake).commit(Effects(dead_letters=[letter]), {}) == 1


async def test_many_records_are_spread_over_batches() -> None:
    """States beyond the size of a batch go in several, in order, and none is lost at the seam."""
    fake = FakeProducer()
    states: dict[bytes, bytes | None] = {b"%d" % n: b"x" * 1_000 for n in range(2_000)}
    assert await lane_producer(fake).commit(Effects(states=states), {}) == 2_000
    assert sum(call[2] for call in fake.calls if isinstance(call, tuple) and call[0] == "x-state") == 2_000
