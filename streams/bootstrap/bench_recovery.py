"""How fast a worker's states come back: read from the changelog, from checkpoints, and made into lanes again.

Beside them, in turns, a plain aiokafka loop that reads the same changelog and keeps nothing: what comes closest to the
speed that there is to have. States are the engine's own, of simulated borrowers, each given to many.
"""

from __future__ import annotations

import asyncio
import gc
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.topics import STATE
from streams import clock
from streams.agents.checkpoints import CheckpointFiles, Origin
from streams.agents.recovery import FETCH_BYTES, ChangelogReader, Ends
from streams.bootstrap.policy import load_engine
from streams.bootstrap.worker import lane_factory
from streams.engine.drain import LANE_KEY
from streams.history.grown import grow, multiplied
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import create_topics
from streams.local.broker import LocalBroker
from streams.local.loader import load
from streams.settings import load as load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from streams.history.grown import Grown
    from streams.settings import Settings

    Restored = dict[int, dict[bytes, bytes]]

PARTITIONS = 4
LIVES, DAYS = 300, 90
PLAIN = "plain aiokafka, nothing kept"
READ = "changelog read into states"
LANES = "lanes made of the states"
SAVED = "checkpoints written"
LOADED = "checkpoints read into states"


class Size(NamedTuple):
    """What is measured."""

    borrowers: int
    rounds: int


class Took(NamedTuple):
    """One part of one round."""

    what: str
    states: int
    seconds: float
    cpu_seconds: float


class Speed(NamedTuple):
    """The medians of one part."""

    what: str
    states: int
    seconds: float
    a_second: float
    cpu_seconds: float


def measure_recovery(size: Size, say: Callable[[str], None], bootstrap: str | None = None) -> list[Took]:
    """Every part, round by round. Raises Unavailable."""
    with tempfile.TemporaryDirectory(prefix="ews-recovery-") as directory:
        if bootstrap is not None:
            return asyncio.run(_measured(size, bootstrap, Path(directory), say))
        with LocalBroker(Path(directory) / "broker", say=say) as broker:
            return asyncio.run(_measured(size, broker.bootstrap_servers, Path(directory), say))


def speeds(all_took: list[Took]) -> list[Speed]:
    """The medians by part."""
    found = []
    for what in dict.fromkeys(took.what for took in all_took):
        mine = [took for took in all_took if took.what == what]
        seconds = median(took.seconds for took in mine)
        cpu = median(took.cpu_seconds for took in mine)
        found.append(Speed(what, mine[0].states, round(seconds, 3), mine[0].states / seconds, round(cpu, 3)))
    return found


async def _measured(size: Size, bootstrap: str, directory: Path, say: Callable[[str], None]) -> list[Took]:
    prefix = f"recovery-{clock.now_ms()}-"
    settings = load_settings(bootstrap_servers=bootstrap, topic_prefix=prefix, partitions=PARTITIONS, clock="event")
    await create_topics(settings)
    say(f"growing {LIVES} borrowers over {DAYS} days")
    grown = grow(load_engine(None), LIVES, DAYS)
    say(f"writing {size.borrowers} states")
    await load(settings, _states(grown, size.borrowers))
    took: list[Took] = []
    for number in range(1, size.rounds + 1):
        say(f"round {number} of {size.rounds}")
        took += await _round(settings, grown, directory)
    return took


class _State(NamedTuple):
    """A state as the loader takes it."""

    available_ms: int
    topic: Any
    key: bytes
    value: bytes


def _states(grown: Grown, borrowers: int) -> Iterator[_State]:
    now_ms = clock.now_ms()
    states = multiplied(grown, borrowers)
    del states[LANE_KEY]
    return (_State(now_ms, STATE, key, value) for key, value in states.items())


class _Watch:
    """Times the parts of a round."""

    def __init__(self) -> None:
        self.took: list[Took] = []
        self.begin()

    def begin(self) -> None:
        """What was before is no part of it."""
        gc.collect()
        self._wall, self._cpu = clock.monotonic(), time.process_time()

    def end(self, what: str, states: int) -> None:
        """A part is done, and the next one begins."""
        self.took.append(Took(what, states, clock.monotonic() - self._wall, time.process_time() - self._cpu))
        self.begin()


async def _round(settings: Settings, grown: Grown, directory: Path) -> list[Took]:
    watch = _Watch()
    watch.end(PLAIN, await _plain(settings))
    restored, ends, read = await _read(settings, watch)
    watch.end(READ, read)
    files = CheckpointFiles(directory / "checkpoints", "ews")
    origins = {number: Origin("state", "of the benchmark", number) for number in restored}
    watch.begin()
    for number, states in restored.items():
        files.save(origins[number], list(states.items()), ends[number], clock.now_ms())
    watch.end(SAVED, read)
    loaded = [files.load(origin, 0, ends[number], clock.now_ms()) for number, origin in origins.items()]
    watch.end(LOADED, sum(len(one.states) for one in loaded if one is not None))
    del loaded
    _make_lanes(settings, grown, restored, watch)
    watch.end(LANES, read)
    return watch.took


def _make_lanes(settings: Settings, grown: Grown, restored: Restored, watch: _Watch) -> None:
    factory = lane_factory(settings)
    factory(0, {})
    watch.begin()
    lanes = []
    for number, states in restored.items():
        states[LANE_KEY] = grown.head
        lanes.append(factory(number, states))


async def _plain(settings: Settings) -> int:
    consumer: Any = AIOKafkaConsumer(
        **connection(settings),
        isolation_level="read_committed",
        enable_auto_commit=False,
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=FETCH_BYTES,
    )
    await consumer.start()
    try:
        parts = [TopicPartition(topic_name(settings, STATE), number) for number in range(PARTITIONS)]
        consumer.assign(parts)
        await consumer.seek_to_beginning(*parts)
        ends = await consumer.end_offsets(parts)
        counts: Counter[TopicPartition] = Counter()
        while any(counts[part] < ends[part] for part in parts):
            for part, records in (await consumer.getmany(timeout_ms=500)).items():
                counts[part] += len(records)
        return counts.total()
    finally:
        await consumer.stop()


async def _read(settings: Settings, watch: _Watch) -> tuple[Restored, dict[int, int], int]:
    topic = topic_name(settings, STATE)
    ends = Ends(connection(settings), [topic])
    reader = ChangelogReader(connection(settings), topic, ends, lambda *_: None)
    await asyncio.gather(ends.start(), reader.start())
    try:
        watch.begin()
        restored, at = await reader.read(range(PARTITIONS))
        return restored, at, reader.records
    finally:
        await asyncio.gather(ends.stop(), reader.stop())
