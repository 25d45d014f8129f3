from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import MONTH, Kind, Level, Measure
from streams.engine.tradelines import LOAN_KINDS, REPORT_DAYS, TRADELINE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode


class LendersHoldingDebt(Detector):
    """At least three different lenders hold a loan of the borrower with something owed; more than three is worse.

    Why: each lender looks at the installment on its own loan, and nobody at the sum; who owes many pays the loudest.
    Settings: lower counts warn earlier; more `kinds` (cards, telecom, retail) take in what nearly everybody has, and
    are noisy; a higher `owed_min_minor` leaves small rests out.
    Known false alarms: a loan that is paid off but reported late; a consolidation loan in its first weeks.
    On 1,000 simulated healthy borrowers: 7 watch episodes a year; with a harmless trouble: 6 watch.
    First step: add up the installments of all loans against the income; lend no more, and offer a consolidation.
    Source: caps of three lenders at once for a borrower (MFIN code of conduct, India; SEOJK 19/2023, Indonesia). Which
    kinds count is an assumption.
    """

    key: ClassVar[str] = "lenders_holding_debt"
    listens: ClassVar[frozenset[str]] = frozenset({TRADELINE})
    first_step: ClassVar[str] = (
        "Add up the installments of all loans against the income; lend no more, and offer a consolidation."
    )

    watch_from: int = Field(default=3, ge=1, le=30, description="Different lenders that are owed something")
    critical_from: int = Field(default=4, ge=1, le=30)
    kinds: frozenset[str] = Field(default=LOAN_KINDS, description="Kinds of tradelines that count as loans")
    owed_min_minor: int = Field(default=1, ge=1, description="The least that is owed to a lender for it to count")
    report_days: int = Field(default=REPORT_DAYS, ge=31, le=365, description="How long a report is believed")

    def measures(self) -> tuple[Measure, ...]:
        """What is owed on each line, by lender."""
        return (self._owed,)

    @cached_property
    def _owed(self) -> Measure:
        return Measure(
            "tradelines.owed_by_lender", TRADELINE, Kind.LEVEL, self.report_days, (("kind", self.kinds),),
            value="owed_minor", field="tradeline", bucket_ms=MONTH, per="lender_token",
        )  # fmt: skip

    def _lenders(self, view: BorrowerView) -> dict[str, list[Level]]:
        """The lines of each lender that is owed enough. A part is the lender's token and the currency."""
        cutoff = view.now_ms - self.report_days * DAY_MS
        lenders: dict[str, list[Level]] = {}
        for part, store in sorted(view.stores(self._owed)):
            fresh = [level for level in store.levels if level.at > cutoff and level.amount > 0]
            if sum(level.amount for level in fresh) >= self.owed_min_minor:
                lenders.setdefault(part.rpartition("/")[0], []).extend(fresh)
        return lenders

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """How many lenders are owed something now."""
        lenders = self._lenders(view)
        if len(lenders) < min(self.watch_from, self.critical_from):
            return
        critical = len(lenders) >= self.critical_from
        threshold = self.critical_from if critical else self.watch_from
        lines = sorted((level for levels in lenders.values() for level in levels), key=lambda x: (x.at, x.event))
        yield Finding(
            "",
            None,
            2 if critical else 1,
            Severity.CRITICAL if critical else Severity.WATCH,
            f"{len(lenders)} lenders hold loans of the borrower.",
            (
                alerts.Measure(
                    name="lenders_holding_debt",
                    value=len(lenders),
                    threshold=threshold,
                    window=iso_days(self.report_days),
                ),
                alerts.Measure(name="loans_elsewhere", value=len(lines)),
            ),
            tuple(level.event for level in lines[-12:]),
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the first report is too old to be believed."""
        if view.episode(self.key, "") is not None:
            ats = [level.at for levels in self._lenders(view).values() for level in levels]
            if ats:
                yield Wakeup(min(ats) + self.report_days * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """Loans are paid, or nothing is reported of them any more."""
        cutoff = view.now_ms - self.report_days * DAY_MS
        known = [level for _, store in view.stores(self._owed) for level in store.levels if level.at > cutoff]
        if len(known) < self.watch_from:
            return ended(episode, "expired", "The bureau reports so many loans no longer.")
        return ended(episode, "recovered", "Fewer lenders are owed anything.")
