"""Workers that their supervisor starts again when they end, and what they ended with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from streams import clock
from streams.agents.exits import FINAL, Exit
from tests.chaos.system import EWS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

DEFECTS = {Exit.CRASHED, *FINAL} - {Exit.DEAD_LETTER_LIMIT}
"""Those that no fault of a broker, a process or a producer may lead to."""
POLL_SECONDS = 0.05
STOP_SECONDS_MAX = 30.0
WITH_CHECKPOINTS = {"worker-2", "worker-3", "portfolio-1"}
"""Those that start from files of their own; the others read the whole changelog."""


class Worker:
    """One `ews worker --supervise`: the parent, and the worker that it starts again and again."""

    def __init__(self, name: str, stage: str, environment: Mapping[str, str], folder: Path) -> None:
        self.name = name
        self.stage = stage
        self.exits: list[int] = []
        self.wanted = True
        self.pid = 0
        """Of the worker; 0 while there is none."""
        self.up = False
        """Whether it has recovered its lanes at least once."""
        self.log = folder / f"{name}.log"
        self._environment = {**environment, "EWS_INSTANCE_ID": name}
        if name in WITH_CHECKPOINTS:
            self._environment["EWS_CHECKPOINT_DIR"] = str(folder / f"{name}.checkpoints")
        self._read = 0
        self.start()

    def start(self, **settings: str) -> None:
        """Start the parent."""
        command = [*EWS, "worker", "--stage", self.stage, "--supervise"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(command, env=self._environment | settings, stdout=log, stderr=log)

    @property
    def held(self) -> bool:
        """Whether it waits for an operator."""
        return self.process.poll() in FINAL

    def signal(self, number: signal.Signals) -> None:
        """Send the worker a signal, if there is one now."""
        with contextlib.suppress(ProcessLookupError):
            if self.pid:
                os.kill(self.pid, number)

    def look(self) -> list[int]:
        """Start a parent that is gone again; the codes that the worker ended with since the last look."""
        ended = []
        for line in self._news():
            match line.get("event"):
                case "supervisor.started":
                    self.pid, self.up = line["pid"], False
                case "worker.recovered":
                    self.up = True
                case "supervisor.ended":
                    self.pid, self.up = 0, False
                    ended += [line["code"]] if self.wanted else []
        self.exits += ended
        if self.wanted and self.process.poll() is not None and not self.held:
            self.up = False
            self.start()
        return ended

    def _news(self) -> Iterator[dict[str, Any]]:
        with self.log.open("rb") as log:
            log.seek(self._read)
            whole = log.read().rpartition(b"\n")[0]
        self._read += len(whole) + bool(whole)
        for line in whole.splitlines():
            with contextlib.suppress(orjson.JSONDecodeError):
                yield orjson.loads(line)

    async def stop(self) -> int:
        """Ask it to stop, when it is up: its exit code."""
        self.wanted = False
        self.process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self.process.wait, STOP_SECONDS_MAX)

    def end(self) -> None:
        """Kill it for good."""
        self.wanted = False
        self.look()
        self.process.kill()
        self.signal(signal.SIGKILL)
        self.process.wait(10)


class Supervisor:
    """All workers, and who looks after them."""

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
                self.exits.update(worker.look())
                if self.operator and worker.process.poll() == Exit.DEAD_LETTER_LIMIT:
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
