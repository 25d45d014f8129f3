from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.balances import BALANCE
from streams.engine.balances import DAYS as KEPT_DAYS
from streams.engine.calendar import DAY_MS, iso_days, local_day, midnight_ms
from streams.engine.codes import TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended
from streams.engine.measure import Store, closing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode
    from streams.engine.measure import Measure

IDLE_DAYS = 90
"""An overdrawn account that is used no more is spoken of for so long."""


class NegativeBalance(Detector):
    """An account was below zero at the end of 3 of the last 7 days.

    Why: who lives on the overdraft has nothing for the next installment, and pays for the overdraft too.
    Settings: more `days_min` asks for longer need; `floor_minor` leaves small overdrafts alone (minor units, any
    currency); a day without a transaction has the balance of the day before.
    Known false alarms: an agreed overdraft that is used each month before payday; a fee booked to an idle account.
    On 1,000 simulated healthy borrowers: no episode in a year (no simulated account is ever overdrawn).
    First step: remind of the next due day early, and ask whether the payday and the due day fit together.
    Source: assumption.
    """

    key: ClassVar[str] = "negative_balance"
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Remind of the next due day early; ask whether payday and due day fit together."

    days_min: int = Field(default=3, ge=1, le=14)
    window_days: int = Field(default=7, ge=1, le=KEPT_DAYS - 2)
    floor_minor: int = Field(default=0, ge=0, description="A balance counts from so far below zero")
    cooldown_days: int = Field(default=7, ge=0, le=365, description="Days of calm before an episode is resolved")

    def measures(self) -> tuple[Measure, ...]:
        """Closing balances of each account."""
        return (BALANCE,)

    def quiet(self) -> tuple[Measure, ...]:
        """Balances above zero are no reason to look."""
        return (BALANCE,)

    def minds(self, data: object) -> bool:
        """Whether a balance is below zero."""
        balance = getattr(data, "balance_after_minor", None)
        return balance is not None and balance < -self.floor_minor

    def _worst(self, view: BorrowerView) -> tuple[int, int]:
        """The most days below zero of one account, and the lowest end of a day among them."""
        worst = (0, 0)
        today = local_day(view.now_ms, view.zone)
        for _, store in view.stores(BALANCE):
            if self._is_low(store):
                ends = [midnight_ms(today - back, view.zone) for back in range(self.window_days)]
                held = [closing(BALANCE, store, end) for end in ends]
                low = [amount for amount in held if amount is not None and amount < -self.floor_minor]
                worst = max(worst, (len(low), -min(low, default=0)))
        return worst

    def _is_low(self, store: Store) -> bool:
        return any(amount < -self.floor_minor for amount in store.amounts)

    def _is_idle(self, view: BorrowerView, now_ms: int) -> bool:
        """Whether an account that was told to be overdrawn has not been used since: nothing has got better."""
        known = view.episode(self.key, "")
        is_used = any(store.ats for _, store in view.stores(BALANCE))
        is_low = (view.balance or 0) < -self.floor_minor
        return known is not None and is_low and not is_used and now_ms < known.changed_ms + IDLE_DAYS * DAY_MS

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The account that was below zero on most of the days."""
        days, depth = self._worst(view)
        if days >= self.days_min or self._is_idle(view, view.now_ms):
            window = iso_days(self.window_days)
            yield Finding(
                "", None, 1, Severity.WATCH,
                f"An account was below zero on {days or 'all'} of {self.window_days} days.",
                (
                    alerts.Measure(name="days_below_zero", value=days, threshold=self.days_min, window=window),
                    alerts.Measure(name="lowest_balance_minor", value=-depth),
                ),
            )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """The next day's beginning, while an account was below zero within the window."""
        if any(self._is_low(store) for _, store in view.stores(BALANCE)):
            yield Wakeup(midnight_ms(local_day(view.now_ms, view.zone) + 1, view.zone))
        known = view.episode(self.key, "")
        if known is not None and self._is_idle(view, view.now_ms):
            yield Wakeup(known.changed_ms + IDLE_DAYS * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The account is above zero again, or nothing is heard of it."""
        if (view.balance or 0) < -self.floor_minor and not self._worst(view)[0]:
            return ended(episode, "expired", "The account is used no more.")
        return ended(episode, "recovered", "The account is above zero again.")
