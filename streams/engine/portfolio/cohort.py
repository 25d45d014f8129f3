"""One cohort: where its loans stand by bucket, its own history, its episodes; and what a detector may see of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from schemas.portfolio import BUCKETS
from streams.engine.borrower import Episode  # noqa: TC001 - msgspec reads the annotations at run time
from streams.engine.calendar import date_of

if TYPE_CHECKING:
    from collections.abc import Sequence

HISTORY_LOANS_MIN = 20
"""Smaller cohorts keep no history and are looked at only when they change: there may be one for each small employer."""
HISTORY_DAYS_MAX = 120
MONTHS_MAX = 14
_MILLION = 1_000_000


class MonthEnd(msgspec.Struct, array_like=True):
    """Where a cohort stood at the end of a calendar month (UTC), by bucket."""

    day: int
    minor: list[int]
    loans: list[int]


class Kept(msgspec.Struct, array_like=True):
    """The head of what the second hop keeps of a cohort or link: whether it is looked at every day, and what waits."""

    version: int
    lively: bool
    pending: dict[int, msgspec.Raw]


class Cohort(msgspec.Struct, array_like=True):
    """The state of a cohort as of the last day that was judged, and what was told of later days."""

    version: int = 1
    lively: bool = False
    pending: dict[int, tuple[list[int], list[int]]] = {}
    """By day, differences in minor units and in numbers of loans, by bucket."""
    minor: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS)
    loans: list[int] = msgspec.field(default_factory=lambda: [0] * BUCKETS)
    rates: list[int] = []
    """The overdue rate at the end of each day before, in millionths, the latest last."""
    months: list[MonthEnd] = []
    episodes: list[Episode] = []

    def add(self, day: int, minor: Sequence[int], loans: Sequence[int]) -> None:
        """Keep what a lane told of a day until all lanes have passed it."""
        amounts, numbers = self.pending.setdefault(day, ([0] * BUCKETS, [0] * BUCKETS))
        for bucket in range(BUCKETS):
            amounts[bucket] += minor[bucket]
            numbers[bucket] += loans[bucket]

    def settle(self, day: int) -> None:
        """Take in what was told up to a day that all lanes have passed."""
        for told in sorted(self.pending):
            if told <= day:
                amounts, numbers = self.pending.pop(told)
                self.minor = [have + more for have, more in zip(self.minor, amounts, strict=True)]
                self.loans = [have + more for have, more in zip(self.loans, numbers, strict=True)]

    def close(self, day: int) -> None:
        """The day has been judged: it is history now."""
        if sum(self.loans) < HISTORY_LOANS_MIN:
            self.rates, self.months = [], []  # What it knew is of another size.
        else:
            self.rates = [*self.rates, round(overdue_rate(self.minor) * _MILLION)][-HISTORY_DAYS_MAX:]
            if date_of(day + 1).day == 1:
                self.months = [*self.months, MonthEnd(day, self.minor, self.loans)][-MONTHS_MAX:]
        self.episodes = [episode for episode in self.episodes if episode.is_open]
        self.lively = sum(self.loans) >= HISTORY_LOANS_MIN or bool(self.episodes)

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it need be kept."""
        return not (self.pending or any(self.loans) or any(self.minor) or self.episodes)


class CohortView(NamedTuple):
    """What a detector may see of a cohort at the end of a day."""

    name: str
    day: int
    minor: Sequence[int]
    loans: Sequence[int]
    rates: Sequence[float]
    """The overdue rates at the ends of the days before, the latest last."""
    months: Sequence[MonthEnd]
    """The ends of months before this day and, on the last of a month, this day's too; the latest last."""

    @property
    def size(self) -> int:
        """The number of running loans."""
        return sum(self.loans)

    @property
    def rate(self) -> float:
        """The overdue rate: outstanding at DPD >= 1 over all that is outstanding."""
        return overdue_rate(self.minor)


def view_of(name: str, cohort: Cohort, day: int) -> CohortView:
    """What is to be seen of a settled cohort."""
    months = cohort.months
    if date_of(day + 1).day == 1:
        months = [*months, MonthEnd(day, cohort.minor, cohort.loans)]
    return CohortView(name, day, cohort.minor, cohort.loans, [rate / _MILLION for rate in cohort.rates], months)


def overdue_rate(minor: Sequence[int]) -> float:
    """Outstanding at DPD >= 1 over all that is outstanding; 0 of nothing."""
    total = sum(minor)
    return sum(minor[1:]) / total if total > 0 else 0.0
