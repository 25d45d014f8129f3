from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, cast

from streams.api.live import Live

if TYPE_CHECKING:
    from streams.api.desk import Desk

LOOKS = 12
"""By now both have read where the trail ends, and wait for more."""


class Trail:
    """An audit trail in memory, one case for each line. It stands in for the desk."""

    def __init__(self) -> None:
        self.cases = ["c-1", "c-2"]
        self.looks = 0
        self.looked = asyncio.Event()
        self._here = asyncio.get_running_loop()

    def changes_since(self, number: int) -> tuple[int, list[str]]:
        """The last line, and the cases of those after a number."""
        self.looks += 1
        if self.looks == LOOKS:
            self._here.call_soon_threadsafe(self.looked.set)
        return len(self.cases), self.cases[number:]


async def test_who_comes_with_a_line_that_is_not_there_yet_disturbs_nobody() -> None:
    """After a trail was put back a page may know a later line: it hears what is new, as do the others."""
    trail = Trail()
    live = Live(cast("Desk", trail), look_seconds=0.01)
    async with asyncio.timeout(10), aclosing(live.changes(10**18)) as late, aclosing(live.changes(2)) as present:
        both = [asyncio.ensure_future(anext(each)) for each in (late, present)]
        await trail.looked.wait()
        trail.cases.append("c-3")

        assert [(3, ["c-3"])] * 2 == await asyncio.gather(*both)
    await live.close()
