"""What the parts of an event's way cost: `pytest -m benchmark tests/benchmarks`."""

from __future__ import annotations

from itertools import count, islice
from typing import TYPE_CHECKING

import pytest

from schemas.codec import InvalidEvent
from streams.bootstrap.policy import load_engine
from streams.engine.borrower import restore, snapshot
from streams.engine.drain import Inbox
from streams.engine.lane import Lane, read
from streams.history.files import read_events
from streams.history.grown import SETTINGS, Grown, copies_of_day, grow, multiplied
from streams.history.replay import FileRecord, Sink, replay
from streams.history.simulator import Plan, simulate

if TYPE_CHECKING:
    from pathlib import Path

    from pytest_benchmark.fixture import BenchmarkFixture

    from streams.engine.engine import Engine

pytestmark = pytest.mark.benchmark

LIVES, COPIES = 100, 2_000


@pytest.fixture(scope="module")
def engine() -> Engine:
    """All detectors."""
    return load_engine(None)


@pytest.fixture(scope="module")
def grown(engine: Engine) -> Grown:
    """A hundred borrowers after 90 days."""
    return grow(engine, LIVES, 90)


def test_decode(benchmark: BenchmarkFixture, grown: Grown) -> None:
    """Bytes to a checked event: a day's events, one after the other."""
    values = [event.value for event in grown.day]
    decoded = benchmark(lambda: [read(value) for value in values])
    assert not any(isinstance(event, InvalidEvent) for event in decoded)


def test_restore_and_snapshot(benchmark: BenchmarkFixture, grown: Grown) -> None:
    """A state of 90 days into objects and back."""
    values = list(grown.states.values())
    assert values == benchmark(lambda: [snapshot(restore(value)) for value in values])


def test_one_event_through_the_engine(benchmark: BenchmarkFixture, engine: Engine, grown: Grown) -> None:
    """A drain of one record, all detectors, the state's bytes included; each round another borrower's or turn's."""
    lane = Lane(engine, SETTINGS, multiplied(grown, COPIES))
    events = (event for turn in count() for event in copies_of_day(grown, COPIES, turn))
    ahead = iter(list(islice(events, LIVES * 15)))
    numbers = count(1)

    def one() -> Inbox:
        event = next(ahead)
        offset = lane.positions.get(event.topic, 0)
        record = FileRecord(offset, grown.now_ms + next(numbers), event.borrower, event.value)
        return Inbox({event.topic: [record]}, frozenset(), None)

    def drained(inbox: Inbox) -> None:
        effects = lane.drain(inbox)
        assert effects is not None
        lane.committed(effects)

    benchmark.pedantic(drained, setup=lambda: ((one(),), {}), rounds=1_000)


def test_replay(benchmark: BenchmarkFixture, engine: Engine, tmp_path: Path) -> None:
    """A file of 40 borrowers over 60 days, ticks included."""
    file = tmp_path / "events.jsonl"
    simulate(Plan(borrowers=40, days=60, seed=3), file, None)
    events = list(read_events([file]))
    sink = Sink(lambda _: None, lambda _: None, lambda _lines, _now_ms: None)
    done = benchmark.pedantic(lambda: replay(engine, events, sink), rounds=3)
    assert done.events["transactions.applied"] > len(events) / 4
