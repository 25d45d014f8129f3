"""What speaks Kafka for a worker: the classes whose objects hold its connections, handed in at the composition root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clients:
    """aiokafka's, unless a simulation gives ones that speak to a log in memory."""

    consumer: Callable[..., Any] = AIOKafkaConsumer
    producer: Callable[..., Any] = AIOKafkaProducer


AIOKAFKA = Clients()
