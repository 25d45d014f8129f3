"""The group coordinator: eager rebalances, static members, sessions that run out."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import asyncio
    from random import Random

    from tests.simulation.loop import Loop

SESSION_SECONDS = 10.0
REBALANCE_SECONDS = 30.0


class Assigned(NamedTuple):
    """What a member is given."""

    member: str
    generation: int
    lanes: tuple[int, ...]


class _Member:
    def __init__(self, name: str, instance: str | None, now: float) -> None:
        self.name = name
        self.instance = instance
        self.heard = now
        self.lanes: tuple[int, ...] = ()
        self.joining: asyncio.Future[Assigned] | None = None


class Group:
    """The members and what each owns."""

    def __init__(self, loop: Loop, random: Random, lanes: int) -> None:
        self._loop = loop
        self._random = random
        self._lanes = lanes
        self._members: dict[str, _Member] = {}
        self._number = 0
        self.generation = 0
        self._deadline: float | None = None
        """Until when a rebalance waits for members; None while there is none."""
        self.rebalances = 0
        loop.world_later(0.5, self._look)

    def join(self, name: str, instance: str | None) -> asyncio.Future[Assigned]:
        """The assignment, when all have joined. A static member that comes back takes its place at once."""
        now = self._loop.time()
        member = self._members.get(name)
        if member is None:
            before = next((m for m in self._members.values() if instance is not None and m.instance == instance), None)
            self._number += 1
            member = _Member(f"m{self._number}", instance, now)
            if before is not None:
                del self._members[before.name]
                member.lanes = before.lanes
            self._members[member.name] = member
            if before is not None and self._deadline is None:
                return self._answered(member)
        member.heard = now
        member.joining = self._loop.create_future()
        if self._deadline is None:
            self._begin()
        joining = member.joining
        self._complete()
        return joining

    def _answered(self, member: _Member) -> asyncio.Future[Assigned]:
        answer = self._loop.create_future()
        answer.set_result(Assigned(member.name, self.generation, member.lanes))
        return answer

    def _begin(self) -> None:
        self._deadline = self._loop.time() + REBALANCE_SECONDS
        self.rebalances += 1

    def heartbeat(self, name: str, generation: int) -> str:
        """`ok`, `rebalance` or `unknown`."""
        member = self._members.get(name)
        if member is None:
            return "unknown"
        member.heard = self._loop.time()
        return "rebalance" if self._deadline is not None or generation != self.generation else "ok"

    def leave(self, name: str) -> None:
        """A member goes by itself."""
        if self._members.pop(name, None) is not None:
            if self._deadline is None and self._members:
                self._begin()
            self._complete()

    def disturb(self) -> None:
        """A rebalance for no reason."""
        if self._deadline is None and self._members:
            self._begin()

    def _look(self) -> None:
        self._loop.world_later(0.5, self._look)
        now = self._loop.time()
        late = [m.name for m in self._members.values() if m.joining is None and now - m.heard > SESSION_SECONDS]
        for name in late:
            self.leave(name)
        if self._deadline is not None and now > self._deadline:
            for name in [m.name for m in self._members.values() if m.joining is None]:
                del self._members[name]
            self._complete()

    def _complete(self) -> None:
        members = list(self._members.values())
        if self._deadline is None or not members or any(member.joining is None for member in members):
            return
        self._deadline = None
        self.generation += 1
        lanes = list(range(self._lanes))
        self._random.shuffle(members)
        for at, member in enumerate(members):
            member.lanes = tuple(lanes[at :: len(members)])
            joining, member.joining = member.joining, None
            member.heard = self._loop.time()
            if joining is not None and not joining.done():
                joining.set_result(Assigned(member.name, self.generation, member.lanes))
