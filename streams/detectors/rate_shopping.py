from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas import alerts
from schemas.alerts import Severity
from streams.engine.calendar import DAY_MS, iso_days
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup, ended, rung
from streams.engine.inquiries import HARD, INQUIRY, OWN_LENDERS, SECURED, SHOPPING_DAYS
from streams.engine.measure import Kind, Measure, Seen, distinct

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.borrower import Episode


class RateShopping(Detector):
    """The borrower compares offers for one secured loan: so many inquiries were counted as one, and this says so.

    Why: it predicts nothing. It explains why multi_lending_spike and inquiry_velocity are silent though many lenders
    asked, and it is what to look at when somebody doubts that.
    Settings: `purposes` and `shopping_days` should be those of multi_lending_spike; `steps` are the numbers of lenders
    at which it says so (again).
    Known false alarms: a purpose stated wrongly by the lenders. Many applications for cars in a row may be fraud.
    On 1,000 simulated healthy borrowers: 0 info episodes a year; with a harmless trouble: 145 info (rate shopping).
    First step: none; expect one new secured loan, and look again if several are opened.
    Source: FICO counts such inquiries within 14 (older models) to 45 days (newer ones) as one; steps are assumptions.
    """

    key: ClassVar[str] = "rate_shopping"
    listens: ClassVar[frozenset[str]] = frozenset({INQUIRY})
    first_step: ClassVar[str] = "None; expect one new secured loan, and look again if several are opened."

    purposes: frozenset[str] = Field(default=SECURED, description="Purposes of secured loans")
    shopping_days: int = Field(default=SHOPPING_DAYS, ge=14, le=45)
    steps: tuple[int, ...] = Field(default=(2, 4, 8), min_length=1, description="Numbers of lenders, rising")
    own_lenders: frozenset[str] = OWN_LENDERS

    def measures(self) -> tuple[Measure, ...]:
        """The lenders asked, by purpose."""
        return (self._shopped,)

    @cached_property
    def _shopped(self) -> Measure:
        return Measure(
            "inquiries.shopping", INQUIRY, Kind.DISTINCT, self.shopping_days, (HARD, ("purpose", self.purposes)),
            field="lender_token", unless=(("lender_token", self.own_lenders),), per="purpose",
        )  # fmt: skip

    def _searches(self, view: BorrowerView) -> list[tuple[str, list[Seen]]]:
        """The purposes for which at least two lenders were asked, the busiest first."""
        since = view.now_ms - self.shopping_days * DAY_MS
        asked = [(purpose, distinct(store, since)) for purpose, store in view.stores(self._shopped)]
        return sorted((x for x in asked if len(x[1]) >= self.steps[0]), key=lambda x: (-len(x[1]), x[0]))

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The busiest search."""
        for purpose, seen in self._searches(view)[:1]:
            yield Finding(
                "",
                None,
                rung(self.steps, len(seen)),
                Severity.INFO,
                f"Inquiries of {len(seen)} lenders for one loan ({purpose}) were counted as one.",
                (
                    alerts.Measure(
                        name="inquiries_as_one",
                        value=len(seen),
                        threshold=self.steps[0],
                        window=iso_days(self.shopping_days),
                    ),
                    alerts.Measure(name="purpose", value=purpose),
                ),
                tuple(entry.event for entry in seen[-12:]),
            )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """When so many have left the window that there is no search any more."""
        for _, seen in self._searches(view):
            yield Wakeup(seen[-self.steps[0]].at + self.shopping_days * DAY_MS)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:  # noqa: ARG002 - it only passes
        """The window has passed."""
        return ended(episode, "expired", f"No further lender has asked within {self.shopping_days} days.")
