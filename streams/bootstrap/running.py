"""What every long-running consumer is run in: its works side by side, its own server beside them, until a signal."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from streams.health import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from streams.metrics import Metrics
    from streams.settings import Settings


def stop_on_signals() -> asyncio.Event:
    """Set by SIGTERM and Ctrl-C."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def together(
    settings: Settings,
    metrics: Metrics,
    stop: asyncio.Event,
    ready: Callable[[], bool],
    *works: Coroutine[None, None, None],
) -> None:
    """Run the works together until the stop, or until one fails: then the others stop, and its error is raised."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        async with serve(settings, ready=ready, registry=metrics.registry):
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stop.set()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    for end in ends:
        if isinstance(end, BaseException):
            raise end
