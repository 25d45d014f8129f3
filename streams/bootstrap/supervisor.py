"""A parent that has everything imported and forks the worker anew whenever it dies: back in the time that Kafka needs.

Most of a cold start is Python's imports. The parent opens no connection and starts no thread, so a fork of it is a
process as good as new. It is fit to be a container's first process: it passes signals on, reaps what is left to it,
and ends with the worker's exit code where a restart does not help.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
from typing import TYPE_CHECKING, NoReturn

import structlog

from streams import clock
from streams.agents.exits import FINAL, Exit
from streams.errors import EarlyWarningError, Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

STOPPING = {signal.SIGTERM, signal.SIGINT}
RESTARTING = signal.SIGHUP
HEARD = {*STOPPING, RESTARTING, signal.SIGCHLD}
STEADY_SECONDS = 5.0
"""A worker that lived so long is restarted at once."""
DELAYS = (0.0, 0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
"""Seconds before a restart by the number of shorter lives before it: Kafka is spared one that cannot live."""
SIGNALLED = 128
"""Added to a signal's number, as shells do, where a signal ended the worker."""

log = structlog.get_logger(__name__)


class Supervisor:
    """The parent of one worker. `work` is what the worker does; its value is the exit code."""

    def __init__(self, work: Callable[[], int], *, wait: Callable[[float | None], int | None] | None = None) -> None:
        self._work = work
        self._wait = wait or _wait
        self._pid = 0
        self._started = 0.0
        self._short_lives = 0
        self._stopping = False
        self._renewing = False
        self._alive: tuple[int, int] = (-1, -1)
        self._mask: set[int] = set()

    def run(self) -> int:
        """Keeps the worker running until it is to end. The exit code of the last one."""
        assert threading.active_count() == 1, "a fork takes only the thread that calls it along"
        # Blocked signals wait to be asked for: none comes between a look and a sleep, and none between fork and exec.
        self._mask = set(signal.pthread_sigmask(signal.SIG_BLOCK, HEARD))
        self._alive = os.pipe()
        gc.collect()
        gc.freeze()  # Pages that no collection writes to stay shared with the worker.
        try:
            self._start()
            while True:
                if (code := self._step()) is not None:
                    return code
        finally:
            for end in self._alive:
                os.close(end)
            gc.unfreeze()
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def _step(self) -> int | None:
        """Deals with one signal. The exit code if that was the end."""
        heard = self._wait(None)
        if heard == signal.SIGCHLD:
            status = _reaped(self._pid)
            return None if status is None else self._ended(status)
        self._pass_on(heard)
        return None

    def _pass_on(self, heard: int | None) -> None:
        self._stopping = self._stopping or heard in STOPPING
        self._renewing = heard == RESTARTING
        log.info("supervisor.passes_on", signal=heard, pid=self._pid)
        os.kill(self._pid, signal.SIGTERM)  # It has not been reaped, so the number is still its own.

    def _ended(self, status: int) -> int | None:
        code = os.waitstatus_to_exitcode(status)
        code = code if code >= 0 else SIGNALLED - code
        renewed, self._renewing = self._renewing and code == Exit.OK, False
        log.info("supervisor.ended", code=code, pid=self._pid, seconds=round(clock.monotonic() - self._started, 3))
        if self._stopping or code in FINAL or (code == Exit.OK and not renewed):
            return code
        if not self._may_start():
            return Exit.OK
        self._start()
        return None

    def _may_start(self) -> bool:
        """Waits as long as is fit. False if it was asked to stop meanwhile."""
        self._short_lives = self._short_lives + 1 if clock.monotonic() - self._started < STEADY_SECONDS else 0
        deadline = clock.monotonic() + DELAYS[min(self._short_lives, len(DELAYS) - 1)]
        while (left := deadline - clock.monotonic()) > 0:
            heard = self._wait(left)
            if heard in STOPPING:
                return False
            if heard == signal.SIGCHLD:
                _reaped(0)
        return True

    def _start(self) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        self._started = clock.monotonic()
        self._pid = os.fork()
        if self._pid == 0:
            self._be_the_worker()
        log.info("supervisor.started", pid=self._pid, short_lives=self._short_lives)

    def _be_the_worker(self) -> NoReturn:
        # Whatever happens here, it must not go on as a second supervisor.
        code = int(Exit.CRASHED)
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            os.close(self._alive[1])
            threading.Thread(target=_end_with_parent, args=(self._alive[0],), name="parent", daemon=True).start()
            code = self._work()
        except EarlyWarningError as error:  # What a person is told in one line: said here, and by the code.
            code = int(Exit.MISCONFIGURED if isinstance(error, Misconfigured) else Exit.FAILED)
            log.critical("worker.exit", code=code, exit=Exit(code).name.lower(), reason=str(error))
        except BaseException as error:  # noqa: BLE001 - see above
            log.critical("worker.exit", code=code, reason=type(error).__name__)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


def _end_with_parent(alive: int) -> None:
    """Returns never but at the end of the parent, however that came: then this worker stops in order."""
    while os.read(alive, 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _wait(seconds: float | None) -> int | None:
    """The next signal, None if none came in time."""
    if seconds is None:
        return signal.sigwait(HEARD)
    heard = signal.sigtimedwait(HEARD, seconds)
    return None if heard is None else heard.si_signo


def _reaped(pid: int) -> int | None:
    """Reaps every child that has ended, those too that a container leaves to its first process. The status of `pid`."""
    found = None
    while True:
        try:
            ended, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if ended == 0:
            return found
        if ended == pid:
            found = status
