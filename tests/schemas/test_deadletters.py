from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.codec import InvalidEvent, Reason
from schemas.deadletters import DETAIL_CHARS_MAX, DeadLetterHeaders

patient = settings(deadline=None)
"""A busy machine is no failure."""
NUMBERS = st.integers(0, 2**63 - 1)


@patient
@given(st.sampled_from(Reason), st.text(st.characters(codec="utf-8")), NUMBERS, NUMBERS, st.integers(-1, 2**63 - 1))
def test_headers_survive_kafka(reason: Reason, detail: str, partition: int, offset: int, timestamp: int) -> None:
    """What is written into headers is read back, the detail cut to its limit."""
    headers = DeadLetterHeaders.of(
        InvalidEvent(reason, detail), topic="bureau", partition=partition, offset=offset, timestamp=timestamp
    )
    assert DeadLetterHeaders.from_kafka(headers.to_kafka()) == headers
    assert len(headers.detail) <= DETAIL_CHARS_MAX
    assert detail[: DETAIL_CHARS_MAX - 1] == headers.detail[: DETAIL_CHARS_MAX - 1]


@patient
@given(st.lists(st.tuples(st.sampled_from([*DeadLetterHeaders.model_fields, "other"]), st.none() | st.binary())))
def test_any_headers_are_read_or_refused(headers: list[tuple[str, bytes | None]]) -> None:
    """Headers that something else wrote are refused as an invalid event, never with another exception."""
    with contextlib.suppress(InvalidEvent):
        DeadLetterHeaders.from_kafka(headers)


def test_foreign_headers_are_ignored() -> None:
    """A tracing agent that adds binary headers of its own does not make a dead letter unreadable."""
    headers = DeadLetterHeaders(reason=Reason.EMPTY, topic="bureau", partition=0, offset=1, timestamp=2)
    assert DeadLetterHeaders.from_kafka([("trace", b"\xff"), *headers.to_kafka(), ("nothing", None)]) == headers


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (-1, None),
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (2**62, None),
        (1_000, datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)),
    ],
)
def test_the_record_time_is_given_where_there_is_one(timestamp: int, expected: datetime | None) -> None:
    """An absent or absurd Kafka timestamp has no time, and does not break the listing."""
    headers = DeadLetterHeaders(reason=Reason.EMPTY, topic="bureau", partition=0, offset=1, timestamp=timestamp)
    assert expected == headers.recorded_at
