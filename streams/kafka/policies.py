"""The topic `policies`: read as it stands, and written by one at a time."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidProducerEpoch, KafkaError, ProducerFenced

from schemas.topics import POLICIES
from streams.errors import Rejected, Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.diagnosis import NOT_ALLOWED, refusal
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from aiokafka import ConsumerRecord

    from streams.settings import Settings

    Write = Callable[[str, bytes], Awaitable[None]]


async def read_policies(settings: Settings) -> list[ConsumerRecord]:
    """Every record of the topic, in order. Raises Misconfigured if there is no such topic, or Unavailable."""
    await partition_counts(settings, [POLICIES])
    async with reading(settings, POLICIES) as reader:
        return [record async for record in (await reader.open(0)).records()]


@contextlib.asynccontextmanager
async def writing(settings: Settings) -> AsyncIterator[Write]:
    """Write one record after another has been looked at: what was written before this began can be read by then.

    The transactional id is fixed, so that of two who write at once the one that began first is refused: nobody writes
    a version on what is not the last word. Raises Rejected for that, and Unavailable.
    """
    prefix = settings.topic_prefix.strip("._-")
    producer = AIOKafkaProducer(
        **connection(settings), transactional_id="-".join(part for part in (settings.app, prefix, "policies") if part)
    )

    async def write(version: str, value: bytes) -> None:
        async with producer.transaction():
            await producer.send_and_wait(topic_name(settings, POLICIES), value, key=version.encode(), partition=0)

    try:
        await producer.start()
        yield write
    except (ProducerFenced, InvalidProducerEpoch) as fenced:
        asyncio.get_running_loop().set_exception_handler(_without_fenced)
        raise Rejected("another `ews policies apply` was started meanwhile: look at what it did, try again") from fenced
    except NOT_ALLOWED as refused:
        raise refusal(refused) from refused
    except (KafkaError, OSError) as away:
        raise Unavailable(f"Kafka does not answer ({type(away).__name__}): try again") from away
    finally:
        await producer.stop()


def _without_fenced(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Say nothing of the futures that a fenced producer of aiokafka leaves behind: we have said it in one line."""
    if not isinstance(context.get("exception"), ProducerFenced | InvalidProducerEpoch):
        loop.default_exception_handler(context)
