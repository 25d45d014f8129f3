"""Bytes to events and back. What cannot be read is an `InvalidEvent` with a reason: a dead letter, never retried."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import BaseModel, ValidationError

from schemas.alerts import Alert
from schemas.events import EVENTS, Event
from schemas.outcomes import AlertOutcome

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pydantic_core import ErrorDetails


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
    STATE_FULL = "state_full"


class InvalidEvent(Exception):  # noqa: N818 - it names what the event is, not a failure of ours
    """The event can never be applied.

    `reason` is what metrics and the dead letter count it under; `detail` is for a person: it names fields and
    rules and never quotes a value, since a value may hold a person.
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
        raise _untyped(kind)
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None


def decode_alert(value: bytes | None) -> Alert:
    """The alert in `value`. Raises InvalidEvent."""
    try:
        return Alert.model_validate(_parse(value))
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None


def decode_outcome(value: bytes | None) -> AlertOutcome:
    """The outcome of an alert in `value`. Raises InvalidEvent."""
    try:
        return AlertOutcome.model_validate(_parse(value))
    except ValidationError as error:
        raise InvalidEvent(Reason.INVALID, describe(error)) from None


def _untyped(kind: object) -> InvalidEvent:
    if isinstance(kind, str):
        return InvalidEvent(Reason.UNKNOWN_TYPE, "type is not known")
    return InvalidEvent(Reason.INVALID, "type: is required" if kind is None else "type: must be text")


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


MISTAKES_SHOWN = 3
CHOICE_CHARS_MAX = 100

_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text",
    "string_unicode": "must be text in UTF-8",
    "string_too_short": "must have at least {min_length} characters",
    "string_too_long": "must have at most {max_length} characters",
    "string_pattern_mismatch": "must match {pattern}",
    "int_type": "must be an integer",
    "int_from_float": "must be an integer",
    "int_parsing": "must be an integer",
    "int_parsing_size": "is too large",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "tuple_type": "must be a list",
    "too_short": "must have at least {min_length} items",
    "too_long": "must have at most {max_length} items",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "timezone_aware": "must have an offset from UTC",
    "uuid_parsing": "must be a UUID",
    "value_error": "{error}",
    "currency": "{message}",
    "zone": "{message}",
    "date": "{message}",
    "date-time": "{message}",
}
"""What is said of each kind of mistake: rules of ours only. Pydantic's own sentences may quote what was sent."""


def describe(error: ValidationError) -> str:
    """The first mistakes of a validation in one line: field and rule, without the value."""
    mistakes = error.errors(include_url=False, include_input=False)
    text = "; ".join(f"{_path(mistake)}: {_sentence(mistake)}" for mistake in mistakes[:MISTAKES_SHOWN])
    return text + (f" (and {len(mistakes) - MISTAKES_SHOWN} more)" if len(mistakes) > MISTAKES_SHOWN else "")


def _path(mistake: ErrorDetails) -> str:
    return ".".join(str(part) for part in mistake["loc"]) or "event"


def _sentence(mistake: ErrorDetails) -> str:
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind.startswith(("date_", "datetime_")):
        return "is not a day or time that exists"
    if kind in ("literal_error", "enum") and len(context["expected"]) > CHOICE_CHARS_MAX:
        return "is not one of the values that are known"
    return _SENTENCES.get(kind, "breaks the rule {kind}").format(**context, kind=kind, message=mistake["msg"])


def encode(event: BaseModel) -> bytes:
    """The JSON of an event or alert, without fields that are None."""
    return event.model_dump_json(exclude_none=True).encode()
