"""A variant's process: what it reports, what it costs, how it ends.

It prints two lines of JSON, `{"what": "began" | "seen", "at_ns": ..., "cpu_seconds": ..., "events": ...}`: when it is
warm (a fifth of the events is done) and when it has done all. What else it prints is left aside. Its standard input is
a pipe that we hold: it ends when that does, so that nothing runs on when we are killed.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

import orjson

from streams import clock
from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

POLL_SECONDS = 0.05
END_SECONDS_MAX = 20
_RUSAGE_UNIT = 1 if sys.platform == "darwin" else 1024


class Report(NamedTuple):
    """A line of a variant's process."""

    what: str
    at_ns: int
    cpu_seconds: float
    events: int
    """How many it has done so far."""


class Child:
    """A running variant; a context manager that kills it. What it writes it writes into `directory`."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], directory: Path) -> None:
        self.name = name
        self._directory = directory
        self._log = directory / "stderr.log"
        self._reports: list[Report] = []
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                command, env=dict(env), cwd=directory, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        threading.Thread(target=self._listen, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(END_SECONDS_MAX)
        assert self._process.stdin is not None
        self._process.stdin.close()

    def said(self, what: str) -> list[Report]:
        """All lines of this kind so far."""
        return [report for report in tuple(self._reports) if report.what == what]

    def report(self, what: str, seconds_max: float) -> Report:
        """The first line of this kind. Raises Unavailable if the process ends without it, or takes too long."""
        deadline = clock.monotonic() + seconds_max
        while clock.monotonic() < deadline:
            if said := self.said(what):
                return said[0]
            self.require_running()
            time.sleep(POLL_SECONDS)
        raise Unavailable(f"{self.name} had not {what} after {seconds_max:.0f} s: {self._complaint()}")

    def require_running(self) -> None:
        """Raises Unavailable if it has ended."""
        if self._process.poll() is not None:
            raise Unavailable(f"{self.name} ended with exit code {self._process.returncode}: {self._complaint()}")

    @property
    def memory_bytes(self) -> int:
        """The most memory that it held so far."""
        return peak(self._process.pid)

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if (report := parse(line)) is not None:
                self._reports.append(report)

    def _complaint(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        errors = [line for line in lines if "rror" in line or "xception" in line]
        return (errors or lines or ["no word in its log"])[-1].strip()[:300]


def parse(line: bytes) -> Report | None:
    """A line that a variant printed; None if it is not one of ours."""
    try:
        said = orjson.loads(line)
        return Report(said["what"], int(said["at_ns"]), float(said["cpu_seconds"]), int(said["events"]))
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        return None


def peak(process: int | None = None) -> int:
    """The most memory in bytes that a process ever held, ours if none is named.

    Where the system has no /proc: the most that we, or any child that has ended, ever held.
    """
    who = resource.RUSAGE_SELF if process is None else resource.RUSAGE_CHILDREN
    return _status(process, "VmHWM:") or resource.getrusage(who).ru_maxrss * _RUSAGE_UNIT


def resident() -> int:
    """The memory in bytes that this process holds now; where the system has no /proc, the most that it ever held."""
    return _status(None, "VmRSS:") or resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RUSAGE_UNIT


def _status(process: int | None, name: str) -> int:
    try:
        text = Path("/proc", str(process or "self"), "status").read_text()
    except OSError:
        return 0
    return memory_in(text, name)


def memory_in(status: str, name: str) -> int:
    """A line of Linux's /proc/PID/status in bytes; 0 if it is not there."""
    return next((int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith(name)), 0)
