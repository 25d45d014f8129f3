"""A worker's process with the counting lane, for tests to start, kill, stop and freeze."""

from __future__ import annotations

import sys

from counting_lane import CountingLane

from streams.bootstrap.worker import run
from streams.settings import load

if __name__ == "__main__":
    sys.exit(run(load(), CountingLane))
