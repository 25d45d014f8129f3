from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.inquiries import OWN_LENDERS
from streams.engine.measure import Kind, Measure, Store, closing, starts_ms
from streams.engine.tradelines import REPORT_DAYS, TRADELINE, largest_installment

if TYPE_CHECKING:
    from collections.abc import Iterator


class Growth(NamedTuple):
    """What was owed elsewhere, what is owed now, and the own installment beside which it is looked at."""

    before: int
    now: int
    installment: int

    @property
    def more(self) -> int:
        """What came on top."""
        return self.now - self.before


class DebtGrowth(Detector):
    """What the borrower owes elsewhere has grown by 30 % within 90 days, and by at least three own installments.

    Why: debt that grows faster than any income is being lived on, or pays older debt; the installment here is next.
    Settings: a lower `share_min` or `installments_min` warns earlier; the second keeps the swing of a card's balance
    out. `settle_days`: so long after the first report the lines are taken to be complete.
    Known false alarms: a car or a home bought as planned; lines that the bureau learns of late.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: ask what the new debt is for and what it costs a month, before the next due day.
    Source: assumption (30 % in 90 days); the minimum in own installments is an assumption too.
    """

    key: ClassVar[str] = "debt_growth"
    listens: ClassVar[frozenset[str]] = frozenset({TRADELINE})
    first_step: ClassVar[str] = "Ask what the new debt is for and what it costs a month, before the next due day."

    share_min: float = Field(default=0.3, gt=0, le=10, description="Growth over what was owed before")
    high_share: float = Field(default=1.0, gt=0, le=100, description="From which on it is high")
    installments_min: float = Field(default=3.0, ge=0, le=100, description="Growth in own installments, at least")
    window_days: int = Field(default=90, ge=28, le=180)
    settle_days: int = Field(default=31, ge=0, le=90)
    own_lenders: frozenset[str] = OWN_LENDERS

    def measures(self) -> tuple[Measure, ...]:
        """What is owed on each line elsewhere, and the sum at the end of each day on which there was a report."""
        return (self._debt,)

    @cached_property
    def _debt(self) -> Measure:
        return Measure(
            "tradelines.owed", TRADELINE, Kind.LEVEL, self.window_days + REPORT_DAYS, value="owed_minor",
            field="tradeline", unless=(("lender_token", self.own_lenders),),
        )  # fmt: skip

    def _growth(self, view: BorrowerView, currency: str, store: Store) -> Growth | None:
        since = max(view.now_ms - self.window_days * DAY_MS, store.since + self.settle_days * DAY_MS)
        before = closing(self._debt, store, since + DAY_MS)
        own = largest_installment(view, currency)
        if before is None or not own or since >= view.now_ms:
            return None
        return Growth(before, sum(level.amount for level in store.levels), own)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The currency in which the debt has grown most, against the own installments in it."""
        stores = sorted(view.stores(self._debt))
        grown = [
            (growth.more / max(growth.before, 1), growth, store)
            for currency, store in stores
            if (growth := self._growth(view, currency, store)) is not None
            and growth.more >= max(1, self.installments_min * growth.installment)
            and growth.more >= self.share_min * growth.before
        ]
        if not grown:
            return
        share, growth, store = max(grown, key=lambda found: found[0])
        high = growth.more >= self.high_share * growth.before
        window = iso_days(self.window_days)
        yield Finding(
            "",
            None,
            2 if high else 1,
            Severity.HIGH if high else Severity.WATCH,
            f"The debt elsewhere has grown by {_percent(growth)} within {self.window_days} days.",
            (
                alerts.Measure(
                    name="debt_growth_share",
                    value=round(share, 4) if growth.before else "new",
                    threshold=self.high_share if high else self.share_min,
                    window=window,
                ),
                alerts.Measure(
                    name="debt_growth_installments",
                    value=round(growth.more / growth.installment, 2),
                    threshold=self.installments_min,
                ),
                alerts.Measure(name="debt_elsewhere_minor", value=growth.now),
            ),
            tuple(level.event for level in store.levels[-12:]),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When the next day with a report becomes the one to compare with."""
        for _, store in view.stores(self._debt):
            days = (starts_ms(self._debt, number) + self.window_days * DAY_MS for number in store.numbers[1:])
            ahead = next((at for at in days if at > view.now_ms), None)
            if ahead is not None:
                yield Wakeup(ahead)


def _percent(growth: Growth) -> str:
    return f"{growth.more / growth.before:.0%}" if growth.before else "all of it"
