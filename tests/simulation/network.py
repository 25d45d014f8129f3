"""Requests of processes to the cluster, and what befalls them: late, lost on the way there or back, refused.

Every request is a step at which its process can be killed or paused: before it leaves, or when it has taken effect and
the answer is on its way.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.simulation.loop import Gone

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from random import Random

    from tests.simulation.loop import Loop, Process

LATENCY_SECONDS = 0.002


@dataclass(slots=True)
class Fate:
    """What is to befall a process at one of its requests."""

    kind: str
    left: int
    """How many requests of the kind go well before."""
    after: bool
    """Whether the request takes effect first."""
    what: Callable[[], None]
    name: str


@dataclass(slots=True)
class Odds:
    """How likely each fault is, by kind of request; `until` is when they end."""

    until: float
    by_kind: dict[str, dict[str, float]] = field(default_factory=dict)


class Network:
    """Carries requests."""

    def __init__(self, loop: Loop, random: Random, odds: Odds) -> None:
        self._loop = loop
        self._random = random
        self._odds = odds
        self.faults: Counter[str] = Counter()
        """What befell whom, for the summary."""
        self.requests: Counter[str] = Counter()
        self.fates: dict[str, list[Fate]] = {}
        """By process."""
        self.digest: list[tuple[float, str, str]] = []

    def fault(self, what: str) -> None:
        """Counts a fault."""
        self.faults[what] += 1

    async def ask(self, process: Process, kind: str, apply: Callable[[], Any]) -> Any:
        """The answer to a request. What `apply` raises is the cluster's refusal."""
        if not process.alive:
            raise Gone
        self.requests[kind] += 1
        fate = self._fate(process, kind)
        if fate is not None and not fate.after:
            fate.what()
            if not process.alive:
                raise Gone
        answer = self._loop.create_future()
        there, back, lost = self._way(kind)
        if lost != "before":
            self._loop.world_later(there, self._arrive, (process, kind, apply, answer, back, lost, fate))
        return await answer

    def _fate(self, process: Process, kind: str) -> Fate | None:
        for fate in self.fates.get(process.name, ()):
            if fate.kind == kind:
                if fate.left == 0:
                    self.fates[process.name].remove(fate)
                    self.fault(f"{fate.name} {'after' if fate.after else 'before'} {kind}")
                    return fate
                fate.left -= 1
        return None

    def _way(self, kind: str) -> tuple[float, float, str]:
        there = self._random.random() * LATENCY_SECONDS
        back = self._random.random() * LATENCY_SECONDS
        odds = self._odds.by_kind.get(kind)
        if odds is None or self._loop.time() > self._odds.until:
            return there, back, ""
        roll = self._random.random()
        for what, chance in odds.items():
            roll -= chance
            if roll < 0:
                self.fault(f"{kind} {what}")
                if what == "slow":
                    delay = 10 ** (self._random.random() * 2.6 - 1.6)
                    return (there + delay, back, "") if self._random.random() < 0.5 else (there, back + delay, "")
                return there, back, what.removeprefix("lost ")
        return there, back, ""

    def _arrive(self, request: tuple[Any, ...]) -> None:
        process, kind, apply, answer, back, lost, fate = request
        result, error = None, None
        if lost == "refused":
            error = REFUSALS[kind]()
        else:
            try:
                result = apply()
            except Exception as refusal:  # noqa: BLE001 - it goes back to whoever asked
                error = refusal
            if lost == "refused after" and error is None:
                error = REFUSALS[kind]()
        self.digest.append((self._loop.time(), process.name, kind))
        if fate is not None and fate.after:
            fate.what()
        if lost != "after":
            self._loop.world_later(back, _answer, process, answer, result, error)


def _answer(process: Process, answer: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
    if not process.alive or answer.done():
        return
    if error is not None:
        answer.set_exception(error)
    else:
        answer.set_result(result)


REFUSALS: dict[str, Callable[[], Exception]] = {}
"""What the cluster answers when a fault makes it refuse a request of a kind."""
