"""Writing single records to a topic from a command: each acknowledged by every copy in sync, none twice."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.topics import partition_of
from streams.errors import Rejected, Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import NOT_ALLOWED, refusal
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.settings import Settings


async def write(settings: Settings, bare: str, records: Sequence[tuple[str, bytes]]) -> list[str]:
    """Write values with their keys to a keyed topic; where each stands then (topic/partition/offset).

    Raises Misconfigured if there is no such topic, Rejected if Kafka refuses a record for good, or Unavailable.
    """
    count = (await partition_counts(settings, [bare]))[bare]
    producer = AIOKafkaProducer(**connection(settings), enable_idempotence=True)
    try:
        await producer.start()
        places = []
        for key, value in records:
            raw = key.encode()
            sent = await producer.send_and_wait(
                topic_name(settings, bare), value, key=raw, partition=partition_of(raw, count)
            )
            places.append(f"{bare}/{sent.partition}/{sent.offset}")
    except MessageSizeTooLargeError as large:
        raise Rejected(f"Kafka refuses the record as too large for {bare}") from large
    except NOT_ALLOWED as refused:
        raise refusal(refused) from refused
    except (KafkaError, OSError) as away:
        raise Unavailable(f"Kafka does not take the record ({type(away).__name__}): try again") from away
    finally:
        await producer.stop()
    return places
