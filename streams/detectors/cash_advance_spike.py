from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from schemas.events import Topic
from streams.engine.baseline import Baseline, Span, baseline
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.codes import QUASI_CASH, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.measure import Kind, Measure, total

if TYPE_CHECKING:
    from collections.abc import Iterator

WEEK = 7


class CashAdvanceSpike(Detector):
    """Far more cash advances and quasi-cash in a week than the borrower's own weeks before: z >= 3 and at least 3.

    Why: who turns credit into cash has no other money left, or feeds a game or another lender with it.
    Settings: a lower `z_min` or `advances_min` warns earlier and more often. `mccs` are cash over the counter (6010)
    and quasi-cash (6051: vouchers, foreign money, crypto): machines (6011) are left out, because healthy people draw
    cash from their current account; add 6011 where the accounts are those of credit cards.
    At least `weeks_min` whole weeks of the account must be known before this one, else it says nothing.
    Known false alarms: a journey abroad; a market or a wedding that is paid in cash.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: ask what the cash is for, and look at new lenders and bets before the next due day.
    Source: assumption.
    """

    key: ClassVar[str] = "cash_advance_spike"
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Ask what the cash is for; look at new lenders and bets before the next due day."

    z_min: float = Field(default=3.0, gt=0, le=20)
    advances_min: int = Field(default=3, ge=1, le=50, description="Advances within 7 days")
    weeks: int = Field(default=12, ge=4, le=50, description="Whole weeks of the own past that are the ruler")
    weeks_min: int = Field(default=6, ge=2, le=50, description="Weeks that must be known of it")
    mccs: frozenset[str] = QUASI_CASH | {"6010"}
    cooldown_days: int = Field(default=14, ge=0, le=365, description="Days of calm before an episode is resolved")

    def measures(self) -> tuple[Measure, ...]:
        """The advances of each day, and the latest ones."""
        return self._advances, self._latest

    @cached_property
    def _advances(self) -> Measure:
        where = (("indicator", frozenset({"DBIT"})), ("mcc", self.mccs))
        return Measure("advances.daily", TRANSACTION, Kind.TOTAL, (self.weeks + 2) * WEEK, where)

    @cached_property
    def _latest(self) -> Measure:
        return self._advances._replace(name="advances.last", kind=Kind.LAST, window_days=WEEK + 1)

    def _week(self, view: BorrowerView) -> tuple[int, Baseline]:
        """How many there were in the seven days that end today, and the weeks before."""
        store = view.store(self._advances)
        began = (view.now_ms // DAY_MS - WEEK + 1) * DAY_MS
        count, _ = total(self._advances, store, began, view.now_ms + DAY_MS)
        span = Span(view.since_ms(Topic.TRANSACTIONS), began)
        return count, baseline(self._advances, store, span, self.weeks, WEEK)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The last seven days against the weeks before."""
        if not view.store(self._latest).seen:
            return
        count, past = self._week(view)
        if count >= self.advances_min and past.n >= self.weeks_min and past.z(count) >= self.z_min:
            began = (view.now_ms // DAY_MS - WEEK + 1) * DAY_MS
            yield Finding(
                "", None, 1, Severity.WATCH,
                f"{count} cash advances in 7 days; {past.mean:.1f} a week before.",
                (
                    alerts.Measure(name="cash_advances", value=count, threshold=self.advances_min, window="P7D"),
                    alerts.Measure(
                        name="cash_advances_z", value=round(past.z(count), 2), threshold=self.z_min,
                        window=iso_days(past.n * WEEK),
                    ),
                    alerts.Measure(name="weeks_known", value=past.n, threshold=self.weeks_min),
                ),
                tuple(entry.event for entry in view.store(self._latest).seen if entry.at >= began),
            )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when its oldest day leaves the week."""
        if view.episode(self.key, "") is not None:
            days = view.store(self._advances).numbers
            leaving = [(day + WEEK) * DAY_MS for day in days if (day + WEEK) * DAY_MS > view.now_ms]
            if leaving:
                yield Wakeup(min(leaving))
