"""Several brokers on loopback as one cluster, each a process of its own: for tests of what one broker cannot show."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from streams.local import jars
from streams.local.broker import HOST, LocalBroker, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path
    from types import TracebackType


class LocalCluster:
    """Nodes that are brokers and controllers alike; a context manager. Blocking, as `LocalBroker` is.

    Its ports are taken when it is made: between that and the start somebody else may take them, and it does not start.
    """

    def __init__(self, directory: Path, size: int = 3, *, say: Callable[[str], None] = lambda _line: None) -> None:
        self._say = say
        with free_ports(*[0] * 2 * size) as ports:
            nodes = list(enumerate(zip(ports[:size], ports[size:], strict=True), 1))
        shared = {
            "controller.quorum.voters": ",".join(f"{n}@{HOST}:{controller}" for n, (_, controller) in nodes),
            "offsets.topic.replication.factor": min(3, size),
            "transaction.state.log.replication.factor": min(3, size),
            "transaction.state.log.min.isr": min(2, size),
        }
        self.brokers = [
            LocalBroker(directory / str(n), port, say=say, small=True, properties=shared | _own(n, port, controller))
            for n, (port, controller) in nodes
        ]

    @property
    def bootstrap_servers(self) -> str:
        """Where its nodes listen."""
        return ",".join(broker.bootstrap_servers for broker in self.brokers)

    def start(self, brokers: Iterable[LocalBroker] | None = None) -> None:
        """Start all nodes (or these) side by side: a node answers only once most are up. Raises Unavailable."""
        jars.classpath(self._say)  # Once, not by each of them.
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(LocalBroker.start, self.brokers if brokers is None else brokers))

    def stop(self, brokers: Iterable[LocalBroker] | None = None) -> None:
        """Stop all nodes (or these). Harmless for those that are not running."""
        with ThreadPoolExecutor(len(self.brokers)) as pool:
            list(pool.map(LocalBroker.stop, self.brokers if brokers is None else brokers))

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _own(number: int, port: int, controller_port: int) -> dict[str, object]:
    listeners = f"PLAINTEXT://{HOST}:{port},CONTROLLER://{HOST}:{controller_port}"
    return {"node.id": number, "listeners": listeners}
