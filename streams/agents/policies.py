"""The policies, as every worker follows them: their topic read from its beginning, without a group."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any, Protocol

import structlog
from aiokafka import TopicPartition

from streams.agents.clients import AIOKAFKA
from streams.agents.exits import leave_on
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from streams.agents.clients import Clients
    from streams.agents.recovery import Ends

log = structlog.get_logger(__name__)


class Book(Protocol):
    """What becomes of the records. `streams.bootstrap.policy_book.PolicyBook` is the product's."""

    in_force: str | None
    """The version that is in force by the topic; None for the one that the worker began with."""

    def learn(self, key: bytes | None, value: bytes | None) -> str:
        """Take up a record; the version that is in force by it. Raises Misconfigured if it is no good."""
        ...


class Policies:
    """The one partition of `policies`, read once before the first lane drains, and kept up to date."""

    def __init__(
        self,
        connection: Mapping[str, Any],
        topic: str,
        ends: Ends,
        book: Book,
        *,
        on_news: Callable[[], None],
        on_ignored: Callable[[], None],
        clients: Clients = AIOKAFKA,
    ) -> None:
        self._connection = connection
        self._clients = clients
        self._partition = TopicPartition(topic, 0)
        self._ends = ends
        self._book = book
        self._on_news = on_news
        self._on_ignored = on_ignored
        self._consumer: Any = None
        self._task: asyncio.Task[None] | None = None

    @property
    def in_force(self) -> str | None:
        """The version that is in force by the topic, None while it has none."""
        return self._book.in_force

    async def start(self) -> None:
        """Connects."""
        self._consumer = self._clients.consumer(
            **self._connection, isolation_level="read_committed", fetch_max_wait_ms=500, enable_auto_commit=False
        )
        await self._consumer.start()

    async def read(self) -> None:
        """Returns when all up to the present end is here; from then on it is kept up to date."""
        if self._task is not None:
            return
        begins, ends = await self._ends.of([self._partition])
        self._consumer.assign([self._partition])
        self._consumer.seek(self._partition, begins[self._partition])
        while await self._consumer.position(self._partition) < ends[self._partition]:
            await self._read()
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        """Stops reading."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._consumer is not None:
            await self._consumer.stop()

    async def _follow(self) -> None:
        try:
            while True:
                if await self._read():
                    self._on_news()
        except Exception as error:  # noqa: BLE001 - it would go by the old policy for ever
            leave_on(error)

    async def _read(self) -> bool:
        before = self._book.in_force
        fetched = await self._consumer.getmany(self._partition, timeout_ms=1_000)
        for record in fetched.get(self._partition, ()):
            try:
                self._book.learn(record.key, record.value)
            except Misconfigured as wrong:  # Whoever wrote it is not here to be told, and the policy before it holds.
                self._on_ignored()
                log.warning("policy.ignored", offset=record.offset, reason=str(wrong))
        if self._book.in_force == before:
            return False
        log.info("policy.in_force", version=self._book.in_force)
        return True
