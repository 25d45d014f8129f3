"""Bytes to events and back. What cannot be read is an `InvalidEvent` with a reason: a dead letter, never retried."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from schemas.events import EVENTS, Event

if TYPE_CHECKING:
    from collections.abc import Mapping


class Reason(StrEnum):
    """Why an event is a dead letter."""

    EMPTY = "empty"
    TOO_LARGE = "too_large"
    NOT_UTF8 = "not_utf8"
    NOT_JSON = "not_json"
    UNKNOWN_TYPE = "unknown_type"
    WRONG_TOPIC = "wrong_topic"
    INVALID = "invalid"
    WRONG_KEY = "wrong_key"
    WRONG_PARTITION = "wrong_partition"
    FUTURE_DATED = "future_dated"
    TOO_OLD = "too_old"
    ID_CONFLICT = "id_conflict"
    CURRENCY_MISMATCH = "currency_mismatch"
    UNKNOWN_LOAN = "unknown_loan"
    LOAN_EXISTS = "loan_exists"
    ALERT_TOO_LARGE = "alert_too_large"
    CRASHED = "crashed"


class InvalidEvent(Exception):  # noqa: N818 - it names what the event is, not a failure of ours
    """The event can never be applied. `reason` is what metrics and the dead letter count it under; `detail` is for a person.

    `detail` names fields and rules and never quotes a value, since a value may hold a person.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason}: {detail}" if detail else str(reason))
        self.reason = reason
        self.detail = detail


EVENT_BYTES_MAX = 1_000_000
"""The largest event that is read. The broker's own default limit for a record is 1,048,588 bytes."""


def decode(value: bytes | None) -> Event:
    """The event in `value`, with its concrete class. Raises InvalidEvent."""
    return decode_mapping(_parse(value))


def decode_mapping(raw: Mapping[str, Any]) -> Event:
    """The event in an already parsed JSON object. Raises InvalidEvent."""
    kind = raw.get("type")
    model = EVENTS.get(kind) if isinstance(kind, str) else None
    if model is None:
        raise InvalidEvent(Reason.UNKNOWN_TYPE if isinstance(kind, str) else Reason.INVALID, "type is missing or not known")
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None


def _parse(value: bytes | None) -> Mapping[str, Any]:
    if not value:
        raise InvalidEvent(Reason.EMPTY, "the record has no value")
    if len(value) > EVENT_BYTES_MAX:
        raise InvalidEvent(Reason.TOO_LARGE, f"{len(value)} bytes, at most {EVENT_BYTES_MAX} are read")
    try:
        raw = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        raise _unreadable(value, error) from None
    if not isinstance(raw, dict):
        raise InvalidEvent(Reason.INVALID, "not a JSON object")
    return raw


def _unreadable(value: bytes, error: orjson.JSONDecodeError) -> InvalidEvent:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError as fault:
        return InvalidEvent(Reason.NOT_UTF8, f"byte {fault.start}")
    return InvalidEvent(Reason.NOT_JSON, f"{error.msg} at character {error.pos}")


def describe(error: ValidationError) -> str:
    """The first mistakes of a validation in one line: field and rule, without the value."""
    mistakes = error.errors(include_url=False, include_context=False, include_input=False)
    text = "; ".join(f"{'.'.join(str(part) for part in m['loc']) or 'event'}: {m['msg']}" for m in mistakes[:3])
    return text + (f" (and {len(mistakes) - 3} more)" if len(mistakes) > 3 else "")  # noqa: PLR2004 - three are shown


def encode(event: BaseModel) -> bytes:
    """The JSON of an event or alert, without fields that are None."""
    return event.model_dump_json(exclude_none=True).encode()
