from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure as AlertMeasure
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days, local_day
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended, rung
from streams.engine.inquiries import OWN_LENDERS
from streams.engine.measure import MONTH, Kind, Level, Measure
from streams.engine.tradelines import REPORT_DAYS, TRADELINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode


class ExternalDelinquency(Detector):
    """An account with another lender is 30 days past due or more.

    Why: who stops paying one lender stops paying the next; the bureau knows of it weeks before the own due day.
    Settings: lower `steps` see more and earlier (1 takes in every late phone bill); `high_from_days` and
    `critical_from_days` say from which step on it is more than watched.
    Known false alarms: a disputed telecom bill; a line that its lender forgot to close.
    On 1,000 simulated healthy borrowers: 0 watch episodes a year; with a harmless trouble: none.
    First step: ask about the other debt, and secure the next installment (debit day, plan) before it falls due.
    Source: Metro 2 account status 71 (30-59 days past due) and worse, collections and charge-offs included.
    """

    key: ClassVar[str] = "external_delinquency"
    listens: ClassVar[frozenset[str]] = frozenset({TRADELINE})
    first_step: ClassVar[str] = "Ask about the other debt, and secure the next installment before it falls due."

    steps: tuple[int, ...] = Field(default=(30, 60, 90), min_length=1, description="Days past due elsewhere, rising")
    high_from_days: int = Field(default=60, ge=1)
    critical_from_days: int = Field(default=90, ge=1)
    report_days: int = Field(default=REPORT_DAYS, ge=31, le=365, description="How long a report is believed")
    own_lenders: frozenset[str] = OWN_LENDERS

    def measures(self) -> tuple[Measure, ...]:
        """The days past due of each line elsewhere."""
        return (self._behind,)

    @cached_property
    def _behind(self) -> Measure:
        return Measure(
            "tradelines.behind", TRADELINE, Kind.LEVEL, self.report_days, value="days_behind", field="tradeline",
            bucket_ms=MONTH, unless=(("lender_token", self.own_lenders),),
        )  # fmt: skip

    def _lines(self, view: BorrowerView) -> list[Level]:
        cutoff = view.now_ms - self.report_days * DAY_MS
        return [level for level in view.store(self._behind).levels if level.at > cutoff]

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The line that is furthest behind."""
        late = [level for level in self._lines(view) if level.amount >= self.steps[0]]
        if not late:
            return
        days = max(level.amount for level in late)
        step = rung(self.steps, days)
        above_watch = Severity.CRITICAL if step >= self.critical_from_days else Severity.HIGH
        yield Finding(
            "",
            None,
            step,
            above_watch if step >= min(self.high_from_days, self.critical_from_days) else Severity.WATCH,
            _said(len(late), days),
            (
                AlertMeasure(
                    name="external_days_past_due", value=days, threshold=step, window=iso_days(self.report_days)
                ),
                AlertMeasure(name="lines_past_due", value=len(late)),
            ),
            tuple(level.event for level in late[-12:]),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when a report is too old to be believed."""
        late = [level.at for level in self._lines(view) if level.amount >= self.steps[0]]
        if late and view.episode(self.key, "") is not None:
            yield Wakeup(late[0] + self.report_days * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Paid by a later report, corrected by one of the same day or before, or not reported any more."""
        lines = self._lines(view)
        if not lines:
            return ended(episode, "expired", "The bureau reports nothing of it any more.")
        if any(local_day(level.at, view.zone) > episode.onset for level in lines):
            return ended(episode, "cured", "The accounts elsewhere are no longer past due.")
        return ended(episode, "disproved", "A corrected report shows that the account was not past due.")


def _said(number: int, days: int) -> str:
    if number == 1:
        return f"An account with another lender is {days} days past due."
    return f"{number} accounts with other lenders are up to {days} days past due."
