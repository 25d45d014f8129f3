"""The dead letters as they stand, read with a filter. Their bytes may hold a person, so nothing here logs them.

What was sent back (`streams.kafka.requeue`) left a mark beside its letter: a record without key and value whose header
`requeued` names the place of the refused record.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple, Self

from schemas.codec import InvalidEvent, Reason
from schemas.deadletters import DeadLetterHeaders
from schemas.events import Topic
from schemas.topics import DEAD_LETTERS, LAYOUTS, SOURCES
from streams.errors import Misconfigured
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable

    from aiokafka import ConsumerRecord

    from streams.settings import Settings

REQUEUED = "requeued"
"""The header of a record that was sent back, and of the mark beside its letter: where the refused record stood."""
RETURNABLE = (*SOURCES, Topic.FEEDS)
"""The topics that letters are sent back to. An alert that a subscriber refused stands in `alerts` for all others."""


class Place(NamedTuple):
    """A record's place: the topic's bare name, partition, offset."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The place that TOPIC/PARTITION/OFFSET names. Raises Misconfigured."""
        topic, _, numbers = text.partition("/")
        partition, _, offset = numbers.partition("/")
        if topic not in LAYOUTS or not (partition + offset).isascii() or not (partition.isdigit() and offset.isdigit()):
            raise Misconfigured(
                f"{text!r} is no place of a record: write TOPIC/PARTITION/OFFSET, such as repayments/3/17"
            )
        return cls(topic, int(partition), int(offset))


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: why, where the record stood, and the record's own key and bytes."""

    headers: DeadLetterHeaders
    at: Place
    """Where the letter itself stands."""
    written_at: datetime
    key: bytes | None = field(repr=False)
    value: bytes | None = field(repr=False)

    @property
    def source(self) -> Place:
        """Where the refused record stood."""
        return Place(self.headers.topic, self.headers.partition, self.headers.offset)

    @property
    def size(self) -> int:
        """Bytes of key and value."""
        return len(self.key or b"") + len(self.value or b"")


@dataclass(frozen=True, slots=True)
class Choice:
    """Which letters are meant. None stands for all."""

    topic: str | None = None
    reason: Reason | None = None
    place: Place | None = None

    def takes(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        return (
            (self.topic is None or letter.headers.topic == self.topic)
            and (self.reason is None or letter.headers.reason == self.reason)
            and (self.place is None or letter.source == self.place)
        )


def parse_reason(text: str) -> Reason:
    """The reason of that name. Raises Misconfigured."""
    try:
        return Reason(text)
    except ValueError:
        raise Misconfigured(f"no dead letter has the reason {text!r}; there are {', '.join(Reason)}") from None


def parse_topic(text: str) -> str:
    """The topic of that bare name. Raises Misconfigured."""
    if text not in LAYOUTS:
        raise Misconfigured(f"there is no topic {text!r}; letters come from {', '.join(RETURNABLE)} and alerts")
    return text


async def letters(settings: Settings, choice: Choice) -> AsyncGenerator[Letter]:
    """The letters that are meant, a partition after the other. Raises Unavailable, Misconfigured."""
    async with aclosing(_records(settings)) as records:
        async for record in records:
            letter = _letter(record)
            if letter is not None and choice.takes(letter):
                yield letter


async def marks(settings: Settings) -> Counter[Place]:
    """How often the record of each place was sent back. Raises Unavailable, Misconfigured."""
    times: Counter[Place] = Counter()
    async for record in _records(settings):
        if (place := _mark(record.headers)) is not None:
            times[place] += 1
    return times


async def _records(settings: Settings) -> AsyncGenerator[ConsumerRecord]:
    counts = await partition_counts(settings, [DEAD_LETTERS])
    async with reading(settings, DEAD_LETTERS) as reader:
        for number in range(counts[DEAD_LETTERS]):
            async for record in (await reader.open(number)).records():
                yield record


def _letter(record: ConsumerRecord) -> Letter | None:
    """The letter in a record; None for a mark, and for what somebody else wrote there."""
    try:
        headers = DeadLetterHeaders.from_kafka(record.headers)
    except InvalidEvent:
        return None
    written = datetime.fromtimestamp(record.timestamp / 1000, UTC)
    return Letter(headers, Place(DEAD_LETTERS, record.partition, record.offset), written, record.key, record.value)


def _mark(headers: Iterable[tuple[str, bytes | None]]) -> Place | None:
    value = next((value for name, value in headers if name == REQUEUED), None)
    try:
        return None if value is None else Place.parse(value.decode())
    except (Misconfigured, UnicodeDecodeError):
        return None
