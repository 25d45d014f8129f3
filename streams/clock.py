"""The only place that reads the wall clock. Everything below the shell is given the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime

monotonic = time.monotonic
"""Seconds that never go back, for bounds and durations."""


def now() -> datetime:
    """The wall clock, aware and in UTC."""
    return datetime.now(UTC)


def now_ms() -> int:
    """The wall clock in milliseconds since the epoch, as Kafka counts."""
    return time.time_ns() // 1_000_000
