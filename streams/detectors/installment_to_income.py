from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.codes import INCOME, TRANSACTION
from streams.engine.detector import LOAN_EVENTS, BorrowerView, Detector, Finding, Wakeup
from streams.engine.income import income_measure, incomes, monthly_due, paid_elsewhere
from streams.engine.loan import ACTIVE
from streams.engine.measure import total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.measure import Measure

MONTH = 31
INCOMES_MIN = 3
"""So many incomes are a measured one; with fewer the income that was stated counts."""


class Burden(NamedTuple):
    """A month's installments here and elsewhere, the month's income, and what was agreed to: all in one currency."""

    own: float
    elsewhere: int
    income: float
    agreed: float
    evidence: tuple[str, ...]

    @property
    def share(self) -> float:
        """All installments over the income."""
        return (self.own + self.elsewhere) / self.income


class InstallmentToIncome(Detector):
    """A month's installments, here and elsewhere, take more than 30 % (watch) or 50 % (critical) of the income.

    Why: above these shares a household has no room for a bad month; regulators cap them.
    Settings: `watch_above` and `critical_above` are the shares; `rise_min` is by how much the share must lie above the
    one that was agreed to when the loans were granted (own installments over the stated income): what the lender
    knew then is no news. Income is the median of the last three recurring incomes, else the stated one; elsewhere is
    what went to other lenders in the last 31 days (MCC 6012, or a repayment to somebody who is not in `own_lenders`).
    Known false alarms: a second income that is not seen; an old loan elsewhere that is paid off at once.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: add up all installments with the borrower, and offer a longer term before the next due day.
    Source: caps of SEOJK 19/2023 (Indonesia): 30 % and 50 %; `rise_min` is an assumption.
    """

    key: ClassVar[str] = "installment_to_income"
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | {TRANSACTION}
    first_step: ClassVar[str] = "Add up all installments with the borrower; offer a longer term before the due day."

    watch_above: float = Field(default=0.3, gt=0, le=5)
    critical_above: float = Field(default=0.5, gt=0, le=5)
    rise_min: float = Field(default=0.1, ge=0, le=5, description="Above the share that was agreed to")
    purposes: frozenset[str] = INCOME
    own_lenders: frozenset[str] = frozenset({"own"})
    cooldown_days: int = Field(default=14, ge=0, le=365, description="Days of calm before an episode is resolved")

    def measures(self) -> tuple[Measure, ...]:
        """The latest incomes, and what goes to other lenders each day."""
        return self._income, *self._elsewhere

    @cached_property
    def _income(self) -> Measure:
        return income_measure(self.purposes)

    @cached_property
    def _elsewhere(self) -> tuple[Measure, Measure]:
        return paid_elsewhere(self.own_lenders, MONTH + 1)

    def _burden(self, view: BorrowerView) -> Burden | None:
        """Of the latest running loan's currency; None without a loan or an income."""
        loans = [loan for loan in view.loans if loan.status == ACTIVE]
        if not loans:
            return None
        currency, since_ms = loans[-1].currency, view.now_ms - MONTH * DAY_MS
        own = sum(monthly_due(loan) for loan in loans if loan.currency == currency)
        paid = (total(m, view.store(m, currency), since_ms, view.now_ms + DAY_MS)[1] for m in self._elsewhere)
        stated = max((loan.profile.stated_income or 0 for loan in loans if loan.profile is not None), default=0)
        known = incomes(view, self._income)
        is_known = known is not None and known.currency == currency and len(known.payments) >= INCOMES_MIN
        income = known.monthly if known is not None and is_known else stated
        evidence = tuple(income.event for income in known.payments[-INCOMES_MIN:]) if known is not None else ()
        return Burden(own, sum(paid), income, own / stated if stated else 0.0, evidence) if income > 0 else None

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """All installments of a month over its income."""
        burden = self._burden(view)
        if burden is None or burden.share <= self.watch_above or burden.share < burden.agreed + self.rise_min:
            return
        is_critical = burden.share > self.critical_above
        yield Finding(
            "", None, 2 if is_critical else 1, Severity.CRITICAL if is_critical else Severity.WATCH,
            f"Installments take {burden.share:.0%} of the income; {burden.agreed:.0%} was agreed to.",
            (
                alerts.Measure(
                    name="installment_share", value=round(burden.share, 4), window=iso_days(MONTH),
                    threshold=self.critical_above if is_critical else self.watch_above,
                ),
                alerts.Measure(name="agreed_share", value=round(burden.agreed, 4)),
                alerts.Measure(name="own_installments_minor", value=round(burden.own)),
                alerts.Measure(name="paid_elsewhere_minor", value=burden.elsewhere, window=iso_days(MONTH)),
                alerts.Measure(name="income_monthly_minor", value=round(burden.income)),
            ),
            burden.evidence,
        )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the oldest payment to another lender leaves the month."""
        if view.episode(self.key, "") is not None:
            days = [day for measure in self._elsewhere for _, store in view.stores(measure) for day in store.numbers]
            leaving = [(day + MONTH) * DAY_MS + 1 for day in days]
            ahead = [at for at in leaving if at > view.now_ms]
            if ahead:
                yield Wakeup(min(ahead))
