from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field, field_validator

from schemas.alerts import Measure, Severity
from streams.engine.calendar import date_of
from streams.engine.detector import Finding
from streams.engine.portfolio.detector import CohortDetector, apart

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.portfolio.cohort import CohortView, MonthEnd

NEXT_TO_EACH_OTHER_DAYS = 31


class _Flow(NamedTuple):
    bucket: int
    rate: float
    sigmas: float | None
    limit: float


class CohortRollRate(CohortDetector):
    """More of a cohort rolls from one delinquency bucket into the next than its limit, or than it used to.

    Why: the overdue rate says how much is late, the roll rate how much of it is on its way to loss; it moves before the
    charge-offs do, and a rise in the first roll comes weeks before one in the later ones. It is taken as the net flow
    rate of balances: outstanding in a bucket at a month's end over outstanding in the bucket before it a month earlier.
    Settings: lower `limits` (from M0 to M1, M1 to M2, M2 to M3 and so on; what is not listed has none) alarm earlier;
    `sigmas` compares with the cohort's own earlier months, of which it wants `months_min`. Fewer than `loans_min`
    loans, or `bucket_loans_min` in the bucket that rolls, say nothing.
    Known false alarms: a net flow also counts loans that skipped a bucket or came back from a later one; large new
    lending lowers the first roll and its end raises it; a month that ends on a weekend moves payments into the next.
    First step: compare with the same month of other cohorts, then see which collection step fails for that bucket.
    Source: roll rates from month end to month end are the standard of collections; the limits are assumptions, to be
    replaced by a back-test on the lender's own portfolio.
    """

    key: ClassVar[str] = "cohort_roll_rate"
    first_step: ClassVar[str] = (
        "Compare with other cohorts in the same month, then see which collection step fails for the bucket that rolls."
    )

    limits: tuple[float, ...] = Field(
        default=(0.06, 0.40, 0.70, 0.85),
        max_length=6,
        description="Share that may roll: M0-M1, M1-M2, M2-M3 ...",
    )
    sigmas: float = Field(default=3.0, gt=0, le=20, description="Own deviations above the own mean")
    floor: float = Field(default=0.02, ge=0, le=1, description="The own deviation is never taken to be smaller")
    loans_min: int = Field(default=50, ge=20, description="Running loans that a cohort must have")
    bucket_loans_min: int = Field(default=20, ge=1, description="Loans that the bucket that rolls must have had")
    months_min: int = Field(default=4, ge=3, le=12, description="Own earlier flows that deviations need")

    @field_validator("limits")
    @classmethod
    def _shares(cls, limits: tuple[float, ...]) -> tuple[float, ...]:
        if min(limits, default=1) <= 0:
            raise ValueError("each must be above 0")
        return limits

    def judge_cohort(self, view: CohortView) -> Iterator[Finding]:
        """The flows of the last full month, the worst of them; it stands until the next month ends."""
        if view.size < self.loans_min:
            return
        found = [flow for flow in self._flows(view) if flow.rate > flow.limit or (flow.sigmas or 0) >= self.sigmas]
        if not found:
            return
        is_high = any(flow.rate > flow.limit and (flow.sigmas or 0) >= self.sigmas for flow in found)
        worst = max(found, key=_weight)
        yield Finding(
            "", None, worst.bucket + 1, Severity.HIGH if is_high else Severity.WATCH, self._reason(view, worst),
            tuple(measure for flow in found for measure in self._measures(flow)),
        )  # fmt: skip

    def _flows(self, view: CohortView) -> Iterator[_Flow]:
        pairs = [
            (before, after)
            for before, after in zip(view.months, view.months[1:], strict=False)
            if after.day - before.day <= NEXT_TO_EACH_OTHER_DAYS
        ]
        if not pairs:
            return
        for bucket, limit in enumerate(self.limits):
            rates = [_rate(before, after, bucket) for before, after in pairs if self._is_enough(before, bucket)]
            if rates and self._is_enough(pairs[-1][0], bucket):
                earlier = rates[:-1]
                sigmas = apart(earlier, rates[-1], self.floor) if len(earlier) >= self.months_min else None
                yield _Flow(bucket, rates[-1], sigmas, limit)

    def _is_enough(self, month: MonthEnd, bucket: int) -> bool:
        return month.loans[bucket] >= self.bucket_loans_min and month.minor[bucket] > 0

    def _reason(self, view: CohortView, flow: _Flow) -> str:
        month = date_of(view.months[-1].day)
        past = "" if flow.sigmas is None else f", {flow.sigmas:.1f} deviations from its own mean"
        return (
            f"Of what was in M{flow.bucket} a month before, {flow.rate:.1%} stood in M{flow.bucket + 1} "
            f"at the end of {month:%Y-%m}{past}."
        )

    def _measures(self, flow: _Flow) -> Iterator[Measure]:
        name = f"roll_m{flow.bucket}_m{flow.bucket + 1}"
        yield Measure(name=name, value=round(flow.rate, 4), threshold=flow.limit, window="P1M")
        if flow.sigmas is not None:
            yield Measure(name=f"{name}_sigmas", value=round(flow.sigmas, 2), threshold=self.sigmas)


def _rate(before: MonthEnd, after: MonthEnd, bucket: int) -> float:
    return after.minor[bucket + 1] / before.minor[bucket]


def _weight(flow: _Flow) -> tuple[bool, float]:
    return flow.rate > flow.limit, flow.rate / flow.limit
