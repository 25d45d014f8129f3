from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from schemas.alerts import Risk
from streams.casework.decisions import decide
from streams.casework.holds import holds_of
from streams.casework.ladder import Ladder
from streams.errors import Misconfigured
from streams.stores.case import CaseState, Stage
from streams.stores.work import HardStep, PromiseState
from tests.casework.builders import RULES, SUE, do, open_case, promise, told
from tests.consumers.builders import START, alert


def risk(tier: str, stance: str = "undetermined", *, status: str = "opened", **more: Any) -> Any:
    """An alert of the borrower's risk."""
    severity = "watch" if tier == "none" else tier
    said = Risk(score=120, tier=tier, stance=stance, recovery=0.25)
    return alert(status, detector="borrower_risk", loan=None, severity=severity, risk=said, **more)


def broken(status: str = "opened", *, revision: int = 1, hours: float = 96, severity: str = "watch") -> Any:
    """The alert that a promise on the loan was broken."""
    return alert(
        status, detector="broken_promise", severity=severity, revision=revision, hours=hours, onset=date(2026, 3, 5)
    )


def test_the_risk_of_a_borrower_stands_in_the_case() -> None:
    """Tier, score, stance and recovery as the latest open risk alert says; when that ends they are gone."""
    case = open_case(told(alert(dpd=5), risk("critical", "unwilling", hours=1)))
    assert ("critical", 120, "unwilling", 0.25) == (case.tier, case.score, case.stance, case.recovery)
    assert Stage.COLLECTOR is case.stage

    over = told(
        alert(dpd=5),
        risk("critical", "unwilling", hours=1),
        risk("critical", status="withdrawn", revision=2, hours=2),
    )
    assert (None, None, None, Stage.CALL) == (
        open_case(over).tier, open_case(over).stance, open_case(over).score, open_case(over).stage,
    )  # fmt: skip


def test_a_risk_that_was_watched_before_is_known_when_the_case_opens() -> None:
    """The episode brings the stance along into the case."""
    assert "unable" == open_case(told(risk("watch", "unable"), alert(dpd=5, hours=1))).stance


def test_who_cannot_pay_is_offered_help_and_not_sued() -> None:
    """The hard stage is held back, and the next step says both."""
    case = open_case(told(alert(dpd=95), risk("high", "unable", hours=1)))

    assert (Stage.COLLECTOR, False) == (case.stage, case.needs_approval)
    assert "Offer a plan or an extension" in case.next_step
    assert "litigation is held back" in case.next_step


def test_who_will_not_pay_meets_the_ladder_as_it_stands() -> None:
    """The hard stage is called for; being off, it says so and what to do."""
    case = open_case(told(alert(dpd=95), risk("high", "unwilling", hours=1)))

    assert (Stage.LITIGATION, True) == (case.stage, case.needs_approval)
    assert "litigation is off here (EWS_HARD_STEPS)" in case.next_step


def test_a_step_that_is_on_still_asks_for_approval() -> None:
    """Switched on, it waits for a supervisor."""
    rules = RULES.with_hard_steps("litigation")

    assert "Ask a supervisor to approve: litigation." in open_case(told(alert(dpd=95), rules=rules)).next_step
    with pytest.raises(Misconfigured, match="there is no ligitation"):
        RULES.with_hard_steps("ligitation")
    assert frozenset() == Ladder.standard().hard_steps.on
    assert rules.is_on(HardStep.LITIGATION)


def test_an_approval_ends_when_the_case_steps_back() -> None:
    """Cured for a while and late again, the step is asked for anew."""
    rules = RULES.with_hard_steps("litigation")
    asked = do(told(alert(dpd=95), rules=rules), "request_approval", rules=rules, step="litigation", reason="x")
    approved = do(
        asked.book, "decide_approval", SUE, rules=rules, approval_id=asked.approvals[0].approval_id, approve=True
    )
    back = told(alert("escalated", revision=2, dpd=20, hours=5), book=approved.book, rules=rules)
    again = told(alert("escalated", revision=3, dpd=95, hours=9), book=back, rules=rules)

    assert (Stage.COLLECTOR, None) == (open_case(back).stage, open_case(back).approved_stage)
    assert open_case(again).needs_approval


def test_a_broken_promise_calls_for_somebody_at_once() -> None:
    """The promise is broken, the pause is over, and the whole time to act begins with the alert."""
    made = promise(told(alert(dpd=5)))
    decision = decide(made.book, broken(), RULES)

    case = open_case(decision.book)
    assert [PromiseState.BROKEN] == [p.state for p in decision.promises]
    assert (CaseState.BROKEN_PROMISE, START + timedelta(hours=120)) == (case.state, case.due_at)
    assert holds_of(decision.book).promise_until is None
    assert "promise.broken" in [entry.action for entry in decision.entries]


def test_a_promise_that_was_never_broken_is_waited_for_again() -> None:
    """A payment valued in time withdraws the alert: the promise is kept if it is paid, else open as before."""
    made = promise(told(alert(dpd=5)), days=3)
    book = told(broken(hours=95), broken("withdrawn", revision=2, hours=96), book=made.book)

    assert [PromiseState.OPEN] == [p.state for p in book.promises]
    assert CaseState.PROMISE_TO_PAY is open_case(book).state

    late = told(broken(), broken("withdrawn", revision=2, hours=300), book=made.book)
    assert CaseState.OPEN is open_case(late).state


def test_a_promise_that_was_made_elsewhere_is_broken_too() -> None:
    """The case knows of none on the loan: the alert is enough. One that was cancelled is not broken."""
    assert CaseState.BROKEN_PROMISE is open_case(told(alert(dpd=5), broken())).state

    made = promise(told(alert(dpd=5)))
    dropped = do(made.book, "cancel_promise", hours=2, promise_id=made.promises[0].promise_id, reason="x")
    assert CaseState.OPEN is open_case(told(broken(), book=dropped.book)).state


def test_a_promise_on_another_loan_is_not_broken() -> None:
    """Each loan's promises are its own; the alert still calls for somebody."""
    book = told(alert(dpd=5), alert(loan="l-2", detector="partial_payment", dpd=3, hours=0.5))
    other = promise(book, loan="l-2")
    after = told(broken(), book=other.book)

    assert [PromiseState.OPEN] == [p.state for p in after.promises]


def test_a_death_stops_all_contact_for_good() -> None:
    """MD07 makes a staff case: no contact, no hard step, the clock runs. It outlives the case."""
    dead = alert(detector="mandate_broken", step=3, severity="critical", hours=1)
    book = told(alert(dpd=95), dead)

    assert holds_of(book).deceased
    assert (Stage.COLLECTOR, False) == (open_case(book).stage, open_case(book).is_paused)
    assert open_case(book).next_step.startswith("Stop all contact")

    ended = told(
        alert("resolved", detector="mandate_broken", step=3, severity="critical", revision=2, hours=2),
        alert("resolved", revision=2, hours=3),
        book=book,
    )
    assert (None, True) == (ended.case, holds_of(ended).deceased)
    assert open_case(told(alert(onset=date(2026, 4, 1), hours=800), book=ended)).deceased

    mistake = alert("withdrawn", detector="mandate_broken", step=3, severity="critical", revision=2, hours=2)
    assert not holds_of(told(mistake, book=book)).deceased


def test_a_mandate_that_is_only_broken_is_no_death() -> None:
    """AC04 and MD01 are the same detector's milder steps."""
    assert not holds_of(told(alert(detector="mandate_broken", step=2, severity="high"))).deceased


@pytest.mark.parametrize(
    ("kind", "fields", "state"),
    [
        ("hold", {"until": START + timedelta(days=5), "reason": "x"}, CaseState.ON_HOLD),
        ("hardship", {"note": "x"}, CaseState.HARDSHIP_REQUESTED),
        ("dispute", {"note": "x"}, CaseState.ON_HOLD),
    ],
)
def test_alerts_leave_a_persons_word_alone(kind: str, fields: dict[str, Any], state: CaseState) -> None:
    """Raised or stepped back, a stopped case stays stopped."""
    stopped = do(told(alert(dpd=5)), kind, **fields)
    raised = told(alert("escalated", revision=2, severity="critical", dpd=20, hours=2), book=stopped.book)
    back = told(alert("escalated", revision=3, severity="high", dpd=1, hours=3), book=raised)

    assert [state, state] == [open_case(raised).state, open_case(back).state]
    assert [None, None] == [open_case(raised).due_at, open_case(back).due_at]
    assert 24 * 3600 == open_case(back).sla_left_seconds
