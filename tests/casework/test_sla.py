from __future__ import annotations

from datetime import timedelta

from streams.casework.sla import tick
from streams.stores.case import CaseState
from tests.casework.builders import RULES, SUE, TODAY, do, open_case, promise, told
from tests.consumers.builders import START, alert


def test_a_time_to_act_that_runs_out_is_a_breach_once() -> None:
    """At the due time exactly, and only once; the audit line says since when."""
    book = told(alert(dpd=5))
    due = START + timedelta(hours=24)

    assert tick(book, due - timedelta(seconds=1), RULES) is None
    late = tick(book, due + timedelta(minutes=3), RULES)

    assert late is not None
    assert due == late.case.breached_at
    assert ["sla.breached"] == [entry.action for entry in late.entries]
    assert tick(late.book, due + timedelta(days=9), RULES) is None


def test_whoever_acts_ends_a_breach() -> None:
    """A contact gives the whole time anew; a hold does not hide that it was late."""
    late = tick(told(alert(dpd=5)), START + timedelta(hours=30), RULES)
    assert late is not None

    called = do(late.book, "log_contact", hours=31, channel="call", reached=False)
    held = do(late.book, "hold", hours=31, until=START + timedelta(days=3), reason="x")

    assert (None, START + timedelta(hours=55)) == (called.case.breached_at, called.case.due_at)
    assert late.case.breached_at == held.case.breached_at


def test_a_hold_ends_by_itself_with_what_was_left() -> None:
    """However late the clockwork looks, the clock runs on from the end of the hold."""
    held = do(told(alert(dpd=5)), "hold", hours=4, until=START + timedelta(hours=10), reason="x")

    assert tick(held.book, START + timedelta(hours=9), RULES) is None
    over = tick(held.book, START + timedelta(hours=12), RULES)

    assert over is not None
    assert (CaseState.OPEN, START + timedelta(hours=30)) == (over.case.state, over.case.due_at)
    assert (None, None) == (over.case.resume_at, over.case.hold_until)


def test_a_promise_is_waited_for_until_its_days_have_passed() -> None:
    """Through its own day and the day after; then somebody must act in the whole time."""
    made = promise(told(alert(dpd=5)))
    end = START.replace(day=7, hour=0)

    assert tick(made.book, end - timedelta(seconds=1), RULES) is None
    over = tick(made.book, end, RULES)

    assert over is not None
    assert (CaseState.OPEN, end + timedelta(hours=24)) == (over.case.state, over.case.due_at)


def test_time_found_late_ends_the_pause_and_marks_the_breach_at_once() -> None:
    """After a long outage one look is enough."""
    made = promise(told(alert(dpd=5)))
    late = tick(made.book, START + timedelta(days=30), RULES)

    assert late is not None
    assert START.replace(day=8, hour=0) == late.case.breached_at
    assert ["pause.ended", "sla.breached"] == [entry.action for entry in late.entries]
    assert tick(late.book, START + timedelta(days=31), RULES) is None


def test_one_pause_that_ends_leaves_the_others() -> None:
    """A hold inside a promise: the case waits for the promise."""
    held = do(promise(told(alert(dpd=5))).book, "hold", hours=2, until=START + timedelta(hours=10), reason="x")
    over = tick(held.book, START + timedelta(hours=11), RULES)

    assert over is not None
    assert (CaseState.PROMISE_TO_PAY, START.replace(day=7, hour=0)) == (over.case.state, over.case.resume_at)


def test_an_alert_raises_a_paused_case_without_waking_it() -> None:
    """The stage and what is left of the time follow; the promise stays a person's word."""
    made = promise(told(alert(dpd=5)))
    raised = told(alert("escalated", revision=2, step=15, severity="critical", dpd=20, hours=5), book=made.book)

    case = open_case(raised)
    assert (CaseState.PROMISE_TO_PAY, "collector") == (case.state, case.stage)
    assert (None, 4 * 3600) == (case.due_at, case.sla_left_seconds)
    assert TODAY == made.promises[0].promised_on - timedelta(days=3)


def test_a_closed_case_has_no_clock() -> None:
    """Time does nothing to it."""
    closed = do(told(alert(dpd=5)), "close", actor=SUE, **{"as": "settled"}, reason="x")

    assert tick(closed.book, START + timedelta(days=90), RULES) is None
