from __future__ import annotations

from typing import NamedTuple

import pytest

from streams.agents import buffers
from streams.agents.buffers import LaneBuffer, LogChanged, Pull


class Record(NamedTuple):
    """A record as far as a buffer looks at it."""

    offset: int
    serialized_value_size: int = 10
    timestamp: int = 0
    key: bytes | None = None
    value: bytes | None = None


def pull(begin: int, *offsets: int, end: int | None = None) -> Pull:
    """A fetch of records at these offsets."""
    return Pull(begin, [Record(offset) for offset in offsets], end if end is not None else offsets[-1] + 1)


def known(**ends: int) -> LaneBuffer:
    """A buffer at the beginning of sources whose ends are known."""
    buffer = LaneBuffer(dict.fromkeys(ends, 0))
    for topic, end in ends.items():
        buffer.sources[topic].heard(end)
    return buffer


def test_a_source_is_behind_until_all_stable_records_are_here() -> None:
    """A source that has more on the broker is named, so that the drain waits for it; else the order is wrong."""
    buffer = known(a=3, b=0)
    assert buffer.behind == {"a"}
    buffer.extend("a", pull(0, 0, 1))
    assert buffer.behind == {"a"}
    buffer.extend("a", pull(2, 2))
    assert buffer.behind == frozenset()


def test_a_marker_at_the_end_is_passed_without_a_record() -> None:
    """A transaction's end marker takes an offset: waiting for a record there would last for ever."""
    buffer = known(a=3)
    buffer.extend("a", pull(0, 0, 1))
    buffer.extend("a", Pull(2, [], 3))
    assert buffer.behind == frozenset()
    assert buffer.lag == 2
    buffer.applied({"a": 2})
    assert buffer.lag == 0


def test_nothing_is_drained_before_every_end_is_known() -> None:
    """Until the ends are known any source may have more: a drain would take time past unread records."""
    buffer = LaneBuffer({"a": 0, "b": 0})
    buffer.sources["a"].heard(0)
    assert not buffer.known
    assert buffer.behind == {"b"}
    buffer.sources["b"].heard(0)
    assert buffer.known


def test_an_overtaken_answer_changes_nothing() -> None:
    """Ends come by two ways; an older answer that comes later must not hide that there is more."""
    buffer = known(a=5)
    buffer.sources["a"].heard(3)
    assert buffer.sources["a"].stable_end == 5


@pytest.mark.parametrize("begin", [0, 1, 3])
def test_a_fetch_that_does_not_join_on_is_refused(begin: int) -> None:
    """Records that are missing or come again (a topic made anew) end the worker instead of being counted wrong."""
    buffer = known(a=10)
    buffer.extend("a", pull(0, 0, 1))
    with pytest.raises(LogChanged):
        buffer.extend("a", pull(begin, begin))


def test_what_is_applied_is_dropped_and_the_rest_stays() -> None:
    """A drain that stopped to wait gives back what it did not apply; it must be seen again, and only that."""
    buffer = known(a=4)
    buffer.extend("a", pull(0, 0, 1, 3))
    buffer.applied({"a": 1})
    assert [record.offset for record in buffer.inbox(None).records["a"]] == [1, 3]
    buffer.applied({"a": 4})
    assert buffer.empty
    assert buffer.sources["a"].size == 0


def test_a_source_that_is_cut_off_for_a_drain_counts_as_behind() -> None:
    """The drain sees a part of a large buffer; taking that for all would let the other sources run ahead."""
    buffer = known(a=3, b=1)
    buffer.drain_records = 2
    buffer.extend("a", pull(0, 0, 1, 2))
    buffer.extend("b", pull(0, 0))
    inbox = buffer.inbox(7)
    assert [record.offset for record in inbox.records["a"]] == [0, 1]
    assert inbox.behind == {"a"}
    assert inbox.horizon_ms == 7


def test_a_buffer_is_full_by_records_and_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A source that runs far ahead of a lagging one stops being fetched; without a bound memory grows with the lag."""
    monkeypatch.setattr(buffers, "RECORDS_MAX", 3)
    monkeypatch.setattr(buffers, "BYTES_MAX", 100)
    buffer = known(a=9, b=9)
    buffer.extend("a", pull(0, 0, 1))
    assert not buffer.sources["a"].full
    buffer.extend("a", pull(2, 2))
    assert buffer.sources["a"].full
    assert not buffer.sources["b"].full
    buffer.extend("b", Pull(0, [Record(0, serialized_value_size=100)], 1))
    assert buffer.sources["b"].full
    buffer.applied({"b": 1})
    assert not buffer.sources["b"].full


def test_a_drain_sees_as_much_as_it_can_do_in_its_time() -> None:
    """A slow logic gets less at once: else its drains hold up the commits of other lanes past their deadline."""
    buffer = known(a=1)
    buffer.drain_records = 1_000
    buffer.took(1.0, cut=True)
    assert buffer.drain_records == 100
    buffer.took(0.01, cut=True)
    assert buffer.drain_records == 200
    buffer.took(0.01, cut=False)
    assert buffer.drain_records == 200
    buffer.took(1_000.0, cut=True)
    assert buffer.drain_records == buffers.DRAIN_RECORDS_MIN


def test_a_horizon_holds_when_all_that_stood_below_it_is_fetched() -> None:
    """Time may come to the moment of the question only when everything that was there then is here."""
    buffer = known(a=3, b=2)
    buffer.extend("a", pull(0, 0, 1, 2))
    assert not buffer.reached({"a": 3, "b": 2})
    buffer.extend("b", pull(0, 0, 1))
    assert buffer.reached({"a": 3, "b": 2})
