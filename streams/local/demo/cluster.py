"""Where a demo's topics are: in a broker of its own, or in a cluster that it was given, among others'."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Protocol

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from schemas.topics import LAYOUTS
from streams.errors import Unavailable
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import create_topics
from streams.local.broker import LocalBroker

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from streams.settings import Settings

DELETE_SECONDS_MAX = 10.0


class Cluster(Protocol):
    """A cluster during one demo."""

    async def start(self, settings: Callable[[str], Settings]) -> Settings:
        """Have the topics ready; `settings` is asked with the servers. Raises Misconfigured or Unavailable."""
        ...

    def check(self) -> None:
        """Raises Unavailable if it has gone."""
        ...

    async def stop(self) -> None:
        """Leave nothing behind that runs. Harmless at any time."""
        ...


class OwnBroker:
    """A broker in the demo's directory."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        self._broker = LocalBroker(directory, say=say)
        self._starting: asyncio.Task[None] | None = None

    async def start(self, settings: Callable[[str], Settings]) -> Settings:
        """Start it and make the topics."""
        self._starting = asyncio.create_task(asyncio.to_thread(self._broker.start))
        await asyncio.shield(self._starting)
        made = settings(self._broker.bootstrap_servers)
        await create_topics(made)
        return made

    def check(self) -> None:
        """Raises Unavailable if it has ended."""
        if not self._broker.running:
            raise Unavailable(f"the broker ended by itself; its log is {self._broker.log_file}")

    async def stop(self) -> None:
        """Stop it, in the middle of its start too."""
        await asyncio.to_thread(self._broker.stop)
        if self._starting is not None:
            with contextlib.suppress(Exception):  # It was stopped while it started; or its fault is known already.
                await self._starting
            await asyncio.to_thread(self._broker.stop)


class GivenCluster:
    """A cluster of somebody's. Our topics carry our prefix and are deleted at the end."""

    def __init__(self, bootstrap_servers: str, *, keep: bool) -> None:
        self._servers = bootstrap_servers
        self._keep = keep
        self._settings: Settings | None = None

    async def start(self, settings: Callable[[str], Settings]) -> Settings:
        """Make the topics."""
        self._settings = settings(self._servers)
        await create_topics(self._settings)
        return self._settings

    def check(self) -> None:
        """Its clients say so themselves."""

    async def stop(self) -> None:
        """Delete the topics."""
        if self._settings is not None and not self._keep:
            # What a demo that has failed leaves there has its prefix in its name.
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                async with asyncio.timeout(DELETE_SECONDS_MAX):
                    await _delete(self._settings)
            self._settings = None


async def _delete(settings: Settings) -> None:
    admin = AIOKafkaAdminClient(**connection(settings))
    try:
        await admin.start()
        await admin.delete_topics([topic_name(settings, name) for name in LAYOUTS])
    finally:
        await admin.close()
