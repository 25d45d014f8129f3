"""What a borrower lane tells the second hop in one drain: sums by cohort, members by link, days that it has passed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.portfolio import BUCKETS, CohortChanged, DayPassed, LinkChanged, Told, encode_told
from schemas.topics import COHORTS, LINKS, partition_of
from streams.engine.calendar import DAY_MS, date_of
from streams.engine.drain import Outbound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.portfolio import contributions


class Telling:
    """Gathers what one drain of a lane tells. A day ends with a tick: what is told at it belongs to the day before."""

    def __init__(self, lane: int, partitions: int) -> None:
        self._lane = lane
        self._partitions = partitions
        self._cohorts: dict[tuple[int, str], tuple[list[int], list[int]]] = {}
        self._links: dict[tuple[int, str, str], int | None] = {}

    def add(self, now_ms: int, borrower: str, told: contributions.Told) -> None:
        """Take up what a borrower told at a tick."""
        day = day_told(now_ms)
        for cohort, bucket, minor, loans in told.shifts:
            amounts, numbers = self._cohorts.setdefault((day, cohort), ([0] * BUCKETS, [0] * BUCKETS))
            amounts[bucket] += minor
            numbers[bucket] += loans
        for link, worst in told.members:
            self._links[day, link, borrower] = worst

    def records(self, passed: int | None) -> Iterator[Outbound]:
        """All of it in a fixed order, then to every partition the day that the lane has passed, if it passed one."""
        lane = self._lane
        for (day, cohort), (minor, loans) in sorted(self._cohorts.items()):
            if any(minor) or any(loans):
                changed = CohortChanged(
                    cohort=cohort, lane=lane, day=date_of(day), outstanding_minor=tuple(minor), loans=tuple(loans)
                )
                yield self._keyed(COHORTS, cohort, changed)
        for (day, link, borrower), bucket in sorted(self._links.items(), key=_by_place):
            member = LinkChanged(link=link, lane=lane, day=date_of(day), borrower=borrower, bucket=bucket)
            yield self._keyed(LINKS, link, member)
        if passed is not None:
            value = encode_told(DayPassed(lane=lane, day=date_of(passed)))
            for topic in (COHORTS, LINKS):
                for partition in range(self._partitions):
                    yield Outbound(topic, partition, f"lane-{lane}".encode(), value)

    def _keyed(self, topic: str, key: str, told: Told) -> Outbound:
        return Outbound(topic, partition_of(key.encode(), self._partitions), key.encode(), encode_told(told))


def _by_place(entry: tuple[tuple[int, str, str], int | None]) -> tuple[int, str, str]:
    return entry[0]


def day_told(now_ms: int) -> int:
    """The day that something told at a tick belongs to: at midnight, the day that has just ended."""
    return (now_ms - 1) // DAY_MS


def passed_day(now_ms: int, *, unfinished: bool) -> int:
    """The last day of which a lane has told everything, when its latest tick is this one and is done or not."""
    return (now_ms - unfinished) // DAY_MS - 1
