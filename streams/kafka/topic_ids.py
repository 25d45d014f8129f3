"""Which topic of a name it is: the id that Kafka gives a topic when it is made, which a topic made anew does not have.

aiokafka asks for metadata in an old version, without ids; this is the request of version 12 (Kafka 3.0 and later).
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from aiokafka.errors import for_code
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Schema,
    TaggedFields,
)

from streams.errors import Unavailable

_ID_BYTES = 16


class _Id:
    """A UUID on the wire."""

    @staticmethod
    def encode(value: bytes) -> bytes:
        return value

    @staticmethod
    def decode(data: Any) -> bytes:
        return bytes(data.read(_ID_BYTES))


class _Answer(Response):  # type: ignore[misc]
    API_KEY = 3
    API_VERSION = 12
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString("utf-8")),
                ("port", Int32),
                ("rack", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString("utf-8")),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString("utf-8")),
                ("topic_id", _Id),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition_index", Int32),
                        ("leader_id", Int32),
                        ("leader_epoch", Int32),
                        ("replica_nodes", CompactArray(Int32)),
                        ("isr_nodes", CompactArray(Int32)),
                        ("offline_replicas", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("topic_authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    FLEXIBLE_VERSION = True
    API_KEY = 3
    API_VERSION = 12
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Id), ("name", CompactString("utf-8")), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Ids(Request[_Question]):  # type: ignore[misc]
    API_KEY = 3

    def __init__(self, topic: str) -> None:
        self._topic = topic

    def build(self, request_struct_class: Any) -> Any:
        return request_struct_class([(bytes(_ID_BYTES), self._topic, {})], False, False, {})  # noqa: FBT003


async def topic_id(client: Any, topic: str) -> UUID:
    """The id of a topic, asked by the client of a started consumer. Raises KafkaError, Unavailable for an old Kafka."""
    node = client.get_random_node()
    try:
        answer = await client.send(node, _Ids(topic))
    except NotImplementedError as old:
        raise Unavailable("this Kafka gives topics no ids: that takes 3.0 or later") from old
    error, _, found, *_ = answer.topics[0]
    if error:
        raise for_code(error)(f"no id of {topic}")
    return UUID(bytes=found)
