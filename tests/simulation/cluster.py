"""The simulated cluster: log, transactions, group, and the network to them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from streams.agents.clients import Clients
from tests.simulation.clients import Consumer, Producer
from tests.simulation.coordinator import Coordinator
from tests.simulation.log import Topics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from random import Random

    from tests.simulation.loop import Loop
    from tests.simulation.network import Network


class Cluster:
    """All that is not a worker."""

    def __init__(
        self, loop: Loop, random: Random, network: Network, now_ms: Callable[[], int], *, partitions: int
    ) -> None:
        self._loop = loop
        self._random = random
        self.network = network
        self.partitions = partitions
        self.topics = Topics(loop.time)
        self.transactions = Coordinator(loop, self.topics, random, now_ms)
        self.clients = Clients(partial(Consumer, self), partial(Producer, self))
        self.part_fetches = 0.0
        """How often a fetch brings only a part of the partitions, and of their records."""

    def fetch(
        self, asked: dict[Any, int], records_max: int | None, *, committed: bool
    ) -> dict[Any, tuple[list[Any], int, int, int]]:
        """The answer to a fetch: now and then of some partitions only, so that topics overtake each other."""
        answer = {}
        for part, position in asked.items():
            partition = self.topics[part]
            count = records_max or 1 << 30
            if self.part_fetches and self._random.random() < self.part_fetches:
                if self._random.random() < 0.5:
                    continue
                count = 1 + int(self._random.random() * 4)
            records, next_ = partition.read(position, count, committed=committed)
            answer[part] = records, next_, partition.stable_end, partition.end
        return answer

    async def news(self, parts: Iterable[Any], timeout: float) -> None:  # noqa: ASYNC109 - there is no other clock
        """Returns when one of these partitions may have more, or when time is up."""
        woken = self._loop.create_future()

        def wake() -> None:
            if not woken.done():
                woken.set_result(None)

        waiting = [self.topics[part].waiters for part in parts]
        for waiters in waiting:
            waiters.append(wake)
        timer = self._loop.call_later(timeout, wake)
        try:
            await woken
        finally:
            timer.cancel()
            for waiters in waiting:
                if wake in waiters:
                    waiters.remove(wake)
