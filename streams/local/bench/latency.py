"""How long an alert takes: events at a steady rate in, committed alerts out, by one clock.

An event counts from the instant at which it was due to be sent, whether or not the producer was on time, until a
read_committed consumer holds its alert. So a system that stalls is not spared by a producer that stalls with it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer

from schemas.topics import partition_of
from streams import clock
from streams.errors import Unavailable
from streams.kafka.connection import connection
from streams.local import reference
from streams.local.bench import oracle
from streams.local.bench.figures import Verdict, quantile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from streams.local.bench.ground import Ground

TICK_SECONDS = 0.01
"""Events are due in groups, a hundred groups a second."""
PROBE_SECONDS = 0.25
UP_SECONDS_MAX = 120.0
TAIL_SECONDS = 10.0
"""How long the last alerts may take before they count as missing."""
PROBE = "probe"
MILLI = 1_000.0


class Pace(NamedTuple):
    """A rate, and for how long it is kept. What falls into the warm-up is not counted."""

    rate: float
    seconds: float
    warm_seconds: float

    @property
    def events(self) -> int:
        """All events of it."""
        return int(self.rate * (self.warm_seconds + self.seconds))


class Latency(NamedTuple):
    """What was measured at one pace."""

    variant: str
    rate: float
    alerts: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    producer_late_p99_ms: float
    """How late the producer itself was: a machine that is too busy to keep the pace shows here."""
    verdict: Verdict


@dataclass
class Watch:
    """When each event was due, and when its alert came."""

    pace: Pace
    expected: int
    origin: float = 0.0
    up: asyncio.Event = field(default_factory=asyncio.Event)
    through: asyncio.Event = field(default_factory=asyncio.Event)
    """As many alerts came as are expected."""
    took_ms: list[float] = field(default_factory=list)
    values: list[bytes] = field(default_factory=list)

    def due(self, number: int) -> float:
        """The instant at which an event is sent: the next tick after its own."""
        return self.origin + (int(number / self.pace.rate / TICK_SECONDS) + 1) * TICK_SECONDS

    def heard(self, value: bytes, at: float) -> None:
        """An alert is in the consumer's hands."""
        event = orjson.loads(value)["event"]
        if event.startswith(PROBE):
            self.up.set()
            return
        self.values.append(value)
        if len(self.values) >= self.expected:
            self.through.set()
        due = self.due(int(event[1:]))
        if due >= self.origin + self.pace.warm_seconds:
            self.took_ms.append((at - due) * MILLI)


async def measured(
    ground: Ground, variant: str, pace: Pace, borrowers: int, require_running: Callable[[], None]
) -> Latency:
    """Paces a variant that runs on these topics. Raises Unavailable if it does not come up or ends."""
    events = list(reference.events(borrowers, pace.events))
    wanted = oracle.expected(events)
    watch = Watch(pace, len(wanted))
    async with _listening(ground, watch), _producer(ground) as producer:
        sender = Sender(producer, ground)
        await _until_up(sender, watch, require_running)
        late = await _paced(sender, watch, events)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch.through.wait(), TAIL_SECONDS)
    require_running()
    verdict = oracle.compare(wanted, oracle.told(watch.values))
    if not watch.took_ms:
        raise Unavailable(f"{variant}: no alert came at {pace.rate:,.0f} events a second")
    return summary(variant, pace, watch.took_ms, late, verdict)


def summary(variant: str, pace: Pace, took_ms: Sequence[float], late: Sequence[float], verdict: Verdict) -> Latency:
    """The quantiles of one pace."""
    return Latency(
        variant,
        pace.rate,
        len(took_ms),
        quantile(took_ms, 0.5),
        quantile(took_ms, 0.99),
        max(took_ms),
        quantile(late, 0.99) * MILLI,
        verdict,
    )


class Sender:
    """Fills a batch for each partition and sends all at once, as a producer with a short linger does."""

    def __init__(self, producer: AIOKafkaProducer, ground: Ground) -> None:
        self._producer = producer
        self._prefix = ground.prefix
        self._partitions = ground.settings.partitions
        self._flying: set[asyncio.Future[Any]] = set()

    async def send(self, events: Sequence[tuple[str, str, bytes]]) -> None:
        """Returns when they are on their way. A write that fails is raised with a later call."""
        for place, records in self._placed(events).items():
            batch = self._producer.create_batch()
            for key, value in records:
                if batch.append(timestamp=None, key=key, value=value) is None:
                    await self._fly(batch, place)
                    batch = self._producer.create_batch()
                    batch.append(timestamp=None, key=key, value=value)
            await self._fly(batch, place)
        for done in [future for future in self._flying if future.done()]:
            self._flying.remove(done)
            done.result()

    def _placed(self, events: Sequence[tuple[str, str, bytes]]) -> dict[tuple[str, int], list[tuple[bytes, bytes]]]:
        placed: dict[tuple[str, int], list[tuple[bytes, bytes]]] = defaultdict(list)
        for topic, borrower, value in events:
            key = borrower.encode()
            placed[self._prefix + topic, partition_of(key, self._partitions)].append((key, value))
        return placed

    async def _fly(self, batch: Any, place: tuple[str, int]) -> None:
        self._flying.add(await self._producer.send_batch(batch, place[0], partition=place[1]))


async def _until_up(sender: Sender, watch: Watch, require_running: Callable[[], None]) -> None:
    """Sends one borrower's missed repayments until an alert of it comes."""
    deadline = clock.monotonic() + UP_SECONDS_MAX
    number = 0
    while not watch.up.is_set():
        require_running()
        if clock.monotonic() > deadline:
            raise Unavailable(f"no alert came for {UP_SECONDS_MAX:.0f} s")
        await sender.send([_probe(number)])
        number += 1
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(watch.up.wait(), PROBE_SECONDS)


def _probe(number: int) -> tuple[str, str, bytes]:
    event = {
        "event_id": f"{PROBE}{number}", "borrower_id": PROBE, "occurred_at": reference.FIRST_AT, "kind": "repayment",
        "due": 1_000.0, "paid": 0.0,
    }  # fmt: skip
    return "repayments", PROBE, orjson.dumps(event)


async def _paced(sender: Sender, watch: Watch, events: Sequence[tuple[str, str, bytes]]) -> list[float]:
    """Sends each event when it is due; how many seconds each group was late."""
    late: list[float] = []
    watch.origin = clock.monotonic()
    sent = tick = 0
    while sent < len(events):
        tick += 1
        due = watch.origin + tick * TICK_SECONDS
        await asyncio.sleep(max(0.0, due - clock.monotonic()))
        late.append(max(0.0, clock.monotonic() - due))
        until = sent
        while until < len(events) and watch.due(until) <= due + TICK_SECONDS / 2:
            until += 1
        await sender.send(events[sent:until])
        sent = until
    return late


@contextlib.asynccontextmanager
async def _listening(ground: Ground, watch: Watch) -> AsyncIterator[None]:
    async with ground.reader() as reader:

        async def listen() -> None:
            while True:
                for records in (await reader.getmany(timeout_ms=1_000)).values():
                    at = clock.monotonic()
                    for record in records:
                        watch.heard(record.value, at)

        task = asyncio.create_task(listen())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])


@contextlib.asynccontextmanager
async def _producer(ground: Ground) -> AsyncIterator[AIOKafkaProducer]:
    producer = AIOKafkaProducer(**connection(ground.settings), enable_idempotence=True, max_batch_size=2**19)
    try:
        await producer.start()
        yield producer
    finally:
        await producer.stop()
