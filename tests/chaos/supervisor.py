"""Workers that are started again when they end, as an installation does it, and what they ended with."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
from collections import Counter
from typing import TYPE_CHECKING

import orjson

from streams import clock
from streams.agents.exits import Exit
from tests.chaos.system import EWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

FOR_THE_OPERATOR = {2, 3, 15, 16, 17}
"""Exit codes on which docs/operation.md forbids a restart."""
DEFECTS = {Exit.CRASHED, 2, 15, 16, 17}
"""Those that no fault of a broker, a process or a producer may lead to."""
AGAIN_SECONDS = 1.0
"""How long a worker that ended at once is left alone."""
POLL_SECONDS = 0.05
STOP_SECONDS_MAX = 30.0


class Worker:
    """One worker, over its restarts."""

    def __init__(self, name: str, stage: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.stage = stage
        self.exits: list[int] = []
        self.held = False
        """Whether it waits for an operator."""
        self.wanted = True
        self._environment = {**environment, "EWS_INSTANCE_ID": name}
        self.log = folder / f"{name}.log"
        self._began = self._started = 0.0
        self._log_start = 0
        self.start()

    def start(self, **settings: str) -> None:
        """Start it."""
        self.held = False
        with self.log.open("ab") as log:
            self._log_start = log.tell()
            command = [*EWS, "worker", "--stage", self.stage]
            self.process = subprocess.Popen(command, env=self._environment | settings, stdout=log, stderr=log)
        self._started = clock.monotonic()

    @property
    def up(self) -> bool:
        """Whether it runs and has recovered its lanes at least once."""
        with self.log.open("rb") as log:
            log.seek(self._log_start)
            return self.process.poll() is None and b"worker.recovered" in log.read()

    def look(self) -> int | None:
        """Note its end and start it again; the code of an end that is new."""
        code = self.process.poll()
        if code is None or self.held or not self.wanted:
            return None
        if len(self.exits) == 0 or self._started != self._began:
            self._began = self._started
            self.exits.append(code)
            self.held = code in FOR_THE_OPERATOR
        elif clock.monotonic() - self._started > AGAIN_SECONDS:
            self.start()
            return None
        else:
            return None
        return code

    async def stop(self) -> int:
        """Ask it to stop, when it is up: its exit code."""
        self.wanted = False
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS_MAX)

    def end(self) -> None:
        """Kill it for good."""
        self.wanted = False
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        self.process.wait(10)

    def said(self) -> Iterator[dict[str, object]]:
        """The lines of its log."""
        for line in self.log.read_bytes().splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                yield orjson.loads(line)


class Supervisor:
    """All workers. Whatever ends is started again, unless an operator must look at it first."""

    def __init__(self, environment: Mapping[str, str], folder: Path) -> None:
        self._environment = environment
        self._folder = folder
        self.workers: dict[str, Worker] = {}
        self.gone: list[Worker] = []
        self.exits: Counter[int] = Counter()
        """Those of all, but for the ones that were asked to stop."""
        self.operator = False
        """Whether somebody lets malformed records pass where a worker ended with 3."""

    def add(self, name: str, stage: str = "borrowers") -> Worker:
        """One more worker."""
        self.workers[name] = Worker(name, stage, self._environment, self._folder)
        return self.workers[name]

    def remove(self, name: str) -> Worker:
        """From now on it may end."""
        worker = self.workers.pop(name)
        worker.wanted = False
        self.gone.append(worker)
        return worker

    @property
    def borrowers(self) -> list[Worker]:
        """Those of the first stage."""
        return [worker for worker in self.workers.values() if worker.stage == "borrowers"]

    async def watch(self) -> None:
        """Start again what ends, for ever."""
        while True:
            for worker in list(self.workers.values()):
                if (code := worker.look()) is not None:
                    self.exits[code] += 1
                if self.operator and worker.held and worker.exits[-1] == Exit.DEAD_LETTER_LIMIT:
                    worker.start(EWS_DEAD_LETTER_LIMIT="off")
            await asyncio.sleep(POLL_SECONDS)

    async def all_up(self, seconds: float) -> list[str]:
        """Wait until every worker is up; those that are not in time."""
        deadline = clock.monotonic() + seconds
        while late := [worker.name for worker in self.workers.values() if not worker.up]:
            if clock.monotonic() > deadline:
                break
            await asyncio.sleep(POLL_SECONDS)
        return late

    def faults(self) -> list[str]:
        """What no worker may end with, and what may stand in no log."""
        found = []
        for worker in [*self.workers.values(), *self.gone]:
            found += [f"{worker.name} ended with {code}" for code in worker.exits if code in DEFECTS]
            if b"Traceback" in worker.log.read_bytes():
                found.append(f"{worker.name} wrote a traceback: {worker.log}")
        return found

    def end(self) -> None:
        """Kill all."""
        for worker in [*self.workers.values(), *self.gone]:
            worker.end()
