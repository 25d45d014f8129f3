"""Where cohorts stand, as figures for those who watch a portfolio: what is overdue, in which bucket, and what rolls.

Employers are left out: there is one cohort for each, and few people behind some.
"""

from __future__ import annotations

from heapq import nlargest
from typing import TYPE_CHECKING, Final

import msgspec

from schemas.portfolio import BUCKETS
from streams.engine.drain import CohortFigures
from streams.engine.portfolio.cohort import Cohort, overdue_rate

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.engine.portfolio.cohort import MonthEnd

SHOWN: Final = ("portfolio", "product", "channel", "industry", "region")
"""The kinds of cohorts that are shown, the first one whatever its size."""
SHOWN_MAX: Final = 100
"""Cohorts of a lane that are shown: what watches has to keep a number of series for each."""
MONTH_DAYS_MAX: Final = 31
"""Month ends further apart have no flow between them."""


def shown(kept: Iterable[tuple[str, bytes]]) -> Sequence[CohortFigures]:
    """The figures of the largest of these cohorts, given by name and state."""
    found = (_figures(name, msgspec.msgpack.decode(state, type=Cohort)) for name, state in kept if _kind(name) in SHOWN)
    return nlargest(SHOWN_MAX, found, key=_weight)


def _kind(name: str) -> str:
    return name.partition(":")[0]


def _weight(figures: CohortFigures) -> tuple[bool, int, str]:
    return figures.kind == SHOWN[0], sum(figures.loans), figures.name


def _figures(name: str, cohort: Cohort) -> CohortFigures:
    rolls = [_roll(cohort.months, bucket) for bucket in range(BUCKETS - 1)]
    return CohortFigures(_kind(name), name, overdue_rate(cohort.minor), cohort.loans, cohort.minor, rolls)


def _roll(months: Sequence[MonthEnd], bucket: int) -> float | None:
    """Outstanding in the next bucket at a month's end over outstanding in this one a month earlier."""
    if len(months) < 2 or months[-1].day - months[-2].day > MONTH_DAYS_MAX:  # noqa: PLR2004 - two ends make a month
        return None
    before, after = months[-2].minor[bucket], months[-1].minor[bucket + 1]
    return after / before if before > 0 else None
