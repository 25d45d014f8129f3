from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.inquiries import OWN_LENDERS, SECURED, SHOPPING_DAYS, lenders_asked
from streams.engine.measure import distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.measure import Measure, Seen


class Level(NamedTuple):
    """So many other lenders within so many days."""

    lenders: int
    days: int
    severity: Severity


class MultiLendingSpike(Detector):
    """The borrower applies to many other lenders in a short time (bureaus and lenders call it loan stacking).

    Why: new debt is sought to pay old debt, or as much as possible is taken before the first due day.
    Settings: lower counts or longer windows warn earlier and more often. Three in 7 days alone hardly discriminates.
    A shorter `shopping_days`, or fewer `shopping_purposes`, counts more of the inquiries for secured loans.
    Known false alarms: an aggregator that asks many lenders for one application, and shopping for one secured loan:
    a burst within 30 minutes, and inquiries for the same secured purpose within 45 days of each other, count once.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: hold further lending, ask what the applications are for, and add up the debt elsewhere.
    Source: window lengths from bureau products, rate shopping from FICO (14 to 45 days); counts are assumptions. Hard
    inquiries only; own lenders are left out.
    """

    key: ClassVar[str] = "multi_lending_spike"
    listens: ClassVar[frozenset[str]] = frozenset({"ews.inquiry.made.v1"})
    first_step: ClassVar[str] = "Hold further lending; ask what the applications are for and add up the debt elsewhere."

    levels: tuple[Level, ...] = (
        Level(5, 7, Severity.HIGH),
        Level(10, 90, Severity.HIGH),
        Level(3, 7, Severity.WATCH),
        Level(5, 30, Severity.WATCH),
    )
    own_lenders: frozenset[str] = OWN_LENDERS
    burst_minutes: int = Field(default=30, ge=0, le=1440)
    shopping_purposes: frozenset[str] = Field(
        default=SECURED, description="Purposes of secured loans, for which offers are compared"
    )
    shopping_days: int = Field(
        default=SHOPPING_DAYS, ge=14, le=45, description="So far apart they are still one search"
    )
    cooldown_days: int = Field(default=7, ge=0, le=365)

    def measures(self) -> tuple[Measure, ...]:
        """The different lenders of the last 90 days."""
        return (self._lenders,)

    @cached_property
    def _lenders(self) -> Measure:
        days = max(level.days for level in self.levels)
        return lenders_asked(days, self.own_lenders, self.burst_minutes, self.shopping_purposes, self.shopping_days)

    def _seen(self, view: BorrowerView, days: int) -> list[Seen]:
        return distinct(view.store(self._lenders), view.now_ms - days * DAY_MS)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The first level that is reached, severest first."""
        for level in self.levels:
            seen = self._seen(view, level.days)
            if len(seen) >= level.lenders:
                yield Finding(
                    "",
                    None,
                    2 if level.severity is Severity.HIGH else 1,
                    level.severity,
                    f"{len(seen)} other lenders within {level.days} days.",
                    (
                        alerts.Measure(
                            name="distinct_lenders",
                            value=len(seen),
                            threshold=level.lenders,
                            window=iso_days(level.days),
                        ),
                    ),
                    tuple(entry.event for entry in seen[-12:]),
                )
                return

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the next lender leaves a window."""
        if view.episode(self.key, "") is not None:
            leaving = [
                seen[0].at + level.days * DAY_MS for level in self.levels if (seen := self._seen(view, level.days))
            ]
            if leaving:
                yield Wakeup(min(leaving))
