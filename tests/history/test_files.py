"""Reading event files in the order in which their events became known."""

from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING

import orjson
import pytest

from schemas.codec import EVENT_BYTES_MAX
from schemas.events import Topic
from streams.errors import Misconfigured
from streams.history.files import read_events, read_lines

if TYPE_CHECKING:
    from pathlib import Path


def line(name: str, time: str, **more: object) -> bytes:
    """An event as far as order needs it."""
    return orjson.dumps({"id": name, "source": "bank", "subject": "b1", "time": time, **more})


def write(path: Path, *lines: bytes) -> Path:
    """A file of these lines."""
    path.write_bytes(b"".join(value + b"\n" for value in lines))
    return path


def ids(*paths: Path, window: int = 100) -> list[str]:
    """Ids in the order of reading."""
    return [event.id for event in read_events(paths, window=window)]


def test_files_are_merged_by_available_time_then_source_then_id(tmp_path: Path) -> None:
    """Events of several files come in one order: recordedtime or time, then source, then id."""
    first = write(tmp_path / "a", line("b", "2025-01-01T00:00:00Z"), line("d", "2025-01-01T00:00:02Z"))
    second = write(
        tmp_path / "b",
        line("a", "2025-01-01T00:00:00Z"),
        line("c", "2024-01-01T00:00:00Z", recordedtime="2025-01-01T00:00:01Z"),
        line("0", "2025-01-01T00:00:02Z", source="aaa"),
    )
    assert ids(first, second) == ["a", "b", "c", "0", "d"]


def test_time_is_floored_to_the_millisecond(tmp_path: Path) -> None:
    """Two events within one millisecond are ordered by id, whatever their microseconds say."""
    path = write(tmp_path / "a", line("a", "2025-01-01T00:00:00.0009Z"), line("b", "2025-01-01T00:00:00.0001Z"))
    assert [(e.id, e.available_ms % 1000) for e in read_events([path])] == [("a", 0), ("b", 0)]


def test_a_line_out_of_place_is_put_in_order_within_the_window(tmp_path: Path) -> None:
    """A file in disorder is sorted as far as the window reaches; further out a line comes when it is found."""
    lines = [line(f"{n}", f"2025-01-01T00:00:0{n}Z") for n in (3, 1, 2, 4, 5, 0)]
    path = write(tmp_path / "a", *lines)
    assert ids(path, window=10) == ["0", "1", "2", "3", "4", "5"]
    assert ids(path, window=2) == ["1", "2", "3", "0", "4", "5"]


def test_an_unreadable_line_keeps_its_place(tmp_path: Path) -> None:
    """Garbage shares the time of the line before it (at the start, of the first readable one) and has no key."""
    good = line("a", "2025-01-01T00:00:05Z", type="ews.loan.closed.v1")
    path = write(tmp_path / "a", b"{", good, b"", b"\xff\xfe", line("b", "2025-01-01T00:00:06Z", partitionkey="k"))
    events = list(read_events([path]))
    assert [event.line for event in events] == [1, 2, 3, 4, 5]
    assert [event.available_ms % 60_000 for event in events] == [5000, 5000, 5000, 5000, 6000]
    assert [event.key for event in events] == [None, b"b1", None, None, b"k"]
    assert [event.topic for event in events[:3]] == [Topic.TRANSACTIONS, Topic.REPAYMENTS, Topic.TRANSACTIONS]
    assert events[3].value == b"\xff\xfe"


@pytest.mark.parametrize("time", ["1066-10-14T09:00:00Z", "2025-01-01T00:00:00", "soon", "2300-01-01T00:00:00Z"])
def test_a_time_that_cannot_be_used_does_not_move_the_line(tmp_path: Path, time: str) -> None:
    """An absurd or zoneless time says nothing about the order."""
    path = write(tmp_path / "a", line("a", "2025-01-01T00:00:05Z"), line("x", time), line("b", "2025-01-01T00:00:06Z"))
    assert [event.line for event in read_events([path])] == [1, 2, 3]


def test_gzip_and_standard_input_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .gz file is unpacked and `-` is standard input."""
    packed = tmp_path / "a.gz"
    packed.write_bytes(gzip.compress(b"one\r\ntwo\n"))
    assert list(read_lines(packed)) == [(1, b"one"), (2, b"two")]
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"three")))
    assert list(read_lines("-")) == [(1, b"three")]


def test_a_line_that_is_too_long_is_cut_off_and_the_next_one_is_whole(tmp_path: Path) -> None:
    """Memory stays bounded: a line of several megabytes is one line, cut where it is too large anyway."""
    path = write(tmp_path / "a", b"x" * (3 * EVENT_BYTES_MAX), b"next")
    lines = list(read_lines(path))
    assert [number for number, _ in lines] == [1, 2]
    assert EVENT_BYTES_MAX < len(lines[0][1]) < 2 * EVENT_BYTES_MAX
    assert lines[1][1] == b"next"


def test_a_missing_or_damaged_file_is_one_sentence(tmp_path: Path) -> None:
    """What cannot be read is named, without a traceback."""
    with pytest.raises(Misconfigured, match=r"cannot read .*nothing\.jsonl: No such file"):
        list(read_events([tmp_path / "nothing.jsonl"]))
    with pytest.raises(Misconfigured, match="Is a directory"):
        list(read_events([tmp_path]))
    cut = tmp_path / "cut.gz"
    cut.write_bytes(gzip.compress(b"one\n" * 1000)[:-12])
    with pytest.raises(Misconfigured, match="damaged after line"):
        list(read_lines(cut))
    plain = tmp_path / "plain.gz"
    plain.write_bytes(b"no gzip")
    with pytest.raises(Misconfigured, match="damaged after line 0"):
        list(read_lines(plain))
