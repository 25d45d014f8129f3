"""The dead-letter record: the rejected key and bytes as they came, and in Kafka headers why and where from.

Header values are UTF-8 text, so that any tool can read them. A dead letter holds raw bytes, so it may hold a person:
keep its key and value out of logs. Of the headers only `reason` is fit for a metric.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from schemas.codec import InvalidEvent, Reason, describe

if TYPE_CHECKING:
    from collections.abc import Iterable

DETAIL_CHARS_MAX = 500
"""The longest `detail` that is written. With it the headers stay far below the room that the topic leaves for them."""


class DeadLetterHeaders(BaseModel):
    """Why a record was refused, and where it stood."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    reason: Reason
    detail: str = Field(default="", description="For a person; names fields and rules and never quotes a value")
    topic: str = Field(
        min_length=1, max_length=249, description="The topic that the record came from, without the prefix"
    )
    partition: int = Field(ge=0)
    offset: int = Field(ge=0)
    timestamp: int = Field(
        ge=-1, description="The record's Kafka timestamp in milliseconds since 1970; -1 if it had none"
    )

    @property
    def recorded_at(self) -> datetime | None:
        """The record's Kafka timestamp as a time, None if it had none or one that no calendar knows."""
        try:
            return None if self.timestamp < 0 else datetime.fromtimestamp(self.timestamp / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            return None

    @classmethod
    def of(cls, fault: InvalidEvent, *, topic: str, partition: int, offset: int, timestamp: int) -> Self:
        """The headers for a record that `fault` refused."""
        detail = fault.detail if len(fault.detail) <= DETAIL_CHARS_MAX else fault.detail[: DETAIL_CHARS_MAX - 1] + "…"
        return cls(
            reason=fault.reason, detail=detail, topic=topic, partition=partition, offset=offset, timestamp=timestamp
        )

    def to_kafka(self) -> list[tuple[str, bytes]]:
        """As Kafka headers, in the order of the fields."""
        return [(name, str(value).encode()) for name, value in self.model_dump().items()]

    @classmethod
    def from_kafka(cls, headers: Iterable[tuple[str, bytes | None]]) -> Self:
        """From Kafka headers; where one comes twice the last counts, others are ignored. Raises InvalidEvent."""
        try:
            text = {name: (value or b"").decode() for name, value in headers if name in cls.model_fields}
            return cls.model_validate_strings(text)
        except UnicodeDecodeError as fault:
            raise InvalidEvent(Reason.NOT_UTF8, f"a header, byte {fault.start}") from None
        except ValidationError as fault:
            raise InvalidEvent(Reason.INVALID, describe(fault)) from None
