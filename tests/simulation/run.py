"""One run of a seed: sources write, workers work and are hindered, then all is calm, and the log is judged."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from itertools import count
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from aiokafka.errors import KafkaTimeoutError, NotEnoughReplicasError

from schemas.topics import POLICIES, SOURCES, STATE
from streams import clock
from streams.agents import exits, transport
from streams.agents.exits import Exit
from streams.bootstrap.worker import lane_factory
from streams.settings import Settings
from tests.simulation import network as net
from tests.simulation import oracle
from tests.simulation.cluster import Cluster
from tests.simulation.group import Group
from tests.simulation.lives import DAYS, PARTITIONS
from tests.simulation.log import Written
from tests.simulation.loop import PROCESS, Gone, Hang, Loop
from tests.simulation.network import Fate, Network, Odds
from tests.simulation.oracle import Broken
from tests.simulation.plan import (
    BEGIN_MS,
    COMMITTING,
    DAY_MS,
    KINDS,
    LIMIT_SECONDS,
    SECONDS,
    TROUBLE_SECONDS,
    Plan,
    plan_of,
)
from tests.simulation.policies import all_known, new_book, records
from tests.simulation.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from tests.simulation.loop import Process

    Bug = Callable[["Run"], AbstractContextManager[object]]

EXPECTED = {
    Exit.OK, Exit.FENCED, Exit.INSTANCE_TAKEN, Exit.TRANSACTION_DEADLINE, Exit.TRANSACTION_FAILED, Exit.RECOVERY_FAILED,
}  # fmt: skip
"""How a worker may end while there are faults."""
PULL_SECONDS = 0.5
"""An idle worker asks less often than the real one: it is woken by what comes."""
LINGER_SECONDS = 45.0
"""How long the last faults may still end workers."""
net.REFUSALS |= {"produce": NotEnoughReplicasError, "ends": KafkaTimeoutError}


@dataclass(slots=True)
class Report:
    """What became of a run."""

    seed: int
    broken: str | None = None
    """The assertion that did not hold."""
    detail: str = ""
    digest: str = ""
    seconds: float = 0.0
    turns: int = 0
    faults: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)


@cache
def _settings(kind: str, instance: str | None) -> Settings:
    until = datetime.fromtimestamp(BEGIN_MS / 1000 + DAYS * 86_400, ZoneInfo("UTC")) if kind == "event" else None
    return Settings(
        partitions=PARTITIONS,
        clock="event" if kind == "event" else "wall",
        clock_until=until,
        instance_id=instance,
        tick_seconds=3_600,
    )


class Run:
    """The world of one seed."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.dice = plan.dice
        self.loop = Loop(self.dice, LIMIT_SECONDS)
        self.network = Network(self.loop, self.dice, Odds(TROUBLE_SECONDS, plan.odds))
        self.cluster = Cluster(self.loop, self.dice, self.network, self.world_ms, partitions=PARTITIONS)
        self.cluster.part_fetches = plan.part_fetches
        self.group = Group(self.loop, self.dice, PARTITIONS)
        self.workers: dict[str, Worker] = {}
        self.skews: dict[str, int] = {}
        self.exits: Counter[str] = Counter()
        self.broken: Broken | None = None
        self.calm = False
        self.ending = False
        self._numbers = count()
        self.last_words = ""
        """What the process that ended last logged of why."""

    def world_ms(self) -> int:
        """The time of day in the world."""
        return self.plan.now_ms(self.loop.time())

    def now_ms(self) -> int:
        """What the clock of the process that asks says."""
        return self.world_ms() + self.skews.get(PROCESS.get().name, 0)

    # -- processes --------------------------------------------------------------------------------------------------

    def start(self, name: str) -> None:
        """Starts a worker; whatever ends it, it is started again."""
        if self.ending:
            return
        process = self.loop.new_process(name)
        process.on_end = lambda code: self._ended(process, code)
        if not self.calm:
            self._doom(process)
        process.context.run(self._make, name, process)

    def _make(self, name: str, process: Process) -> None:
        settings = _settings(self.plan.clock, name if self.plan.static else None)
        book = new_book()
        worker = Worker(self.cluster, self.group, settings, lane_factory(settings, book), book, chance=self.dice.random)
        worker.on_recovered = lambda: self._recovered(worker)
        self.workers[name] = worker
        self.loop.spawn(process, worker.run())

    def _ended(self, process: Process, code: int | None) -> None:
        name = process.name
        self.exits["killed" if code is None else Exit(code).name.lower()] += 1
        if self.workers[name].process is process:
            self.network.fates.pop(name, None)
        calm = self.loop.time() > TROUBLE_SECONDS + LINGER_SECONDS
        if code is not None and code != Exit.OK and (Exit(code) not in EXPECTED or calm):
            late = " when all was calm" if calm else ""
            detail = f"{name}: {Exit(code).name}{late}: {self.last_words}"
            self.broken = self.broken or Broken("no unexpected exit", detail)
        if not self.ending and self.workers[name].process is process:
            self.loop.world_later(0.05 + self.dice.random() ** 4 * 12, self.start, name)

    def _doom(self, process: Process) -> None:
        """Draws what befalls it, and when."""
        dice, fates = self.dice, self.network.fates.setdefault(process.name, [])
        for what, chance in (("kill", 0.5), ("pause", 0.3), ("term", 0.1)):
            if dice.random() > chance:
                continue
            deed = {"kill": self._killing, "pause": self._pausing, "term": self._stopping}[what](process)
            if dice.random() < 0.6:
                left = int(dice.random() ** 2 * 12)
                kinds = COMMITTING if what == "pause" and dice.random() < 0.7 else KINDS
                fates.append(Fate(dice.choice(kinds), left, dice.random() < 0.5, deed, what))
            else:
                process.stops_at.append((int(10 ** (0.5 + dice.random() * 3)), deed))
        process.stops_at.sort(key=lambda stop: -stop[0])

    def _killing(self, process: Process) -> Any:
        return lambda: (self.network.fault("kill"), process.end(None)) if not self.calm else None

    def _pausing(self, process: Process) -> Any:
        seconds, replaced = 10 ** (self.dice.random() * 3 - 1.5), self.dice.random() < 0.6
        delay = 10 ** (self.dice.random() * 2 - 2)

        def pause() -> None:
            if not self.calm:
                self.network.fault("pause")
                self.loop.pause(process, seconds)
                if replaced:
                    self.loop.world_later(delay, self._replace, process)

        return pause

    def _replace(self, process: Process) -> None:
        """Another process is started in place of one that only seems to be dead: both live."""
        if process.alive and self.workers[process.name].process is process and not self.calm:
            self.network.fault("replaced while paused")
            self.start(process.name)

    def _stopping(self, process: Process) -> Any:
        def stop() -> None:
            worker = self.workers.get(process.name)
            if worker is not None and worker.process is process and not worker.stopped and not self.calm:
                self.network.fault("term")
                self.loop.spawn(process, worker.stop())

        return stop

    def _recovered(self, worker: Worker) -> None:
        """What was read back is what is committed, if nobody younger owns the lane."""
        for number, lane in worker.lanes.owned.items():
            if self._rightful(lane) and lane.states != oracle.states_of(self.cluster.topics, number):
                self.broken = self.broken or Broken("recovered states", f"{worker.process.name}, lane {number}")

    def _rightful(self, lane: Any) -> bool:
        """Whether nobody younger owns the lane, and its last transaction is over."""
        producer = lane.producer._producer
        return bool(self.cluster.transactions.rests(producer._name, producer._epoch))

    # -- the world --------------------------------------------------------------------------------------------------

    def produce(self) -> None:
        """Plans what the sources and the policies' desk write, and what else happens."""
        for when, message in self.plan.messages:
            self.loop.world_later(when, self._write, message)
        if self.dice.random() < 0.4:
            for key, value in self.dice.sample(records(), 2):
                self.loop.world_later(self.dice.random() * SECONDS, self._apply_policy, key, value)
        for _ in range(self.dice.choice((0, 0, 1, 2))):
            self.loop.world_later(self.dice.random() * TROUBLE_SECONDS, self._disturb)
        if self.plan.skews:
            self.loop.world_later(self.dice.random() * SECONDS, self._jump)
        if self.dice.random() < 0.2:
            self.loop.world_later(self.dice.random() * TROUBLE_SECONDS, self._expire)
        if self.plan.compacts:
            self.loop.world_later(2.0, self._compact)

    def _write(self, message: Any) -> None:
        stamp = self.world_ms() if self.plan.clock == "wall" else message.known_ms
        partition = self.cluster.topics[message.topic, message.partition]
        written = Written(message.key, message.value)
        if self.dice.random() >= self.plan.transactional:
            partition.append(stamp, [written])
            return
        transactions, name = self.cluster.transactions, f"gateway-{next(self._numbers)}"
        _, epoch = transactions.init(name, 10.0)
        txn = transactions.add(name, epoch, partition)
        partition.append(stamp, [written], txn)
        aborted = self.dice.random() < 0.3
        self.network.fault("source transaction " + ("aborted" if aborted else "committed"))
        if aborted:
            self.loop.world_later(0.001, self._write, message)
        outcome = "abort" if aborted else "commit"
        self.loop.world_later(self.dice.random() * 0.5, transactions.end, name, epoch, outcome)

    def _apply_policy(self, key: bytes, value: bytes) -> None:
        self.network.fault("policy changed")
        self.cluster.topics[POLICIES, 0].append(self.world_ms(), [Written(key, value)])

    def _disturb(self) -> None:
        self.network.fault("rebalance")
        self.group.disturb()

    def _jump(self) -> None:
        name = f"worker-{self.dice.randrange(self.plan.workers)}"
        self.network.fault("clock jump")
        self.skews[name] = int((self.dice.random() - 0.5) * 6 * DAY_MS)

    def _expire(self) -> None:
        self.network.fault("committed offsets expired")
        self.cluster.transactions.committed.clear()

    def _compact(self) -> None:
        for lane in range(PARTITIONS):
            part = self.cluster.topics[STATE, lane]
            part.compact(int(part.end * self.dice.random()))
        self.network.fault("compaction")
        if not self.calm:
            self.loop.world_later(2.0, self._compact)

    # -- the run ----------------------------------------------------------------------------------------------------

    async def live(self) -> None:
        """All of it. Raises Broken."""
        self.produce()
        for number in range(self.plan.workers):
            self.loop.world_later(self.dice.random() * 0.5, self.start, f"worker-{number}")
        await asyncio.sleep(TROUBLE_SECONDS)
        self.calm = True
        self.network.fates.clear()
        self.skews.clear()
        target = self._target()
        while not self._done(target):  # noqa: ASYNC110 - it is the log that is looked at
            await asyncio.sleep(0.5)
        await asyncio.sleep(1.0)  # The last markers.
        self._same_in_memory()
        self.ending = True
        for process in [process for process in self.loop.processes if process is not self.loop.world]:
            process.end(None)
        await asyncio.sleep(11.0)  # What they left open is aborted by then.
        verdict = oracle.Verdict(
            self.cluster.topics, PARTITIONS, all_known().engine, self.cluster.transactions.committed.get("ews", {})
        )
        verdict.expired = self.network.faults["committed offsets expired"] > 0
        verdict.reached()
        self._ends_had_reasons()
        self._ticks_in_time()
        self.verdict = verdict

    def _target(self) -> int:
        return (
            _settings("event", None).clock_until.timestamp() * 1000 if self.plan.clock == "event" else self.world_ms()
        )  # type: ignore[union-attr, return-value]

    def _done(self, target: int) -> bool:
        if self.broken is not None:
            raise self.broken
        for lane in range(PARTITIONS):
            position = oracle.position_in(oracle.states_of(self.cluster.topics, lane))
            if position.now_ms < target or position.unfinished or position.sweep is not None:
                return False
            for topic in map(str, SOURCES):
                seen = self.cluster.topics[topic, lane].visible()
                if seen and position.offsets.get(topic, 0) <= seen[-1].offset:
                    return False
        return all(not lane.busy for worker in self.workers.values() for lane in worker.lanes.owned.values())

    def _ends_had_reasons(self) -> None:
        """No worker ended by itself more often than something was done to it."""
        faults = self.network.faults
        disturbed = sum(count for what, count in faults.items() if "produce" in what or what == "pause")
        for name, allowed in (("transaction_failed", disturbed), ("recovery_failed", faults["ends refused"])):
            if self.exits[name] > allowed:
                raise Broken("no unexpected exit", f"{self.exits[name]} x {name} for {allowed} faults")

    def _same_in_memory(self) -> None:
        for worker in self.workers.values():
            for number, lane in worker.lanes.owned.items():
                if self._rightful(lane) and lane.states != oracle.states_of(self.cluster.topics, number):
                    raise Broken("states in memory", f"{worker.process.name}, lane {number}")

    def _ticks_in_time(self) -> None:
        if self.plan.clock == "wall" and not self.plan.skews:
            for lane in range(PARTITIONS):
                oracle.ticks_in_time(self.cluster.topics, lane, self.plan.second_of)


@contextlib.contextmanager
def _in_the_world_of(run: Run) -> Iterator[None]:
    """Time is virtual, and the end of a process is that of the simulated one."""

    def leave(code: int) -> None:
        PROCESS.get().end(code)
        raise Gone

    before = clock.monotonic, clock.now_ms, exits.os, exits.log
    pull_seconds, transport.PULL_SECONDS = transport.PULL_SECONDS, PULL_SECONDS
    clock.monotonic, clock.now_ms = run.loop.time, run.now_ms
    exits.os = SimpleNamespace(_exit=leave)  # type: ignore[assignment]
    exits.log = SimpleNamespace(critical=lambda *_, **facts: setattr(run, "last_words", repr(facts)))
    try:
        yield
    finally:
        clock.monotonic, clock.now_ms, exits.os, exits.log = before
        transport.PULL_SECONDS = pull_seconds


def simulate(seed: int, bug: Bug | None = None) -> Report:
    """Runs a seed, with a planted bug if one is given."""
    run = Run(plan_of(seed))
    report = Report(seed)
    with _in_the_world_of(run), bug(run) if bug is not None else contextlib.nullcontext():
        try:
            run.loop.run(run.live())
            report.broken, report.detail = _unseen(run)
        except Hang as hang:
            broken = run.broken or Broken("no hang", str(hang))
            report.broken, report.detail = broken.assertion, broken.detail
        except Broken as broken:
            report.broken, report.detail = broken.assertion, broken.detail
    report.digest = _digest(run)
    report.seconds, report.turns = run.loop.time(), run.loop.turns
    report.faults = run.network.faults
    report.counts.update({f"exit {name}": count for name, count in run.exits.items()})
    report.counts.update(run.network.requests)
    report.counts["rebalances"] = run.group.rebalances
    transactions = run.cluster.transactions
    report.counts.update(
        {"fenced requests": transactions.fenced, "aborted transactions": transactions.aborted,
         "timed out transactions": transactions.timed_out, "commits": len(transactions.commits)}
    )  # fmt: skip
    if report.broken is None:
        report.counts.update(
            {"alerts": run.verdict.alerts, "records applied": run.verdict.applied, "dead letters": run.verdict.letters}
        )
    return report


def _unseen(run: Run) -> tuple[str | None, str]:
    return ("no exception unseen", run.loop.surprises[0]) if run.loop.surprises else (None, "")


def _digest(run: Run) -> str:
    total = hashlib.sha256(repr(run.network.digest).encode())
    for part in sorted(run.cluster.topics.parts):
        for entry in run.cluster.topics.parts[part].entries:
            total.update(repr((part, entry.offset, entry.key, entry.value, entry.marker)).encode())
    return total.hexdigest()
