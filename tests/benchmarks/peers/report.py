"""What every peer is told, and what it reports: a line of JSON when it is warm and one when it has seen all events."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from typing import NamedTuple

WARM_SHARE = 5


class Job(NamedTuple):
    """Where the events are and how many there will be; 0 for a job without an end."""

    bootstrap: str
    prefix: str
    partitions: int
    events: int
    guarantee: str

    @classmethod
    def of_arguments(cls) -> Job:
        """As the benchmark starts a peer: BOOTSTRAP PREFIX PARTITIONS EVENTS GUARANTEE."""
        bootstrap, prefix, partitions, events, guarantee = sys.argv[1:]
        return cls(bootstrap, prefix, int(partitions), int(events), guarantee)

    @property
    def sources(self) -> list[str]:
        """The topics that the job reads."""
        return [self.prefix + name for name in ("repayments", "transactions", "bureau")]

    @property
    def alerts(self) -> str:
        """The topic that it writes alerts to."""
        return f"{self.prefix}alerts"

    @property
    def state(self) -> str:
        """The compacted topic for states, where the peer does not make its own."""
        return f"{self.prefix}state"


class Report:
    """The peer's two lines. Java's peer writes the same.

    The clock starts when a fifth of the events is done: until then a virtual machine compiles, connections are made.
    """

    def __init__(self, events: int) -> None:
        self._events = events
        self._warm = events // WARM_SHARE
        self._done = 0
        threading.Thread(target=self._end_with_parent, daemon=True).start()

    def seen(self, count: int) -> None:
        """So many more are done."""
        before, self._done = self._done, self._done + count
        if before < self._warm <= self._done:
            self._say("began")
        if before < self._events <= self._done:
            self._say("seen")

    @staticmethod
    def _end_with_parent() -> None:
        while os.read(0, 1):
            pass
        os._exit(0)

    def _say(self, what: str) -> None:
        line = {"what": what, "at_ns": time.time_ns(), "cpu_seconds": time.process_time(), "events": self._done}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
