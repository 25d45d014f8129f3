"""A checkpoint is what was committed, whole, or it is not trusted."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.agents.checkpoints import AGE_MS_MAX, Checkpoint, CheckpointFiles, Discarded, Origin

if TYPE_CHECKING:
    from pathlib import Path

ORIGIN = Origin("state", "0d0cf3a5-5d5e-4c0c-8e2e-6a3d5d9b0c11", 2)
STATES = [(b"k%d" % n, b"v" * (n % 50)) for n in range(5_000)]
NOW = 1_700_000_000_000
OFFSET = 700


@pytest.fixture
def files(tmp_path: Path) -> CheckpointFiles:
    """A directory with the checkpoint of one lane."""
    files = CheckpointFiles(tmp_path / "checkpoints", "ews")
    files.save(ORIGIN, STATES, OFFSET, NOW)
    return files


def _load(files: CheckpointFiles, origin: Origin = ORIGIN, begin: int = 0, end: int = 900, now: int = NOW) -> object:
    return files.load(origin, begin, end, now)


def test_what_is_saved_comes_back(files: CheckpointFiles) -> None:
    """A checkpoint gives the states and the offset that it was made of, also at the last moment that it is good."""
    assert Checkpoint(dict(STATES), OFFSET) == _load(files)
    assert Checkpoint(dict(STATES), OFFSET) == _load(files, begin=OFFSET, end=OFFSET, now=NOW + AGE_MS_MAX)


def test_nobody_else_may_read_it(files: CheckpointFiles) -> None:
    """The file and its directory are its user's alone: states hold borrowers' tokens."""
    assert 0o600 == files.path(2).stat().st_mode & 0o777
    assert 0o700 == files.path(2).parent.stat().st_mode & 0o777


def test_without_a_file_there_is_none(tmp_path: Path) -> None:
    """The first start finds nothing and says nothing."""
    assert _load(CheckpointFiles(tmp_path, "ews")) is None


@pytest.mark.parametrize(
    ("origin", "begin", "end", "now", "reason"),
    [
        (ORIGIN._replace(topic_id="another"), 0, 900, NOW, "made anew"),
        (ORIGIN._replace(topic="x-state"), 0, 900, NOW, "another topic"),
        (ORIGIN, 0, OFFSET - 1, NOW, "reaches from 0 to 699"),
        (ORIGIN, OFFSET + 1, 900, NOW, "reaches from 701"),
        (ORIGIN, 0, 900, NOW + AGE_MS_MAX + 1, "hours old"),
        (ORIGIN, 0, 900, NOW - 60_001, "future"),
    ],
)
def test_what_does_not_fit_is_discarded(  # noqa: PLR0917 - a row of the table above
    files: CheckpointFiles, origin: Origin, begin: int, end: int, now: int, reason: str
) -> None:
    """A checkpoint of another topic, out of the changelog's range, too old, or of the future, is never taken."""
    with pytest.raises(Discarded, match=reason):
        _load(files, origin, begin, end, now)


def test_the_file_of_another_lane_is_discarded(files: CheckpointFiles) -> None:
    """A file that was renamed says itself which lane it is of."""
    files.path(2).rename(files.path(3))
    with pytest.raises(Discarded, match="another topic or partition"):
        _load(files, ORIGIN._replace(partition=3))


def test_another_version_is_discarded(files: CheckpointFiles) -> None:
    """A format that a later release writes is not guessed at."""
    path = files.path(2)
    path.write_bytes(path.read_bytes().replace(b"ews-checkpoint 1", b"ews-checkpoint 2", 1))
    with pytest.raises(Discarded, match="version"):
        _load(files)


@given(data=st.data())
def test_one_wrong_bit_or_a_missing_end_is_noticed(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever bit is turned, wherever it is cut off, whatever is added: it is discarded, with no other exception."""
    files = CheckpointFiles(tmp_path_factory.mktemp("bits"), "ews")
    files.save(ORIGIN, STATES[:40], OFFSET, NOW)
    good = files.path(2).read_bytes()
    at, bit = data.draw(st.integers(0, len(good) - 1)), data.draw(st.integers(0, 7))
    flipped = good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :]
    files.path(2).write_bytes(data.draw(st.sampled_from([flipped, good[:at], good + b"\0"])))
    with pytest.raises(Discarded):
        _load(files)


def test_a_process_that_dies_while_it_writes_leaves_the_one_before(
    files: CheckpointFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the new file is whole and in its place, the old one stands; the next save clears what was left over."""

    class Killed(BaseException):
        """The end of a process."""

    def die(*_: object) -> None:
        raise Killed

    for step in ("fsync", "replace", "rename"):
        monkeypatch.setattr(os, step, die)
        if step != "rename":  # pathlib moves by one of the two.
            with pytest.raises(Killed):
                files.save(ORIGIN, STATES[:10], OFFSET + 100, NOW)
            assert Checkpoint(dict(STATES), OFFSET) == _load(files)
        monkeypatch.undo()
        for left in files.path(2).parent.glob(".*"):
            left.rename(left.with_name(left.name.rpartition(".")[0] + ".99999"))
    files.save(ORIGIN, STATES[:10], OFFSET + 100, NOW)
    assert Checkpoint(dict(STATES[:10]), OFFSET + 100) == _load(files)
    assert [files.path(2)] == list(files.path(2).parent.iterdir())
