"""A worker's process with the counting lane, for tests to start, kill, stop and freeze."""

from __future__ import annotations

import os
import sys
from functools import partial

from counting_lane import CountingLane

from streams.agents import watchdog
from streams.bootstrap.worker import run
from streams.settings import load

if __name__ == "__main__":
    watchdog.STALL_SECONDS = float(os.environ.get("COUNTING_STALL_SECONDS", watchdog.STALL_SECONDS))
    step_ms = int(os.environ.get("COUNTING_STEP_MS", "60000"))
    sys.exit(run(load(), partial(CountingLane, step_ms=step_ms)))
