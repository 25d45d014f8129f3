"""The clockwork: what nobody does. Pauses end when their time has come, a breach is marked, a new case gets an owner.

What time does is decided in `streams.casework.sla`, who gets a case in `assignment`. One process does it at a time; a
case that a person or an alert changes at the same moment is locked by the one and then read anew by the other.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING

import structlog

from streams.casework.assignment import handed_out
from streams.casework.changes import Change, gather
from streams.casework.sla import tick
from streams.consumers.waits import Waits
from streams.errors import Unavailable
from streams.stores.case import Changes
from streams.stores.dues import CLOCKWORK
from streams.stores.leases import LeaseLost

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streams.casework.changes import Acted
    from streams.casework.ladder import Ladder
    from streams.metrics import Metrics
    from streams.stores.case import Book
    from streams.stores.dues import Dues
    from streams.stores.leases import Leases

    Move = Callable[[Book, dict[str, int], datetime], Acted | None]

log = structlog.get_logger(__name__)

TICK_SECONDS = 10.0
"""How late a pause may end, or a breach be marked; a third of the lease, which each tick renews."""
CASES_MAX = 200
"""Cases that one transaction moves."""
EFFECTS = (Change.RESUMED, Change.BREACHED, Change.ASSIGNED)
"""All that it ever does."""


class Clockwork:
    """Moves the clocks of cases, while it holds the lease."""

    def __init__(
        self,
        dues: Dues,
        leases: Leases,
        ladder: Ladder,
        metrics: Metrics,
        *,
        holder: str,
        now: Callable[[], datetime],
    ) -> None:
        for effect in EFFECTS:
            metrics.clockwork.labels(effect)  # From 0 on: a rate is seen from the first one.
        self._dues = dues
        self._leases = leases
        self._ladder = ladder
        self._metrics = metrics
        self._holder = holder
        self._now = now

    async def run(self, stop: asyncio.Event) -> None:
        """Tick until the stop. A database that is away ends nothing: time is made up for when it is back."""
        waits = Waits(stop)
        while not waits.stopped:
            try:
                await asyncio.to_thread(self.turn)
            except LeaseLost:
                log.info("clockwork_lease_lost")
            except Unavailable as away:
                log.warning("clockwork_waits", fault=str(away))
            await waits.pause(TICK_SECONDS)
        try:
            await asyncio.to_thread(self._leases.release, CLOCKWORK, self._holder)
        except Unavailable as away:
            log.warning("lease_not_given_back", fault=str(away))

    def turn(self) -> int:
        """Do all that is due now, if the lease is ours; how many cases changed. Raises LeaseLost or Unavailable."""
        return self._all(self._dues_of_time, self._tick) + self._all(
            lambda _: self._dues.unowned(CASES_MAX), self._give
        )

    def _dues_of_time(self, now: datetime) -> list[str]:
        return self._dues.borrowers(now, CASES_MAX)

    def _all(self, due: Callable[[datetime], list[str]], move: Move) -> int:
        """Move whatever is due, some cases in each transaction."""
        total = 0
        while self._leases.take(CLOCKWORK, self._holder, now := self._now()):
            borrowers = due(now)
            changed = self._moved(borrowers, now, move) if borrowers else 0
            total += changed
            if len(borrowers) < CASES_MAX or not changed:
                break
        return total

    def _moved(self, borrowers: list[str], now: datetime, move: Move) -> int:
        changes = Changes()
        done: list[Acted] = []
        with self._dues.begin(self._holder, now) as transaction:
            books, staff = transaction.books(borrowers, ()), transaction.staff()
            for borrower in borrowers:
                acted = move(books[borrower], staff, now)
                if acted is not None:
                    gather(changes, acted)
                    done.append(acted)
            transaction.save(changes)
        self._count(done)
        return len(done)

    def _tick(self, book: Book, _: dict[str, int], now: datetime) -> Acted | None:
        return tick(book, now, self._ladder)

    @staticmethod
    def _give(book: Book, staff: dict[str, int], now: datetime) -> Acted | None:
        """To the collector with the fewest; `staff` counts what is given in this transaction too."""
        acted = handed_out(book, staff, now)
        if acted is not None and acted.case.owner is not None:
            staff[acted.case.owner] += 1
        return acted

    def _count(self, done: list[Acted]) -> None:
        for change, number in Counter(acted.change for acted in done).items():
            self._metrics.case_changes.labels(change).inc(number)
            self._metrics.clockwork.labels(change).inc(number)
