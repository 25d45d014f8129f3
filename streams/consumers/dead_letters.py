"""What a consumer does with a record that it cannot read: its bytes go to `dead-letters`, with why and where from.

The send is awaited before the offset moves. A crash in between sends it again: at least once, never none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.deadletters import DeadLetterHeaders
from schemas.topics import DEAD_LETTERS
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord

    from schemas.codec import InvalidEvent
    from streams.metrics import Metrics
    from streams.settings import Settings

log = structlog.get_logger(__name__)

REQUEST_BYTES_MAX = 1_048_588 + 65_536
"""As large as the topic allows: the largest record with room for headers."""


class DeadLetters:
    """A producer to `dead-letters`, for what cannot be read of one topic."""

    def __init__(self, settings: Settings, metrics: Metrics, bare_topic: str) -> None:
        self._settings = settings
        self._metrics = metrics
        self._of = bare_topic
        self._topic = topic_name(settings, DEAD_LETTERS)
        self._producer: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect. Raises Unavailable."""
        producer = AIOKafkaProducer(
            **connection(self._settings), enable_idempotence=True, max_request_size=REQUEST_BYTES_MAX
        )
        try:
            await producer.start()
        except (KafkaError, OSError) as away:
            await producer.stop()
            raise Unavailable(f"Kafka takes no dead letters now ({type(away).__name__})") from away
        self._producer = producer

    async def stop(self) -> None:
        """Let go of the connection; nothing is left in it, since every send was awaited."""
        if self._producer is not None:
            await self._producer.stop()

    async def send(self, record: ConsumerRecord, fault: InvalidEvent) -> None:
        """Write the record's letter and wait until Kafka has it. Raises Unavailable."""
        assert self._producer is not None, "not started"
        headers = DeadLetterHeaders.of(
            fault, topic=self._of, partition=record.partition, offset=record.offset, timestamp=record.timestamp
        )
        try:
            await self._producer.send_and_wait(
                self._topic, record.value, key=record.key, partition=record.partition, headers=headers.to_kafka()
            )
        except (KafkaError, OSError) as away:
            raise Unavailable(f"Kafka takes no dead letters now ({type(away).__name__})") from away
        self._metrics.dead_letters.labels(fault.reason).inc()
        log.warning("dead_letter", reason=fault.reason, detail=fault.detail, offset=record.offset)
