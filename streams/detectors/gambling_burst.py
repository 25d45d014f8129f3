from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.betting import DAYS, SPENDING, bets
from streams.engine.calendar import DAY_MS, HOUR_MS, iso_days
from streams.engine.codes import BETTING, TRANSACTION
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.measure import LAST_MAX, total

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from streams.engine.measure import Measure, Seen


class GamblingBurst(Detector):
    """Several bets within hours, with a share of the month's money that matters: losses are being chased.

    Why: short intense play is a loss of control; it foretells default where the sum of a month does not.
    Settings: more `bets_min` or fewer `hours` ask for faster play; `share_min` leaves cheap games alone; two bursts
    among the latest bets (`high_bursts`) make it high. An episode lasts `memory_days` after the last burst.
    Known false alarms: an evening at the races once a year; many small tickets of one game bought one by one.
    On 1,000 simulated healthy borrowers: no episode in a year.
    First step: speak about the payment first, name help with gambling; do not extend credit.
    Source: Hakansson 2020 (bursts foretell default where sums do not); the numbers are assumptions.
    """

    key: ClassVar[str] = "gambling_burst"
    listens: ClassVar[frozenset[str]] = frozenset({TRANSACTION})
    first_step: ClassVar[str] = "Speak about the payment, name help with gambling; do not extend credit."

    bets_min: int = Field(default=4, ge=2, le=LAST_MAX)
    hours: int = Field(default=12, ge=1, le=72)
    share_min: float = Field(default=0.03, ge=0, le=1, description="A burst's stakes over what left in 30 days")
    high_bursts: int = Field(default=2, ge=1, le=4, description="Bursts among the latest 8 bets that make it high")
    memory_days: int = Field(default=30, ge=1, le=DAYS)
    mccs: frozenset[str] = BETTING
    cooldown_days: int = Field(default=14, ge=0, le=365, description="Days of calm before an episode is resolved")

    def measures(self) -> tuple[Measure, ...]:
        """The latest bets, and what is spent."""
        return self._bets, SPENDING

    def quiet(self) -> tuple[Measure, ...]:
        """Spending is looked at with the next bet."""
        return (SPENDING,)

    @cached_property
    def _bets(self) -> Measure:
        return bets(self.mccs)

    def _bursts(self, seen: Sequence[Seen]) -> list[Sequence[Seen]]:
        """Runs of enough bets within the hours, that do not overlap, oldest first."""
        found: list[Sequence[Seen]] = []
        first = 0
        while first + self.bets_min <= len(seen):
            inside = [entry for entry in seen[first:] if entry.at - seen[first].at <= self.hours * HOUR_MS]
            if len(inside) >= self.bets_min:
                found.append(inside)
            first += len(inside) if len(inside) >= self.bets_min else 1
        return found

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The bursts of the last days, in the currency with the most of them."""
        since_ms = view.now_ms - self.memory_days * DAY_MS
        best: tuple[int, float, list[Sequence[Seen]]] = (0, 0.0, [])
        for currency, store in view.stores(self._bets):
            _, spent = total(SPENDING, view.store(SPENDING, currency), since_ms, view.now_ms + DAY_MS)
            recent = [burst for burst in self._bursts(store.seen) if burst[-1].at > since_ms]
            share = sum(entry.what for burst in recent for entry in burst) / spent if spent else 0.0
            if recent and share >= self.share_min:
                best = max(best, (len(recent), share, recent), key=lambda found: found[:2])
        count, share, bursts = best
        if not count:
            return
        is_high, most = count >= self.high_bursts, max(map(len, bursts))
        yield Finding(
            "", None, 2 if is_high else 1, Severity.HIGH if is_high else Severity.WATCH,
            f"{most} bets within {self.hours} hours, {share:.0%} of what left the account in {self.memory_days} days.",
            (
                alerts.Measure(name="bets_in_burst", value=most, threshold=self.bets_min, window=f"PT{self.hours}H"),
                alerts.Measure(
                    name="burst_share", value=round(share, 4), threshold=self.share_min,
                    window=iso_days(self.memory_days),
                ),
                alerts.Measure(name="bursts", value=count, threshold=self.high_bursts),
            ),
            tuple(entry.event for burst in bursts for entry in burst),
        )  # fmt: skip

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """While an episode is open: when its last burst is forgotten."""
        if view.episode(self.key, "") is not None:
            kept = self.memory_days * DAY_MS
            ends = [b[-1].at + kept for _, store in view.stores(self._bets) for b in self._bursts(store.seen)]
            ahead = [end for end in ends if end > view.now_ms]
            if ahead:
                yield Wakeup(min(ahead))
