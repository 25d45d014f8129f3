"""Sending dead letters back to where they came from: original key and bytes, each once unless asked for again.

A record and the mark that it was sent back are written in one transaction, so that a requeue that is killed neither
loses a letter nor doubles one when it is started again. The transactional id is fixed: of two requeues at once the
later one goes on and the earlier one ends.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTimestampError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from schemas.topics import DEAD_LETTERS, LAYOUTS, partition_of
from streams import clock
from streams.errors import Rejected, Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import NOT_ALLOWED, refusal
from streams.kafka.letters import REQUEUED, RETURNABLE, letters, marks
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence

    from aiokafka.producer.message_accumulator import BatchBuilder

    from streams.kafka.letters import Choice, Letter
    from streams.settings import Settings

COUNT = "requeued-count"
"""The header that says how often a record was sent back, this time included."""
TOGETHER_MAX = 500
TOGETHER_BYTES_MAX = 8 * 2**20
"""So much goes back in one transaction, and is held in memory."""
REQUEST_BYTES_MAX = int(LAYOUTS[DEAD_LETTERS].config["max.message.bytes"])


@dataclass(frozen=True, slots=True)
class Return:
    """A letter, the partition of its topic that it goes to, and the how manieth time this is."""

    letter: Letter
    partition: int
    count: int


Record = tuple[int, bytes | None, bytes | None, list[tuple[str, bytes]]]


@dataclass(slots=True)
class Requeued:
    """What a requeue did, or (a dry run) would do."""

    sent: Counter[str] = field(default_factory=Counter)
    """Letters by the topic that they went back to."""
    before: int = 0
    """Letters left alone because they were sent back already."""
    not_ours: int = 0
    """Letters left alone because nothing is sent back to their topic."""
    restamped: int = 0
    """Letters that got the present as their timestamp, because Kafka takes none that lies ahead."""


async def requeue(
    settings: Settings,
    choice: Choice,
    *,
    again: bool = False,
    dry_run: bool = False,
    on_return: Callable[[Return], None] | None = None,
) -> Requeued:
    """Send the letters that are meant back to their topics. `again` includes those that were sent back before.

    `on_return` hears of each when Kafka has it. Raises Unavailable and Misconfigured; Rejected if there is no letter of
    the place, if Kafka refuses a record for good, or if another requeue was started meanwhile.
    """
    done = Requeued()
    counts = await partition_counts(settings, RETURNABLE)
    async with contextlib.AsyncExitStack() as stack:
        # Before the marks are read: whoever wrote some is fenced by now, and what it left open is aborted.
        send = _pretend if dry_run else (await stack.enter_async_context(_sender(settings))).send
        returns = await stack.enter_async_context(
            contextlib.aclosing(_returns(settings, choice, done, counts, again=again))
        )
        async for together in _together(returns):
            done.restamped += await send(together)
            for one in together:
                done.sent[one.letter.headers.topic] += 1
                if on_return is not None:
                    on_return(one)
    return done


async def _returns(
    settings: Settings, choice: Choice, done: Requeued, counts: dict[str, int], *, again: bool
) -> AsyncGenerator[Return]:
    times = await marks(settings)
    here, found = set(), False
    async with contextlib.aclosing(letters(settings, choice)) as chosen:
        async for letter in chosen:
            found = True
            place = letter.source
            if place.topic not in counts:
                done.not_ours += 1
            elif place in here or (times[place] and not again):
                done.before += 1
            else:
                here.add(place)
                partition = partition_of(letter.key, counts[place.topic]) if letter.key else place.partition
                yield Return(letter, partition % counts[place.topic], times[place] + 1)
    if choice.place is not None and not found:
        raise Rejected(f"there is no dead letter of {choice.place}: look at `ews dead-letters list`")


async def _together(returns: AsyncIterator[Return]) -> AsyncIterator[list[Return]]:
    held: list[Return] = []
    size = 0
    async for one in returns:
        held.append(one)
        size += one.letter.size
        if len(held) >= TOGETHER_MAX or size >= TOGETHER_BYTES_MAX:
            yield held
            held, size = [], 0
    if held:
        yield held


async def _pretend(together: Sequence[Return]) -> int:
    return sum(_stamp(one.letter) is None for one in together)


def _stamp(letter: Letter) -> int | None:
    """The record's own timestamp if it had one that lies in the past; Kafka refuses those ahead."""
    own = letter.headers.timestamp
    return own if 0 <= own <= clock.now_ms() else None


@contextlib.asynccontextmanager
async def _sender(settings: Settings) -> AsyncIterator[_Sender]:
    prefix = settings.topic_prefix.strip("._-")
    producer = AIOKafkaProducer(
        **connection(settings),
        transactional_id="-".join(part for part in (settings.app, prefix, "requeue") if part),
        max_request_size=REQUEST_BYTES_MAX,
    )
    try:
        with _answering():
            await producer.start()
        yield _Sender(settings, producer)
    finally:
        await producer.stop()


class _Sender:
    """Sends letters back, a transaction for some of them together."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings = settings
        self._producer = producer

    async def send(self, together: Sequence[Return]) -> int:
        """Write the records and their marks. How many got the present as their timestamp."""
        with _answering():
            try:
                return await self._send(together, own_stamps=True)
            except InvalidTimestampError:  # A topic may be set to refuse old ones too.
                return await self._send(together, own_stamps=False)

    async def _send(self, together: Sequence[Return], *, own_stamps: bool) -> int:
        now_ms = clock.now_ms()
        stamps = [_stamp(one.letter) if own_stamps else None for one in together]
        async with self._producer.transaction():
            batches = [
                (topic, partition, batch)
                for (topic, partition), records in _by_partition(together, stamps, now_ms).items()
                for batch in self._batches(records)
            ]
            delivered = [await self._deliver(*batch) for batch in batches]
            # A failed send does not fail the transaction: without this the record is gone and the mark is there.
            await asyncio.gather(*delivered)
        return stamps.count(None)

    async def _deliver(self, bare: str, partition: int, batch: BatchBuilder) -> Any:
        topic = topic_name(self._settings, bare)
        await self._producer.partitions_for(topic)
        return await self._producer.send_batch(batch, topic, partition=partition)

    def _batches(self, records: Sequence[Record]) -> list[BatchBuilder]:
        """Batches, since `send` takes no record without key and value, and there are such letters and marks."""
        batches: list[BatchBuilder] = []
        for stamp, key, value, headers in records:
            if not batches or batches[-1].append(timestamp=stamp, key=key, value=value, headers=headers) is None:
                batches.append(self._producer.create_batch())
                batches[-1].append(timestamp=stamp, key=key, value=value, headers=headers)
        return batches


def _by_partition(
    together: Sequence[Return], stamps: Sequence[int | None], now_ms: int
) -> dict[tuple[str, int], list[Record]]:
    """The records and their marks, by the topic and partition that they go to."""
    found: dict[tuple[str, int], list[Record]] = {}
    for one, stamp in zip(together, stamps, strict=True):
        letter, headers = one.letter, _headers(one)
        record = (now_ms if stamp is None else stamp, letter.key, letter.value, headers)
        found.setdefault((letter.headers.topic, one.partition), []).append(record)
        found.setdefault((DEAD_LETTERS, letter.at.partition), []).append((now_ms, None, None, headers))
    return found


def _headers(one: Return) -> list[tuple[str, bytes]]:
    return [(REQUEUED, str(one.letter.source).encode()), (COUNT, str(one.count).encode())]


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except (ProducerFenced, InvalidProducerEpoch) as fenced:
        raise Rejected("another requeue was started meanwhile: that one goes on, this one ends here") from fenced
    except (MessageSizeTooLargeError, RecordListTooLargeError) as large:
        raise Rejected("Kafka refuses a letter as too large for its topic: nothing of these was sent") from large
    except NOT_ALLOWED as refused:
        raise refusal(refused) from refused
    except (KafkaError, OSError) as away:
        raise Unavailable(f"Kafka does not take the letters ({type(away).__name__}): start again") from away
