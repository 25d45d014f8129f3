"""A borrower's own past as the ruler: how far the present lies from it, in standard deviations.

It is computed from the buckets that a measure keeps anyway, over whole periods (weeks, say). How many of them the
history covers is said too: with too few there is no ruler.
"""

from __future__ import annotations

from statistics import fmean, pstdev
from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import DAY_MS
from streams.engine.measure import total

if TYPE_CHECKING:
    from streams.engine.measure import Measure, Store

DEVIATION_MIN = 0.5
"""Of counts. A borrower who never did a thing has no deviation: without a floor the first time would be infinite."""


class Baseline(NamedTuple):
    """Mean and standard deviation of `n` whole periods of the past."""

    n: int
    mean: float
    deviation: float

    def z(self, value: float) -> float:
        """How many deviations a value lies above the mean."""
        return (value - self.mean) / max(self.deviation, DEVIATION_MIN)


class Span(NamedTuple):
    """Since when events of the kind are known at all (0: never; `BorrowerView.since`), and where the present begins."""

    since_ms: int
    until_ms: int


def baseline(
    measure: Measure, store: Store, span: Span, periods: int, period_days: int, *, amounts: bool = False
) -> Baseline:
    """The whole periods that lie in a span, counted back from its end. Of counts, or of `amounts`."""
    length, until_ms = period_days * DAY_MS, span.until_ms
    known = min(periods, (until_ms - span.since_ms) // length) if span.since_ms else 0
    values = [
        total(measure, store, until_ms - (back + 1) * length, until_ms - back * length)[amounts]
        for back in range(max(0, known))
    ]
    return Baseline(len(values), fmean(values), pstdev(values)) if values else Baseline(0, 0.0, 0.0)
