from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from schemas.events import Topic
from streams.engine.baseline import Span, baseline
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.inquiries import HARD, INQUIRY, OWN_LENDERS, SECURED, SHOPPING_DAYS, lenders_asked
from streams.engine.measure import Kind, Measure, Seen, distinct

if TYPE_CHECKING:
    from collections.abc import Iterator


class InquiryVelocity(Detector):
    """The borrower asks more lenders within 30 days than ever in the last half year, by their own measure.

    Why: who never applies for credit and now applies at three lenders needs money. A fixed count sees that later, and
    is wrong about those who always compare.
    Settings: a lower `z_min` or `lenders_min` warns earlier; `periods_min` is the least history (3 periods of 30 days
    before the present one: with less it is silent, because there is no baseline to stand on).
    Known false alarms: moving house; a new telecom contract and a card in the same month.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: ask what the applications are for, before the first of them is paid out.
    Source: assumption (z >= 3 against the own 180 days, and at least 3 lenders: a relative and an absolute trigger).
    """

    key: ClassVar[str] = "inquiry_velocity"
    listens: ClassVar[frozenset[str]] = frozenset({INQUIRY})
    first_step: ClassVar[str] = "Ask what the applications are for, before the first of them is paid out."

    z_min: float = Field(default=3.0, gt=0, le=20)
    lenders_min: int = Field(default=3, ge=1, le=50)
    period_days: int = Field(default=30, ge=7, le=60)
    periods: int = Field(default=6, ge=2, le=12, description="Whole periods before the present one: the baseline")
    periods_min: int = Field(default=3, ge=2, le=12, description="With fewer known it says nothing")
    own_lenders: frozenset[str] = OWN_LENDERS
    burst_minutes: int = Field(default=30, ge=0, le=1440)
    shopping_purposes: frozenset[str] = SECURED
    shopping_days: int = Field(default=SHOPPING_DAYS, ge=14, le=45)
    cooldown_days: int = Field(default=7, ge=0, le=365)
    held_while: frozenset[str] = frozenset({"multi_lending_spike"})

    def measures(self) -> tuple[Measure, ...]:
        """The lenders of the present period, and the inquiries of the periods before."""
        return self._lenders, self._asked

    @cached_property
    def _lenders(self) -> Measure:
        return lenders_asked(
            self.period_days, self.own_lenders, self.burst_minutes, self.shopping_purposes, self.shopping_days
        )

    @cached_property
    def _asked(self) -> Measure:
        days = min(365, self.period_days * (self.periods + 1))
        unless = (("lender_token", self.own_lenders),)
        third = self.period_days * DAY_MS // 3  # Finer buckets would tell no more, and cost more to add up.
        return Measure("inquiries", INQUIRY, Kind.TOTAL, days, (HARD,), bucket_ms=third, unless=unless)

    def _seen(self, view: BorrowerView) -> list[Seen]:
        return distinct(view.store(self._lenders), view.now_ms - self.period_days * DAY_MS)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The lenders of the present period against the inquiries of the periods before (bursts count in full there).

        So the baseline is rather too high than too low, and the alarm rather late than false.
        """
        seen = self._seen(view)
        if len(seen) < self.lenders_min:
            return
        span = Span(view.since_ms(Topic.BUREAU), view.now_ms - self.period_days * DAY_MS)
        usual = baseline(self._asked, view.store(self._asked), span, self.periods, self.period_days)
        if usual.n < self.periods_min or usual.z(len(seen)) < self.z_min:
            return
        window = iso_days(self.period_days)
        yield Finding(
            "",
            None,
            1,
            Severity.WATCH,
            f"{len(seen)} other lenders within {self.period_days} days, against {usual.mean:.1f} inquiries usually.",
            (
                alerts.Measure(name="distinct_lenders", value=len(seen), threshold=self.lenders_min, window=window),
                alerts.Measure(name="z_score", value=round(usual.z(len(seen)), 2), threshold=self.z_min),
                alerts.Measure(name="periods_known", value=usual.n, threshold=self.periods_min),
            ),
            tuple(entry.event for entry in seen[-12:]),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when too few lenders are left in the period."""
        seen = self._seen(view)
        if view.episode(self.key, "") is not None and len(seen) >= self.lenders_min:
            yield Wakeup(seen[-self.lenders_min].at + self.period_days * DAY_MS)
