"""The transaction coordinator of the simulated cluster: ids, epochs, and transactions that end a while after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka.errors import ConcurrentTransactions, InvalidProducerEpoch, InvalidTxnState

from tests.simulation.log import Txn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from tests.simulation.log import Partition, TopicPartition, Topics
    from tests.simulation.loop import Loop

MARKER_SECONDS = 0.004
"""About how long a marker takes to be written."""


class _Producer:
    """What is known of a transactional id."""

    __slots__ = ("ending", "epoch", "last", "pid", "txn")

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.epoch = -1
        self.txn: Txn | None = None
        self.ending = 0
        """Markers that are still to be written."""
        self.last: str | None = None
        """How the last transaction ended."""


class Coordinator:
    """Every transactional id's producer, and the offsets that groups have committed."""

    def __init__(self, loop: Loop, topics: Topics, random: Random, now_ms: Callable[[], int]) -> None:
        self._loop = loop
        self._topics = topics
        self._random = random
        self._now_ms = now_ms
        self._producers: dict[str, _Producer] = {}
        self._timeout = 10.0
        self.committed: dict[str, dict[TopicPartition, int]] = {}
        self.fenced = 0
        """Requests of fenced producers that were refused."""
        self.aborted = 0
        self.timed_out = 0
        self.commits: list[tuple[str, int]] = []
        """Transactional id and epoch of every commit, in order."""

    def init(self, name: str, timeout: float) -> tuple[int, int]:
        """A new epoch for an id, which fences those before. Raises ConcurrentTransactions while the last one ends."""
        producer = self._producers.setdefault(name, _Producer(len(self._producers)))
        if producer.ending:
            raise ConcurrentTransactions
        producer.epoch += 1
        if producer.txn is not None:
            self._end(producer, "abort")
            raise ConcurrentTransactions
        producer.last = None
        self._timeout = timeout
        return producer.pid, producer.epoch

    def _of(self, name: str, epoch: int) -> _Producer:
        producer = self._producers[name]
        if epoch != producer.epoch:
            self.fenced += 1
            raise InvalidProducerEpoch
        if producer.ending:
            raise ConcurrentTransactions
        return producer

    def add(self, name: str, epoch: int, part: Partition) -> Txn:
        """A partition becomes part of the transaction, which begins with its first."""
        producer = self._of(name, epoch)
        txn = self._begun(name, producer)
        if part not in txn.parts:
            txn.parts.append(part)
        return txn

    def _begun(self, name: str, producer: _Producer) -> Txn:
        if producer.txn is None:
            producer.txn = Txn(producer.pid, producer.epoch, self._loop.time())
            self._loop.world_later(self._timeout, self._time_out, name, producer.txn)
        return producer.txn

    def add_offsets(self, name: str, epoch: int, group: str, offsets: Mapping[TopicPartition, int]) -> None:
        """The offsets of a group are committed with the transaction."""
        producer = self._of(name, epoch)
        self._begun(name, producer).offsets.setdefault(group, {}).update(offsets)

    def end(self, name: str, epoch: int, outcome: str) -> None:
        """Ends the transaction. It is decided when this returns; the markers follow."""
        producer = self._producers[name]
        if epoch != producer.epoch:
            self.fenced += 1
            raise InvalidProducerEpoch
        if producer.txn is None and producer.last == outcome:
            return  # Said again: the answer to the first was lost.
        if producer.txn is None:
            raise InvalidTxnState
        if outcome == "commit":
            self.commits.append((name, epoch))
        self._end(producer, outcome)

    def _time_out(self, name: str, txn: Txn) -> None:
        producer = self._producers[name]
        if producer.txn is txn:
            self.timed_out += 1
            producer.epoch += 1
            self._end(producer, "abort")

    def _end(self, producer: _Producer, outcome: str) -> None:
        txn, producer.txn, producer.last = producer.txn, None, outcome
        assert txn is not None
        txn.outcome = outcome
        self.aborted += outcome == "abort"
        producer.ending = len(txn.parts) + 1
        for part in txn.parts:
            self._loop.world_later(self._delay(), self._mark, producer, part, txn)
        self._loop.world_later(self._delay(), self._mark_offsets, producer, txn)

    def _delay(self) -> float:
        # Now and then one partition's leader is slow: the transaction is visible in one topic and not in another.
        return MARKER_SECONDS * self._random.random() * (1 if self._random.random() > 0.03 else 100)

    def _mark(self, producer: _Producer, part: Partition, txn: Txn) -> None:
        part.mark(self._now_ms(), txn, producer.epoch)
        producer.ending -= 1

    def _mark_offsets(self, producer: _Producer, txn: Txn) -> None:
        if txn.outcome == "commit":
            for group, offsets in txn.offsets.items():
                self.committed.setdefault(group, {}).update(offsets)
        producer.ending -= 1

    def rests(self, name: str, epoch: int) -> bool:
        """Whether this is the youngest epoch of an id, and no transaction of it is open or ending."""
        producer = self._producers[name]
        return producer.epoch == epoch and producer.txn is None and not producer.ending
