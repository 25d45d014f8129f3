"""Alerts as consumers read them: bytes to `Alert`, or an InvalidEvent that says why not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from schemas.alerts import Alert
from schemas.codec import EVENT_BYTES_MAX, InvalidEvent, Reason, describe

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails


def read_alert(key: bytes | None, value: bytes | None) -> Alert:
    """The alert in a record. Raises InvalidEvent, whose text never quotes a value."""
    if not value:
        raise InvalidEvent(Reason.EMPTY, "the record has no value")
    if len(value) > EVENT_BYTES_MAX:
        raise InvalidEvent(Reason.TOO_LARGE, f"{len(value)} bytes, at most {EVENT_BYTES_MAX} are read")
    try:
        alert = Alert.model_validate_json(value)
    except ValidationError as fault:
        raise InvalidEvent(_reason(value, fault.errors(include_url=False)), describe(fault)) from None
    _check(alert, key)
    return alert


def _check(alert: Alert, key: bytes | None) -> None:
    if key is not None and key != alert.subject.encode():
        raise InvalidEvent(Reason.WRONG_KEY, "the record's key is not the subject")
    if alert.subject != alert.data.borrower:
        raise InvalidEvent(Reason.INVALID, "data.borrower: is not the subject")
    if alert.id != alert.data.alert_id:
        raise InvalidEvent(Reason.INVALID, "data.alert_id: is not the id")
    if alert.type != f"ews.alert.{alert.data.status}.v1":
        raise InvalidEvent(Reason.INVALID, "data.status: is not what the type says")


def _reason(value: bytes, mistakes: list[ErrorDetails]) -> Reason:
    if any(mistake["type"] == "json_invalid" for mistake in mistakes):
        return Reason.NOT_JSON if _is_text(value) else Reason.NOT_UTF8
    unknown = any(mistake["loc"] == ("type",) and mistake["type"] == "literal_error" for mistake in mistakes)
    return Reason.UNKNOWN_TYPE if unknown else Reason.INVALID


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True
