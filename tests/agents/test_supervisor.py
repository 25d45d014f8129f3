"""A worker under a supervisor comes back when that helps, and only then."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from streams import clock
from streams.agents.exits import FINAL, Exit

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "agents" / "supervised_program.py"


class Diary:
    """The lives that a supervisor's worker has had."""

    def __init__(self, file: Path) -> None:
        self.file = file

    @property
    def pids(self) -> list[int]:
        """The process of each life, in order."""
        return [int(line.split()[0]) for line in self._lines]

    @property
    def pauses(self) -> list[float]:
        """The seconds between the beginnings of the lives."""
        times = [float(line.split()[1]) for line in self._lines]
        return [later - earlier for earlier, later in itertools.pairwise(times)]

    @property
    def _lines(self) -> list[str]:
        return self.file.read_text().splitlines() if self.file.exists() else []

    def life(self, number: int) -> int:
        """Waits for so many lives; the process of the last."""
        deadline = clock.monotonic() + 60
        while len(self.pids) < number:
            assert clock.monotonic() < deadline, "it was not started"
            time.sleep(0.01)
        return self.pids[number - 1]


@contextmanager
def supervised(tmp_path: Path, *words: str) -> Iterator[tuple[subprocess.Popen[bytes], Diary]]:
    """The program under a supervisor, ended whatever happens."""
    diary = Diary(tmp_path / "diary")
    command = [sys.executable, str(PROGRAM), str(diary.file), *words]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL)
    try:
        yield process, diary
    finally:
        process.kill()
        process.wait(10)


def test_a_killed_worker_is_started_again_and_a_stop_passes_through(tmp_path: Path) -> None:
    """SIGKILL brings another process; SIGTERM to the supervisor reaches it, and its exit code becomes the whole's."""
    with supervised(tmp_path, "stay") as (process, diary):
        os.kill(diary.life(1), signal.SIGKILL)
        assert diary.life(2) != diary.life(1)
        process.send_signal(signal.SIGTERM)
        assert 7 == process.wait(30)
        assert 2 == len(diary.pids)


def test_a_hang_up_renews_the_worker(tmp_path: Path) -> None:
    """SIGHUP stops the worker in order and starts another; the supervisor stays."""
    with supervised(tmp_path, "renew") as (process, diary):
        diary.life(1)
        process.send_signal(signal.SIGHUP)
        diary.life(2)
        assert process.poll() is None


@pytest.mark.parametrize("code", [Exit.OK, Exit.DEAD_LETTER_LIMIT])
def test_a_code_that_a_restart_would_bring_again_ends_it(tmp_path: Path, code: int) -> None:
    """After 0 and the codes of docs/operation.md there is no restart, and the supervisor ends with that code."""
    assert {2, 3, 15, 16, 17} == FINAL
    with supervised(tmp_path, str(int(code))) as (process, diary):
        assert code == process.wait(60)
        assert 1 == len(diary.pids)


def test_an_error_at_the_start_is_its_exit_code(tmp_path: Path) -> None:
    """Kafka that is away is tried again, what is misconfigured ends it with 2: neither is a defect of ours."""
    with supervised(tmp_path, "unavailable", "misconfigured") as (process, diary):
        assert Exit.MISCONFIGURED == process.wait(60)
        assert 2 == len(diary.pids)


def test_what_cannot_live_is_started_ever_more_seldom(tmp_path: Path) -> None:
    """Of lives that end at once the first restart is at once and the next ones come later and later."""
    with supervised(tmp_path, "die", "10", "die", "10", "2") as (process, diary):
        assert 2 == process.wait(60)
        pauses = diary.pauses
    assert 4 == len(pauses)
    assert pauses[1] >= 0.5
    assert pauses[2] >= 1.0


def test_a_stop_is_heard_while_a_restart_waits(tmp_path: Path) -> None:
    """SIGTERM during the pause before a restart ends the supervisor with 0: there is no work in flight."""
    with supervised(tmp_path, "10") as (process, diary):
        diary.life(4)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) in {0, 10}


def test_a_worker_does_not_outlive_its_supervisor(tmp_path: Path) -> None:
    """SIGKILL to the supervisor stops the worker, as SIGTERM would: nobody is left to restart it."""
    with supervised(tmp_path, "stay") as (process, diary):
        worker = diary.life(1)
        process.kill()
        process.wait(10)
        deadline = clock.monotonic() + 30
        while _lives(worker):
            assert clock.monotonic() < deadline, "it lives on"
            time.sleep(0.01)


def _lives(pid: int) -> bool:
    """Whether a process of this number runs; one that nobody has reaped does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
