"""The demo's processes: started, watched, started again when somebody killed one, and stopped whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Self

import orjson

from streams import clock
from streams.errors import ProcessEnded

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

RESTARTS_MAX = 20
"""So often one process is started again."""
STOP_SECONDS_MAX = 15.0
"""A process that was asked to stop is killed after that."""
POLL_SECONDS = 0.02
LAST_LINE_MAX = 300


class Child:
    """One process, over its restarts."""

    def __init__(
        self, name: str, entry: str, arguments: Sequence[str], environment: Mapping[str, str], log_file: Path
    ) -> None:
        self.name = name
        self.log_file = log_file
        self.restarts = 0
        self.started = 0.0
        self._command = (sys.executable, "-P", "-m", "streams.local.demo.child", entry, *arguments)
        self._environment = dict(environment)
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0

    def start(self) -> None:
        """Start it, in a process group of its own: Ctrl-C is for us, who stop it in order."""
        self._close_pipe()
        with self.log_file.open("ab") as log:
            self._log_start = log.tell()
            self._process = subprocess.Popen(  # noqa: S603 - our own command
                self._command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                env=self._environment,
                start_new_session=True,
            )
        self.started = clock.monotonic()

    @property
    def code(self) -> int | None:
        """Its exit code, below 0 the signal that ended it; None while it runs."""
        assert self._process is not None, "not started"
        return self._process.poll()

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None, "not started"
        return self._process.pid

    def lines(self) -> list[bytes]:
        """The lines of its log since its latest start."""
        with self.log_file.open("rb") as log:
            log.seek(self._log_start)
            return log.read().splitlines()

    def last_line(self) -> str:
        """The last thing it said; of a log line the reason that it gives."""
        said = [line for line in self.lines() if line.strip()]
        return _reason(said[-1])[:LAST_LINE_MAX] if said else "nothing"

    def port(self) -> int | None:
        """Where it serves its metrics; None until it does."""
        for line in self.lines():
            if b"health.listening" in line:
                with contextlib.suppress(orjson.JSONDecodeError, KeyError):
                    return int(orjson.loads(line)["port"])
        return None

    def ask_to_stop(self) -> None:
        """Ask it to stop."""
        if self._process is not None and self.code is None:
            self._process.terminate()

    async def ended(self, deadline: float) -> None:
        """Wait until it is gone; after the deadline it is killed with all that it started."""
        if self._process is None:
            return
        while self.code is None and clock.monotonic() < deadline:  # noqa: ASYNC110 - a process is no event
            await asyncio.sleep(POLL_SECONDS)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        self._close_pipe()

    def _close_pipe(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()


def _reason(line: bytes) -> str:
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError):
        return str(orjson.loads(line)["reason"])
    return line.decode(errors="replace")


class Crew:
    """All processes of a demo; a context manager that leaves none behind."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def __getitem__(self, name: str) -> Child:
        return next(child for child in self._children if child.name == name)

    def start(self, child: Child) -> Child:
        """Start one more."""
        self._children.append(child)
        child.start()
        return child

    def look(self) -> list[Child]:
        """Those that somebody killed and that were started again just now. Raises ProcessEnded for one that gave up."""
        again = []
        for child in self._children:
            code = child.code
            if code is None:
                continue
            # A signal is somebody's doing, and what a supervisor is for; an exit code is a reason that will come again.
            if code >= 0 or child.restarts >= RESTARTS_MAX:
                how = f"ended with code {code}" if code >= 0 else f"was ended by signal {-code} too often"
                raise ProcessEnded(f"the {child.name} {how}: {child.last_line()}; its log is {child.log_file}", code)
            child.restarts += 1
            child.start()
            again.append(child)
        return again

    def restarts(self) -> dict[str, int]:
        """How often each was started again."""
        return {child.name: child.restarts for child in self._children}

    async def stop(self) -> None:
        """Ask all to stop, and see to it that they do."""
        for child in self._children:
            child.ask_to_stop()
        deadline = clock.monotonic() + STOP_SECONDS_MAX
        for child in self._children:
            await child.ended(deadline)
        self._children.clear()
