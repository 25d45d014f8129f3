"""A producer with a bounded load: the events of a simulated portfolio, and malformed ones on request.

What a broker's answer is lost of is sent again, as a gateway does; the product sees the same event twice. Whatever was
acknowledged is noted with where it stands, to be looked for in the log.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter, deque
from hashlib import blake2s
from typing import TYPE_CHECKING, NamedTuple

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.events import Topic
from schemas.topics import partition_of
from streams import clock
from tests.chaos.system import PARTITIONS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from random import Random

    from streams.history.files import FileEvent
    from streams.settings import Settings

PAUSE_SECONDS = 0.1
CHUNK_MAX = 400
"""So many records are under way at most."""
REQUEST_SECONDS_MAX = 15


class Message(NamedTuple):
    """A record to be sent."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    at_ms: int | None
    bad: bool = False


def digest(value: bytes | None) -> bytes:
    """What is kept of a value to know it again."""
    return blake2s(value or b"", digest_size=8).digest()


class Load:
    """Sends at a rate. One chunk is under way at a time, so a cluster that does not answer is not flooded."""

    def __init__(self, settings: Settings, events: Iterator[FileEvent], rate: int) -> None:
        self._settings = settings
        self._events = events
        self._rate = rate
        self._urgent: deque[Message] = deque()
        self._producer: AIOKafkaProducer | None = None
        self.acknowledged: dict[tuple[str, int, int], bytes] = {}
        self.bad: set[tuple[str, int, int]] = set()
        self.again = 0
        """Records whose fate was not known, so that they were sent again."""
        self.by_topic: Counter[str] = Counter()
        self.dry = False
        """Whether the portfolio was at its end before the load was to end."""
        self._stamp: int | None = None
        self._stopping = False

    async def run(self) -> None:
        """Send until it is told to stop."""
        began, sent = clock.monotonic(), 0
        while not self._stopping:
            due = min(CHUNK_MAX, int((clock.monotonic() - began) * self._rate) - sent)
            chunk = self._next(due)
            if not chunk:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            sent += sum(not message.bad for message in chunk)
            while chunk:
                chunk = await self._sent(chunk)
            if due == CHUNK_MAX:  # What was missed while nothing could be sent is not made up for.
                began, sent = clock.monotonic(), 0
        await self._close()

    def stop(self) -> None:
        """End when what is under way has arrived."""
        self._stopping = True

    async def poison(self, dice: Random, count: int, *, in_a_row: bool) -> None:
        """Put so many malformed records in, spread over everything or all into one partition, and wait for them."""
        before = len(self.bad)
        topic, partition = dice.choice(_TOPICS), dice.randrange(PARTITIONS)
        stamp = self._stamp
        for number in range(count):
            if not in_a_row:
                topic, partition = dice.choice(_TOPICS), dice.randrange(PARTITIONS)
            self._urgent.append(_malformed(dice, topic, partition, f"{before}-{number}", stamp))
        while missing := before + count - len(self.bad):
            await asyncio.sleep(PAUSE_SECONDS)
            assert missing >= 0

    def _next(self, due: int) -> list[Message]:
        if self._urgent:  # By themselves: a good one between them would end the row.
            return [self._urgent.popleft() for _ in range(min(CHUNK_MAX, len(self._urgent)))]
        found = []
        for event in self._events if due > 0 else ():
            found.append(self._message(event))
            if len(found) >= due:
                return found
        self.dry = self.dry or due > 0
        return found

    def _message(self, event: FileEvent) -> Message:
        at_ms = event.available_ms if self._settings.clock == "event" else None
        self._stamp = at_ms
        partition = 0 if event.topic == Topic.FEEDS else partition_of(event.key or b"", PARTITIONS)
        return Message(str(event.topic), partition, event.key, event.value, at_ms)

    async def _sent(self, chunk: list[Message]) -> list[Message]:
        """Send; those of which it is not known that they arrived."""
        try:
            producer = await self._open()
            flying = [
                await producer.send(m.topic, m.value, key=m.key, partition=m.partition, timestamp_ms=m.at_ms)
                for m in chunk
            ]
            answers = await asyncio.gather(*flying, return_exceptions=True)
        except (KafkaError, OSError):
            answers = []
        lost = []
        for number, message in enumerate(chunk):
            answer = answers[number] if number < len(answers) else None
            if answer is None or isinstance(answer, BaseException):
                lost.append(message)
            else:
                self._note(message, answer.offset)
        if lost:
            self.again += len(lost)
            await self._close()
            await asyncio.sleep(PAUSE_SECONDS)
        return lost

    def _note(self, message: Message, offset: int) -> None:
        place = message.topic, message.partition, offset
        self.acknowledged[place] = digest(message.value)
        self.by_topic[message.topic] += 1
        if message.bad:
            self.bad.add(place)

    async def _open(self) -> AIOKafkaProducer:
        if self._producer is None:
            producer = AIOKafkaProducer(
                bootstrap_servers=self._settings.bootstrap_servers,
                enable_idempotence=True,
                request_timeout_ms=REQUEST_SECONDS_MAX * 1000,
            )
            try:
                await producer.start()
            except BaseException:
                await producer.stop()
                raise
            self._producer = producer
        return self._producer

    async def _close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(5):
                    await producer.stop()


_TOPICS = (str(Topic.REPAYMENTS), str(Topic.TRANSACTIONS), str(Topic.BUREAU))


def _malformed(dice: Random, topic: str, partition: int, name: str, at_ms: int | None) -> Message:
    """One of several ways to be no event; each is distinct."""
    whole = {
        "specversion": "1.0",
        "id": f"bad-{name}",
        "source": "chaos/poison",
        "type": "ews.repayment.received.v1",
        "subject": "b-poison",
        "time": "2025-03-01T00:00:00Z",
        "data": {"loan_id": "x", "amount_minor": "a lot"},
    }
    value = dice.choice(
        (
            orjson.dumps(whole),
            orjson.dumps(whole)[:-9],
            orjson.dumps(whole | {"type": f"ews.repayment.imagined.v{dice.randrange(9)}"}),
            orjson.dumps({key: whole[key] for key in ("id", "type", "specversion")}),
            orjson.dumps(whole).replace(b"chaos", b"cha\xffs"),
        )
    )
    return Message(topic, partition, b"b-poison", value, at_ms, bad=True)
