"""A worker that is asked to stop stops in order, whatever its group does at that moment."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from faust.transport.consumer import Fetcher

from streams.agents.transport import Consumer


class WaitingConsumer(Consumer):
    """A consumer whose flow is stopped, as in a rebalance, and nothing else of it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def _drain_buffers(self, fetcher: Any) -> None:  # noqa: ARG002 - the signature
        await asyncio.Event().wait()


@pytest.mark.parametrize("stopping", [True, False])
async def test_a_stop_during_a_rebalance_is_no_crash(*, stopping: bool) -> None:
    """Faust's fetcher calls its cancellation a crash while the group rebalances; of a stop it must not hear of one."""
    crashes: list[BaseException] = []

    async def crash(reason: BaseException) -> None:
        crashes.append(reason)

    app = SimpleNamespace(rebalancing=True, should_stop=stopping)
    app.consumer = WaitingConsumer(app)
    quiet = SimpleNamespace(info=lambda _text: None, wakeup=lambda: None)
    fetcher: Any = SimpleNamespace(app=app, crash=crash, log=quiet, supervisor=quiet, set_shutdown=lambda: None)
    running = asyncio.create_task(Fetcher._fetcher.fun(fetcher))
    await asyncio.sleep(0)
    running.cancel()
    await asyncio.wait([running])
    assert [] == crashes if stopping else 1 == len(crashes)
