"""The faults. Each is put in, held for a while and taken out again; what it returns is a line for a person.

To add one, write a coroutine function here with the decorator.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

from streams import clock
from tests.chaos.moving import move_leaders

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from random import Random

    from streams.local.broker import LocalBroker
    from tests.chaos.load import Load
    from tests.chaos.supervisor import Supervisor
    from tests.chaos.system import System

SESSION_SECONDS = 10.0
"""The session time-out of workers in their group."""
DOWN_SECONDS = (1.0, 8.0)
POISON_BELOW = 120
"""Malformed records that are too few to stop a worker, wherever they fall."""
POISON_ABOVE = 520
UP_SECONDS_MAX = 240.0


class Scene:
    """What faults are put into."""

    def __init__(self, system: System, supervisor: Supervisor, load: Load, dice: Random) -> None:
        self.system = system
        self.supervisor = supervisor
        self.load = load
        self.dice = dice

    def broker(self) -> tuple[int, LocalBroker]:
        """One of the brokers, with its number."""
        number = self.dice.randrange(len(self.system.cluster.brokers))
        return number + 1, self.system.cluster.brokers[number]

    async def hold(self, least: float = DOWN_SECONDS[0], most: float = DOWN_SECONDS[1]) -> float:
        """Let it last."""
        seconds = self.dice.uniform(least, most)
        await asyncio.sleep(seconds)
        return seconds

    async def start(self, *brokers: LocalBroker) -> None:
        """Start brokers again that are down."""
        await asyncio.to_thread(self.system.cluster.stop, brokers)
        await asyncio.to_thread(self.system.cluster.start, brokers)


Fault = "Callable[[Scene], Awaitable[str]]"
KINDS: dict[str, Callable[[Scene], Awaitable[str]]] = {}


def _fault(function: Callable[[Scene], Awaitable[str]]) -> Callable[[Scene], Awaitable[str]]:
    KINDS[function.__name__.replace("_", "-")] = function
    return function


@_fault
async def worker_killed(scene: Scene) -> str:
    """Kill -9 of one worker, or of several at once, of both stages; now and then of its supervisor as well."""
    workers = list(scene.supervisor.workers.values())
    chosen = scene.dice.sample(workers, scene.dice.choice((1, 1, 2, len(workers))))
    with_parent = scene.dice.random() < 0.2
    for worker in chosen:
        if with_parent:
            worker.process.kill()
        worker.signal(signal.SIGKILL)
    return " ".join(worker.name for worker in chosen) + " and the supervisor" * with_parent


@_fault
async def worker_paused(scene: Scene) -> str:
    """A worker is stopped for longer than its session and goes on as if nothing had been."""
    worker = scene.dice.choice(list(scene.supervisor.workers.values()))
    worker.signal(signal.SIGSTOP)
    seconds = await scene.hold(SESSION_SECONDS + 1, SESSION_SECONDS + 5)
    worker.signal(signal.SIGCONT)
    return f"{worker.name} for {seconds:.0f} s"


@_fault
async def broker_killed(scene: Scene) -> str:
    """Kill -9 of a broker, started again after a while."""
    number, broker = scene.broker()
    broker.signal(signal.SIGKILL)
    seconds = await scene.hold()
    await scene.start(broker)
    return f"broker {number}, down for {seconds:.0f} s and its start"


@_fault
async def broker_paused(scene: Scene) -> str:
    """A broker stands still for so long that others take its leaders over, and then goes on."""
    number, broker = scene.broker()
    broker.signal(signal.SIGSTOP)
    seconds = await scene.hold(10.0, 14.0)
    broker.signal(signal.SIGCONT)
    return f"broker {number} for {seconds:.0f} s"


@_fault
async def cluster_restarted(scene: Scene) -> str:
    """All brokers are down at once, killed or stopped in order."""
    brokers = scene.system.cluster.brokers
    how = scene.dice.choice((signal.SIGKILL, signal.SIGTERM))
    for broker in brokers:
        broker.signal(how)
    seconds = await scene.hold(0.0, 4.0)
    await scene.start(*brokers)
    return f"{how.name}, down for {seconds:.0f} s and their start"


@_fault
async def partitions_moved(scene: Scene) -> str:
    """Half of the product's topics lose their leader, and get the copy back as the last one."""
    topics = {topic for topic in scene.load.by_topic if scene.dice.random() < 0.5} | {"order", "state", "alerts"}
    moved = await move_leaders(scene.system.settings.bootstrap_servers, topics.__contains__)
    return f"{moved} partitions of {len(topics)} topics"


@_fault
async def coordinators_moved(scene: Scene) -> str:
    """Every transaction's and every group's coordinator moves to another broker, all of them alive."""
    servers = scene.system.settings.bootstrap_servers
    moved = await move_leaders(servers, {"__transaction_state", "__consumer_offsets"}.__contains__)
    return f"{moved} partitions"


@_fault
async def disk_full(scene: Scene) -> str:
    """A broker's disk has no room; it gets some, and the broker is started again if it ended."""
    disk, broker = scene.system.disk, scene.system.cluster.brokers[-1]
    if disk is None:
        return "LEFT OUT: no small disk could be mounted"
    disk.fill()
    seconds = await scene.hold(6.0, 12.0)
    ended = not broker.running
    disk.free()
    if ended:
        await scene.start(broker)
    return f"for {seconds:.0f} s, the broker {'ended' if ended else 'lived'}"


@_fault
async def poison_below_limit(scene: Scene) -> str:
    """Malformed records everywhere, too few to stop anybody."""
    await scene.load.poison(scene.dice, POISON_BELOW, in_a_row=False)
    return f"{POISON_BELOW} records"


@_fault
async def poison_above_limit(scene: Scene) -> str:
    """So many in a row that whoever owns the lane ends with 3, until an operator lets them pass."""
    await scene.load.poison(scene.dice, POISON_ABOVE, in_a_row=True)
    supervisor, deadline = scene.supervisor, clock.monotonic() + UP_SECONDS_MAX
    supervisor.operator = False
    while not (stopped := [worker for worker in supervisor.workers.values() if worker.held]):
        assert clock.monotonic() < deadline, "no worker stopped at the limit"
        await asyncio.sleep(0.1)
    await scene.hold(0.0, 3.0)
    supervisor.operator = True
    return f"{POISON_ABOVE} in a row, {stopped[0].name} ended with {stopped[0].process.poll()} first"


@_fault
async def workers_rebalanced(scene: Scene) -> str:
    """One more worker comes, takes lanes and goes again, in order or killed."""
    worker = scene.supervisor.add("worker-4")
    late = await scene.supervisor.all_up(UP_SECONDS_MAX)
    assert not late, f"{late} did not come up"
    await scene.hold(1.0, 3.0)
    scene.supervisor.remove(worker.name)
    if scene.dice.random() < 0.5:
        worker.end()
        return "came, was killed"
    return f"came, stopped with {await worker.stop()}"
