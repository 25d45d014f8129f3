from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.arrears import Arrears, arrears_of, no_longer_overdue
from streams.engine.balances import BALANCE, accounts, balance_at, transfers
from streams.engine.calendar import HOUR_MS, local_day, midnight_ms
from streams.engine.codes import BILLS, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.loan import ACTIVE, STANDS
from streams.engine.measure import Kind, Measure, total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.loan import Installment


class DrainAfterMiss(Detector):
    """At least half of the balance is moved away from the due day on until 72 hours after a miss it could have paid.

    Why: money that was there and went elsewhere is unwillingness, not inability: assets are being moved away.
    Settings: a higher `share_min` asks for more certainty; `cover_min` is how much of the installment the balance must
    have covered (0 looks at empty accounts too, and is noisy); purposes in `bills` and purchases are no transfer;
    `ahead_hours` before the miss belong to the window: who will not pay moves the money on the due day already.
    Known false alarms: rent without a purpose code on the same day; a transfer to an own savings account elsewhere.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: call at once, name the payment that was possible, and have a senior collector decide on firm steps.
    Source: assumption.
    """

    key: ClassVar[str] = "drain_after_miss"
    version: ClassVar[int] = 2
    listens: ClassVar[frozenset[str]] = frozenset(
        {
            TRANSACTION, "ews.repayment.received.v1", "ews.repayment.returned.v1", "ews.loan.schedule_changed.v1",
            "ews.loan.closed.v1", "ews.loan.charged_off.v1",
        }
    )  # fmt: skip
    first_step: ClassVar[str] = (
        "Call at once and name the payment that was possible; have a senior collector decide on firm steps."
    )

    share_min: float = Field(default=0.5, gt=0, le=1)
    window_hours: int = Field(default=72, ge=1, le=168)
    ahead_hours: int = Field(default=24, ge=0, le=72, description="So long before the miss the window begins")
    cover_min: float = Field(
        default=1.0, ge=0, description="Balance at the miss over the amount of the missed installment"
    )
    bills: frozenset[str] = Field(default=BILLS, description="Purposes of what is paid each month: no transfer")

    def measures(self) -> tuple[Measure, ...]:
        """Hourly transfers out with their latest events, and closing balances of the last days."""
        return self._out, self._transfers, BALANCE

    def quiet(self) -> tuple[Measure, ...]:
        """Balances are looked at when money goes out after a miss."""
        return (BALANCE,)

    @cached_property
    def _out(self) -> Measure:
        return transfers(self.bills)

    @cached_property
    def _transfers(self) -> Measure:
        return self._out._replace(name="transfers.last", kind=Kind.LAST, per="currency")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The outflow after each recent miss; an episode goes on while its run of days past due does."""
        for loan in view.loans:
            known = view.episode(self.key, loan.id)
            if known is None and not loan.overdue(view.day(loan)):
                continue
            for arrears in arrears_of(view, loan):
                for line in arrears.spell.lines:
                    if known is not None and known.onset == line.due:
                        over = "cured" if line.cleared is not None else arrears.over
                        reason = f"The missed installment is {'settled' if over else 'still unpaid'}."
                        severity = Severity(known.severity)
                        yield Finding(loan.id, line.due, known.step, severity, reason, (), over=over)
                    elif (
                        arrears.over is None
                        and line.due >= local_day(view.now_ms, loan.zone) - 1 - self.window_hours // 24
                    ):
                        yield from self._weigh(view, arrears, line)

    def _weigh(self, view: BorrowerView, arrears: Arrears, line: Installment) -> Iterator[Finding]:
        loan = arrears.loan
        missed_ms = midnight_ms(line.due + 1, loan.zone)
        since_ms, until_ms = missed_ms - self.ahead_hours * HOUR_MS, missed_ms + self.window_hours * HOUR_MS
        held = [balance_at(view, BALANCE, loan.currency, at) or 0 for at in (since_ms, missed_ms)]
        balance = max(held)
        could_pay = balance > 0 and balance >= self.cover_min * line.amount
        if line.cleared is not None or missed_ms > view.complete_ms(loan.source) or not could_pay:
            return
        _, left = total(self._out, view.store(self._out, loan.currency), since_ms, until_ms)
        since = local_day(since_ms, loan.zone)
        paid = sum(p.amount for p in loan.payments if p.state == STANDS and p.valued >= since)
        share = max(0, left - paid) / balance
        if share >= self.share_min:
            span = f"PT{self.window_hours}H"
            seen = view.store(self._transfers, loan.currency).seen
            yield Finding(
                loan.id, line.due, 1, Severity.HIGH,
                f"{share:.0%} of the balance left within {self.window_hours} hours after installment {line.number}.",
                (
                    alerts.Measure(name="outflow_share", value=round(share, 4), threshold=self.share_min, window=span),
                    alerts.Measure(name="balance_at_miss_minor", value=balance),
                ),
                (*arrears.evidence, *(entry.event for entry in seen if since_ms <= entry.at < until_ms)),
            )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When the next miss becomes known: what left the account before that is weighed then."""
        for loan in view.loans:
            day = view.day(loan)
            line = next((line for line in loan.installments if line.due >= day and line.cleared is None), None)
            if line is not None and loan.status == ACTIVE and any(accounts(view, BALANCE, loan.currency)):
                yield Wakeup(midnight_ms(line.due + 1, loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The miss itself is gone from the facts."""
        return no_longer_overdue(view, episode)
