from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from schemas.alerts import Measure, Severity
from streams.engine.arrears import after_next_due
from streams.engine.calendar import midnight_ms
from streams.engine.detector import LOAN_EVENTS, Detector, Finding, Wakeup, ended
from streams.engine.loan import CHARGED_OFF
from streams.engine.scorecard import COMPOSITE, risk

if TYPE_CHECKING:
    from collections.abc import Iterator

    from schemas.alerts import Risk
    from streams.engine.borrower import Episode
    from streams.engine.detector import BorrowerView

TIERS = ("none", "watch", "high", "critical")  # by step
FIRST_STEPS = {
    "unable": "Call to learn what has changed, and offer an extension or a plan before the next due day.",
    "unwilling": "Have a senior collector take the case: firm steps early, and no further extension.",
    "undetermined": "Go through the reasons, and call to learn whether the borrower cannot or will not pay.",
}
SEEMS = {"unable": " The borrower seems unable to pay.", "unwilling": " The borrower seems unwilling to pay."}
REASONS_TOLD = 3


class BorrowerRisk(Detector):
    """The signs of trouble of one borrower, added up by the policy's scorecard, have reached a tier.

    Why: single signs are weak and often wrong; several at once, in one life, seldom are. It also says what the borrower
    seems to be (unable, unwilling, undetermined) and which share may come back.
    Settings: points, tiers, stances and recoveries stand in the scorecard of the policy. `ease_points`: the score must
    fall so far below a tier to leave it (more is calmer). `watch_signs_min`: fewer signs are told by their detectors.
    Known false alarms: those of the detectors behind the points, when two are wrong for the same reason.
    On 1,000 simulated healthy borrowers: 4 watch, 2 high episodes a year; with a harmless trouble: 157 watch, 12 high.
    First step: by stance; a plan for who cannot pay, a firm hand for who will not.
    Source: points, ease and signs are assumptions, the points until `ews calibrate` has fitted them on own history.
    """

    key: ClassVar[str] = COMPOSITE
    composite: ClassVar[bool] = True
    listens: ClassVar[frozenset[str]] = LOAN_EVENTS | {
        "ews.inquiry.made.v1", "ews.tradeline.reported.v1", "ews.score.reported.v1", "ews.public_record.filed.v1",
    }  # fmt: skip
    first_step: ClassVar[str] = FIRST_STEPS["undetermined"]

    ease_points: int = Field(default=10, ge=0, le=200)
    watch_signs_min: int = Field(default=2, ge=1, le=20, description="Signs that make a watch tier worth telling")

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """The tier of the score; where a higher one was open that is over, and the lower one begins."""
        now = risk(view.policy.scorecard, view)
        known = view.episode(self.key, "")
        step = max(TIERS.index(now.tier), self._held(view, now, known))
        if not step:
            return
        if known is not None and step < known.step:
            reason = f"The risk has fallen to {TIERS[step]}: {now.score} points."
            yield ended(known, "recovered", reason)._replace(risk=now)
        if step > 1 or _signs(now) >= self.watch_signs_min or (known is not None and known.step == step):
            yield self._finding(view, now, step)

    def _held(self, view: BorrowerView, now: Risk, known: Episode | None) -> int:
        """The open tier, unless the score has fallen below it by more than the ease. No other one is held open."""
        step = known.step if known is not None else 0
        return step if step and now.score >= _threshold(view, step) - self.ease_points else 0

    def _finding(self, view: BorrowerView, now: Risk, step: int) -> Finding:
        tier, threshold = TIERS[step], _threshold(view, step)
        return Finding(
            "",
            None,
            step,
            Severity(tier),
            f"The risk is {tier}: {now.score} points, {_told(now)}.{SEEMS.get(now.stance, '')}",
            (
                Measure(name="risk_score", value=now.score, threshold=threshold),
                Measure(name="signs", value=_signs(now)),
            ),
            risk=now.model_copy(update={"tier": tier}),
            first_step=FIRST_STEPS[now.stance],
        )

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """Each day on which a loan is past due, where the scorecard has numbers in it that then grow by themselves."""
        if not view.policy.scorecard.characteristics:
            return
        yield from after_next_due(view)
        for loan in view.loans:
            day = view.day(loan)
            if loan.days_past_due(day):
                yield Wakeup(midnight_ms(day + 1, loan.zone), loan.source)

    def farewell(self, view: BorrowerView, episode: Episode) -> Finding:
        """The score is below every tier; if all that has ended since was never true, neither was the risk."""
        now = risk(view.policy.scorecard, view)
        signs = [e for e in view.ended_episodes(episode.changed_ms) if e.detector != self.key]
        if signs and all(sign.withdrawn for sign in signs):
            return ended(episode, "disproved", "The alerts behind the risk were withdrawn.")._replace(risk=now)
        if any(loan.status == CHARGED_OFF and loan.ended_on >= episode.onset for loan in view.loans):
            return ended(episode, "charged_off", "A loan was charged off: the risk came true.")._replace(risk=now)
        return ended(episode, "recovered", f"The risk has passed: {now.score} points.")._replace(risk=now)


def _threshold(view: BorrowerView, step: int) -> int:
    tiers = view.policy.scorecard.tiers
    return (tiers.watch, tiers.high, tiers.critical)[step - 1]


def _signs(now: Risk) -> int:
    return sum(reason.points > 0 for reason in now.reasons)


def _told(now: Risk) -> str:
    """The weightiest reasons, as a person reads them."""
    adding = [reason for reason in now.reasons if reason.points > 0]
    names = [f"{r.name.removeprefix('episode.').replace('_', ' ')} {r.points}" for r in adding[:REASONS_TOLD]]
    more = f" and {len(adding) - REASONS_TOLD} more" if len(adding) > REASONS_TOLD else ""
    return f"from {', '.join(names)}{more}" if names else "from nothing in particular"
