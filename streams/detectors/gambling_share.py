from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.betting import DAYS, SPENDING, bets, stakes
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.codes import BETTING, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.measure import total

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.measure import Measure


class GamblingShare(Detector):
    """At least a tenth of all that leaves the account in 30 days goes to betting, in at least 5 bets.

    Why: a share of the income that grows with every loss is missing on the due day, and is borrowed elsewhere.
    Settings: a lower `share_min` warns earlier and of more people; `bets_min` leaves single tickets alone;
    `high_share` is the share from which it is high.
    Known false alarms: a holiday with a casino; a syndicate's stakes paid from one account; a month with hardly any
    other spending. Winnings are not counted against the stakes.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: speak about the payment first, name help with gambling, and offer to move the due day to the payday.
    Source: assumption.
    """

    key: ClassVar[str] = "gambling_share"
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Speak about the payment, name help with gambling; offer a due day right after payday."

    share_min: float = Field(default=0.1, gt=0, le=1, description="Stakes over all that leaves the account")
    high_share: float = Field(default=0.3, gt=0, le=1, description="Share from which the severity is high")
    bets_min: int = Field(default=5, ge=1, le=100)
    window_days: int = Field(default=30, ge=1, le=DAYS)
    mccs: frozenset[str] = BETTING
    cooldown_days: int = Field(default=14, ge=0, le=365, description="Days of calm before an episode is resolved")
    held_while: frozenset[str] = frozenset({"gambling_burst"})

    def measures(self) -> tuple[Measure, ...]:
        """Stakes and spending of each day, and the latest bets."""
        return self._stakes, SPENDING, self._bets

    def quiet(self) -> tuple[Measure, ...]:
        """Spending is looked at with the next bet."""
        return (SPENDING,)

    @cached_property
    def _stakes(self) -> Measure:
        return stakes(self.mccs)

    @cached_property
    def _bets(self) -> Measure:
        return bets(self.mccs)

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The currency with the largest share."""
        since_ms = view.now_ms - self.window_days * DAY_MS
        shares = []
        for currency, store in view.stores(self._stakes):
            count, staked = total(self._stakes, store, since_ms, view.now_ms + DAY_MS)
            _, spent = total(SPENDING, view.store(SPENDING, currency), since_ms, view.now_ms + DAY_MS)
            if count >= self.bets_min and staked >= self.share_min * spent > 0:
                shares.append((staked / spent, count, staked, currency))
        if not shares:
            return
        share, count, staked, currency = max(shares)
        is_high, window = share >= self.high_share, iso_days(self.window_days)
        yield Finding(
            "", None, 2 if is_high else 1, Severity.HIGH if is_high else Severity.WATCH,
            f"{share:.0%} of all that left the account in {self.window_days} days went to betting.",
            (
                alerts.Measure(name="betting_share", value=round(share, 4), threshold=self.share_min, window=window),
                alerts.Measure(name="bets", value=count, threshold=self.bets_min, window=window),
                alerts.Measure(name="staked_minor", value=staked, window=window),
            ),
            tuple(entry.event for entry in view.store(self._bets, currency).seen if entry.at > since_ms),
        )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when the oldest day with a bet leaves the window."""
        if view.episode(self.key, "") is not None:
            window_ms = self.window_days * DAY_MS
            days = [day * DAY_MS for _, store in view.stores(self._stakes) for day in store.numbers]
            leaving = [day + window_ms + 1 for day in days if day + window_ms + 1 > view.now_ms]
            if leaving:
                yield Wakeup(min(leaving))
