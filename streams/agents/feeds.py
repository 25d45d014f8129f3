"""The heartbeats of the sources, as every worker keeps them: read from the log without a group, in memory."""

from __future__ import annotations

import asyncio
import contextlib
from bisect import bisect_left
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition

from streams.agents.clients import AIOKAFKA
from streams.agents.exits import leave_on

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from streams.agents.clients import Clients
    from streams.agents.recovery import Ends
    from streams.engine.drain import SourceRecord

_offset = attrgetter("offset")


class NoFeeds:
    """In place of `Feeds` where a stage takes up no heartbeats."""

    end = 0

    async def start(self) -> None:
        """Does nothing."""

    async def need(self, position: int) -> None:
        """Has all there is."""

    async def stop(self) -> None:
        """Does nothing."""

    def since(self, position: int) -> Sequence[SourceRecord]:  # noqa: ARG002 - as of Feeds
        """Nothing."""
        return ()


class Feeds:
    """The one partition of `feeds`, from the lowest position that an owned lane needed so far, kept up to date."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        topic: str,
        ends: Ends,
        on_news: Callable[[], None],
        clients: Clients = AIOKAFKA,
    ) -> None:
        self._connection = connection
        self._clients = clients
        self._ends = ends
        self._partition = TopicPartition(topic, 0)
        self._on_news = on_news
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None
        self._first: int | None = None
        self.records: list[SourceRecord] = []

    @property
    def end(self) -> int:
        """The offset after the last heartbeat here; tells whether anything came since."""
        return self.records[-1].offset + 1 if self.records else 0

    async def start(self) -> None:
        """Connects."""
        self._consumer = self._clients.consumer(
            **self._connection, isolation_level="read_committed", fetch_max_wait_ms=500, enable_auto_commit=False
        )
        await self._consumer.start()

    async def need(self, position: int) -> None:
        """Returns when all from this position to the present end is here; from then on it is kept up to date."""
        if self._first is not None and self._first <= position:
            return
        await self._pause()
        begins, ends = await self._ends.of([self._partition])
        self._first = position
        self.records.clear()
        self._consumer.assign([self._partition])
        self._consumer.seek(self._partition, max(begins[self._partition], position))
        while await self._consumer.position(self._partition) < ends[self._partition]:
            await self._read()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stops reading."""
        await self._pause()
        if self._consumer is not None:
            await self._consumer.stop()

    async def _pause(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    def since(self, position: int) -> Sequence[SourceRecord]:
        """The heartbeats from this position on."""
        if not self.records or self.records[-1].offset < position:
            return ()
        return self.records[bisect_left(self.records, position, key=_offset) :]

    async def _follow(self) -> None:
        try:
            while True:
                if await self._read():
                    self._on_news()
        except Exception as error:  # noqa: BLE001 - without heartbeats silence would be taken for news
            leave_on(error)

    async def _read(self) -> bool:
        fetched = await self._consumer.getmany(self._partition, timeout_ms=1_000)
        self.records.extend(fetched.get(self._partition, ()))
        return bool(fetched)
