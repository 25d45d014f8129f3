"""What is put under fire: three brokers, the product's topics with three copies, and the settings of its processes."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from streams.kafka.topics import create_topics
from streams.local.cluster import LocalCluster
from streams.settings import Settings
from tests.chaos.disk import SmallDisk

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

PARTITIONS = 6
ROOT = Path(__file__).parents[2]
EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")
Clock = Literal["wall", "event"]


class System:
    """The cluster and the topics in it; an async context manager. The last broker has a small disk if it can."""

    def __init__(self, folder: Path, clock: Clock, *, small_disk: bool, say: Callable[[str], None]) -> None:
        self.folder = folder
        self.clock = clock
        self.cluster = LocalCluster(folder, say=say)
        self.disk = SmallDisk(self.cluster.brokers[-1].data) if small_disk else None
        self._say = say

    @property
    def settings(self) -> Settings:
        """The settings that all processes share."""
        servers = self.cluster.bootstrap_servers
        return Settings(bootstrap_servers=servers, partitions=PARTITIONS, replication=3, min_isr=2, clock=self.clock)

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables."""
        names = ("bootstrap_servers", "partitions", "replication", "min_isr", "clock")
        own = {f"EWS_{name.upper()}": str(getattr(self.settings, name)) for name in names}
        return {**os.environ, "PYTHONPATH": str(ROOT), "EWS_TICK_SECONDS": "2", **own}

    async def __aenter__(self) -> Self:
        if self.disk is not None and (refused := self.disk.mount()) is not None:
            self._say(f"DISK FULL IS LEFT OUT: {refused}")
            self.disk = None
        try:
            await asyncio.to_thread(self.cluster.start)
            await create_topics(self.settings)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.cluster.stop)
        if self.disk is not None:
            self.disk.unmount()
