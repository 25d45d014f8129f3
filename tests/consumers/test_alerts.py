from __future__ import annotations

import orjson
import pytest

from schemas.codec import EVENT_BYTES_MAX, InvalidEvent, Reason
from streams.consumers.alerts import read_alert
from tests.consumers.builders import alert, record

KEY, VALUE = record(alert())


def changed(**fields: object) -> bytes:
    """The alert with these fields of the envelope changed."""
    return orjson.dumps(orjson.loads(VALUE) | fields)


def changed_data(**fields: object) -> bytes:
    """The alert with these fields of its data changed."""
    whole = orjson.loads(VALUE)
    return orjson.dumps(whole | {"data": whole["data"] | fields})


def test_an_alert_is_read_as_it_was_written() -> None:
    """Bytes and back."""
    assert alert() == read_alert(KEY, VALUE)


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, Reason.EMPTY),
        (b"", Reason.EMPTY),
        (b"x" * (EVENT_BYTES_MAX + 1), Reason.TOO_LARGE),
        (b"{", Reason.NOT_JSON),
        (b'{"id": "\xff"}', Reason.NOT_UTF8),
        (b"[]", Reason.INVALID),
        (changed(type="ews.alert.forgotten.v1"), Reason.UNKNOWN_TYPE),
        (changed(time="yesterday"), Reason.INVALID),
        (changed(type="ews.alert.resolved.v1"), Reason.INVALID),
        (changed(id="00000000-0000-5000-8000-000000000000"), Reason.INVALID),
        (changed(subject="b-2"), Reason.WRONG_KEY),
        (changed_data(borrower="b-2"), Reason.INVALID),
        (changed_data(revision=0), Reason.INVALID),
    ],
)
def test_what_cannot_be_read_says_why(value: bytes | None, reason: Reason) -> None:
    """Every way of being no alert has its reason, so that none stops the stream."""
    with pytest.raises(InvalidEvent) as refused:
        read_alert(KEY, value)

    assert reason is refused.value.reason
    assert "b-2" not in refused.value.detail
