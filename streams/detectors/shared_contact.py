from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.detector import Finding, rung
from streams.engine.loan import BUCKET_DAYS
from streams.engine.portfolio.detector import LinkDetector

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.portfolio.link import LinkView

STEPS = (1, 2, 3, 5)


class SharedContact(LinkDetector):
    """The borrower shares a device, phone, guarantor or employer with one who is more than 30 days past due.

    Why: trouble and fraud travel along contacts: one household, one lay-off, one guarantor who is called on, one agent
    who files applications from his own phone. The one who still pays is warned of before the own first miss.
    Settings: a lower `from_bucket` takes earlier arrears of the other for trouble; `members_max` keeps what many share
    (a large employer, a phone shop) silent: that is the matter of cohorts; `high_from` borrowers in trouble behind one
    link make the alert high. `kinds` says which links count. Colleagues say less than a household: fewer than
    `colleagues_from` of them in trouble are only noted (info).
    Known false alarms: a family of whom one is late; tokens made of defaults (an empty phone number, an emulator);
    colleagues of a large employer, if `members_max` is set high. A borrower has an episode for each such link.
    First step: look at both files for a common cause; never speak to one borrower of the other's debt.
    Source: the idea is the product's mission and domain catalogue (shared with a borrower at 30+); beyond 30 days past
    due is bucket M2 here. All numbers are assumptions.
    """

    key: ClassVar[str] = "shared_contact"
    first_step: ClassVar[str] = (
        "Look at both files for a common cause (household, employer, agent); "
        "never tell one borrower of the other's debt."
    )

    kinds: tuple[Literal["device", "phone", "guarantor", "employer"], ...] = Field(
        default=("device", "phone", "guarantor", "employer"), description="The links that count"
    )
    from_bucket: int = Field(default=2, ge=1, le=6, description="The bucket from which on the other is in trouble")
    members_max: int = Field(default=10, ge=2, le=100, description="A link of more borrowers says nothing")
    high_from: int = Field(default=3, ge=1, description="So many others in trouble make it high")
    colleagues_from: int = Field(default=3, ge=1, description="So many colleagues in trouble are worth a look")

    def judge_link(self, view: LinkView) -> Iterator[tuple[str, Finding]]:
        """Each borrower behind the link who shares it with another one in trouble."""
        if view.kind not in self.kinds or not 1 < len(view.members) <= self.members_max:
            return
        troubled = {borrower for borrower, bucket in view.members.items() if bucket >= self.from_bucket}
        for borrower in sorted(view.members):
            others = len(troubled - {borrower})
            if others:
                yield borrower, self._finding(view, others)

    def _finding(self, view: LinkView, others: int) -> Finding:
        article = "an" if view.kind == "employer" else "a"
        return Finding(
            view.name, None, rung(STEPS, others), self._severity(view.kind, others),
            f"Shares {article} {view.kind} with {others} of more than {BUCKET_DAYS * (self.from_bucket - 1)} "
            "days past due.",
            (
                Measure(name="others_in_trouble", value=others, threshold=1),
                Measure(name="borrowers_sharing", value=len(view.members), threshold=self.members_max),
                Measure(name="link", value=view.name),
            ),
        )  # fmt: skip

    def _severity(self, kind: str, others: int) -> Severity:
        if kind == "employer":
            return Severity.WATCH if others >= self.colleagues_from else Severity.INFO
        return Severity.HIGH if others >= self.high_from else Severity.WATCH
