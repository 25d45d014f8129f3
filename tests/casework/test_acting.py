from __future__ import annotations

from datetime import timedelta

import pytest
from pydantic import ValidationError

from schemas.codec import decode, decode_outcome
from streams.casework.actions import ACTIONS
from streams.casework.assignment import handed_out, least_loaded
from streams.casework.holds import holds_of
from streams.casework.roles import Actor, Role
from streams.errors import Conflict, NotAllowed, NotFound
from streams.stores.case import CaseState, Pause
from streams.stores.work import ApprovalState, PromiseState
from tests.casework.builders import ANNA, BORIS, RULES, SUE, TODAY, TOM, VIEW, do, open_case, promise, told
from tests.consumers.builders import START, alert

HOUR = timedelta(hours=1)
ON = RULES.with_hard_steps("lawyers_letter,litigation,field_visit")


def test_nobody_acts_beyond_their_role() -> None:
    """A viewer changes nothing, a collector does not close."""
    book = told(alert(dpd=5))

    with pytest.raises(NotAllowed, match="collector"):
        do(book, "take", VIEW)
    with pytest.raises(NotAllowed, match="supervisor"):
        do(book, "close", ANNA, **{"as": "settled"}, reason="paid in cash")


def test_a_case_is_taken_once() -> None:
    """Who takes a case owns it; the next one is told whose it is."""
    taken = do(told(alert(dpd=5)), "take")

    assert ("anna", CaseState.IN_PROGRESS) == (taken.case.owner, taken.case.state)
    with pytest.raises(Conflict, match="anna"):
        do(taken.book, "take", BORIS)
    with pytest.raises(Conflict, match="yours"):
        do(taken.book, "take")


def test_a_case_goes_to_the_least_loaded() -> None:
    """The fewest open cases win, then the name; taking it away from somebody needs a reason and another one."""
    staff = {"boris": 2, "anna": 2, "carl": 3}
    given = do(told(alert(dpd=5)), "assign", staff=staff)

    assert "anna" == given.case.owner
    with pytest.raises(Conflict, match="reason"):
        do(given.book, "assign", staff=staff)
    assert "boris" == do(given.book, "assign", staff=staff, reason="on leave").case.owner
    with pytest.raises(Conflict, match="no collector"):
        do(given.book, "assign", staff=staff, reason="on leave", to="nobody")
    assert least_loaded({}) is None


def test_a_case_that_nobody_has_is_handed_out() -> None:
    """To the least loaded, and once."""
    given = handed_out(told(alert(dpd=5)), {"anna": 1, "boris": 0}, START)

    assert given is not None
    assert ("boris", CaseState.OPEN) == (given.case.owner, given.case.state)
    assert handed_out(given.book, {"anna": 1}, START) is None


def test_free_text_is_a_note_and_its_hash_in_the_trail() -> None:
    """A name in a note stands in the note alone: neither the audit line nor an event has it."""
    noted = do(told(alert(dpd=5)), "note", text="Spoke with Erika Mustermann. <b>'; DROP TABLE cases</b>")

    [note] = noted.notes
    [entry] = noted.entries
    assert note.note_id == entry.detail["note_id"]
    assert 64 == len(entry.detail["sha256"])
    assert "Mustermann" in note.text
    assert "Mustermann" not in str(entry)


def test_a_promise_stops_the_clock_and_is_published() -> None:
    """The case is paused until the promise's days have passed; the engine hears of it under the promise's own id."""
    made = promise(told(alert(dpd=5)))

    assert CaseState.PROMISE_TO_PAY is made.case.state
    assert (None, 24 * 3600) == (made.case.due_at, made.case.sla_left_seconds)
    assert START.replace(day=7, hour=0) == made.case.resume_at
    assert TODAY + timedelta(days=3) == holds_of(made.book).promise_until
    [event] = map(decode, [out.value for out in made.outgoing])
    assert ("ews.promise.made.v1", "b-1", made.promises[0].promise_id) == (event.type, event.subject, event.id)
    assert ["repayments"] == [out.topic for out in made.outgoing]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"loan": "l-2"}, "no such loan"),
        ({"currency": "USD"}, "CNY"),
        ({"promised_on": TODAY - timedelta(days=2)}, "31 days"),
        ({"promised_on": TODAY + timedelta(days=32)}, "31 days"),
    ],
)
def test_a_promise_that_cannot_be_is_refused(change: dict[str, object], says: str) -> None:
    """Another's loan, another currency, a day in the past or too far away."""
    fields = {"loan": "l-1", "amount_minor": 1, "currency": "CNY", "promised_on": TODAY, **change}

    with pytest.raises(Conflict, match=says):
        do(told(alert(dpd=5)), "promise", **fields)


def test_the_last_promise_that_is_cancelled_sets_the_clock_going() -> None:
    """With another one open the pause stays."""
    first = promise(told(alert(dpd=5)))
    second = promise(first.book, days=5, hours=2)
    ids = [first.promises[0].promise_id, second.promises[0].promise_id]

    one = do(second.book, "cancel_promise", hours=3, promise_id=ids[1], reason="a mistake")
    none = do(one.book, "cancel_promise", hours=4, promise_id=ids[0], reason="a mistake")

    assert (CaseState.PROMISE_TO_PAY, START.replace(day=7, hour=0)) == (one.case.state, one.case.resume_at)
    assert (CaseState.OPEN, START + timedelta(hours=28)) == (none.case.state, none.case.due_at)
    assert {PromiseState.CANCELLED} == {p.state for p in none.book.promises}
    with pytest.raises(Conflict, match="cancelled"):
        do(none.book, "cancel_promise", hours=5, promise_id=ids[0], reason="again")
    with pytest.raises(NotFound):
        do(none.book, "cancel_promise", hours=5, promise_id=none.case.case_id, reason="another's")


def test_hardship_stops_collection_until_a_plan() -> None:
    """Asked for, it pauses; granted, somebody must agree on a plan, and nobody duns until then."""
    asked = do(told(alert(dpd=5)), "hardship", note="lost the job")
    assert (CaseState.HARDSHIP_REQUESTED, True) == (asked.case.state, asked.case.is_paused)

    granted = do(asked.book, "decide_hardship", SUE, hours=2, granted=True)
    assert (False, True) == (granted.case.is_paused, holds_of(granted.book).hardship)
    assert "plan" in granted.case.next_step

    schedule = [{"number": 1, "due_on": "2026-04-01", "amount_minor": 5}]
    agreed = do(granted.book, "plan", hours=3, loan="l-1", reason="plan", effective_on=TODAY, schedule=schedule)
    assert not holds_of(agreed.book).hardship
    [event] = map(decode, [out.value for out in agreed.outgoing])
    assert "ews.loan.schedule_changed.v1" == event.type

    refused = do(asked.book, "decide_hardship", SUE, hours=2, granted=False)
    assert (False, False) == (refused.case.is_paused, holds_of(refused.book).hardship)
    with pytest.raises(Conflict, match="no hardship"):
        do(refused.book, "decide_hardship", SUE, granted=True)


def test_what_takes_days_past_due_away_is_a_supervisors() -> None:
    """A collector agrees on plans and extensions, not on forbearance or a re-age."""
    book = told(alert(dpd=5))

    with pytest.raises(NotAllowed, match="supervisor"):
        do(book, "plan", loan="l-1", reason="forbearance", effective_on=TODAY)
    assert "forbearance" == do(book, "plan", SUE, loan="l-1", reason="forbearance", effective_on=TODAY).plans[0].reason


def test_pauses_add_up_and_the_last_one_gives_back_what_was_left() -> None:
    """A dispute during a hold: the clock runs only when both are over, with the time that was left at the first."""
    held = do(told(alert(dpd=5)), "hold", hours=4, until=START + timedelta(days=2), reason="in hospital")
    disputed = do(held.book, "dispute", hours=5, note="never signed")

    assert (CaseState.ON_HOLD, 20 * 3600) == (disputed.case.state, disputed.case.sla_left_seconds)
    assert (True, START + timedelta(days=2)) == (holds_of(disputed.book).dispute, holds_of(disputed.book).until)

    resumed = do(disputed.book, "resume", hours=6)
    assert ((Pause.DISPUTE,), None) == (resumed.case.pauses, resumed.case.due_at)
    settled = do(resumed.book, "end_dispute", hours=10, note="signature shown")
    assert START + timedelta(hours=30) == settled.case.due_at
    with pytest.raises(Conflict, match="not on hold"):
        do(settled.book, "resume", hours=11)


@pytest.mark.parametrize("until", [START, START + timedelta(days=91)])
def test_a_hold_ends_in_bounds(until: object) -> None:
    """Not in the past, and not beyond the ladder's limit."""
    with pytest.raises(Conflict, match="90 days"):
        do(told(alert(dpd=5)), "hold", until=until, reason="x")


def test_a_contact_starts_the_time_to_act_anew_and_is_published() -> None:
    """An attempt, and a conversation where there was one, under one contact id."""
    called = do(told(alert(dpd=5)), "log_contact", hours=3, channel="call", reached=True, loan="l-1", note="will pay")

    assert START + timedelta(hours=27) == called.case.due_at
    assert CaseState.IN_PROGRESS is called.case.state
    events = [decode(out.value) for out in called.outgoing]
    assert ["ews.contact.attempted.v1", "ews.contact.reached.v1"] == [event.type for event in events]
    assert 1 == len({event.data.contact_id for event in events})
    assert ["contacts", "contacts"] == [out.topic for out in called.outgoing]


def test_a_hard_step_that_is_off_cannot_be_asked_for() -> None:
    """It is off unless the setting switches it on, and the refusal names the setting."""
    with pytest.raises(Conflict, match="EWS_HARD_STEPS=litigation"):
        do(told(alert(dpd=95)), "request_approval", step="litigation", reason="no answer")


def test_a_hard_step_is_decided_by_another_supervisor() -> None:
    """Who asks never decides; an approval lets the stage go on, and the next step says so."""
    book = told(alert(dpd=95), rules=ON)
    assert open_case(book).needs_approval
    asked = do(book, "request_approval", SUE, rules=ON, step="litigation", reason="no answer in weeks")
    approval = asked.approvals[0].approval_id

    with pytest.raises(NotAllowed, match="asked"):
        do(asked.book, "decide_approval", SUE, rules=ON, approval_id=approval, approve=True)
    with pytest.raises(Conflict, match="already"):
        do(asked.book, "request_approval", rules=ON, step="litigation", reason="again")
    decided = do(asked.book, "decide_approval", TOM, rules=ON, hours=2, approval_id=approval, approve=True)

    assert (False, "litigation") == (decided.case.needs_approval, decided.case.approved_stage)
    assert "Approved: litigation" in decided.case.next_step
    assert ApprovalState.APPROVED is decided.book.approvals[0].state
    with pytest.raises(Conflict, match="approved already"):
        do(decided.book, "decide_approval", TOM, rules=ON, approval_id=approval, approve=False)


def test_a_declined_step_still_waits() -> None:
    """Declined, the stage stays what the ladder calls for and still needs approval."""
    asked = do(told(alert(dpd=95), rules=ON), "request_approval", rules=ON, step="litigation", reason="x")
    declined = do(
        asked.book, "decide_approval", SUE, rules=ON, approval_id=asked.approvals[0].approval_id, approve=False
    )

    assert (True, None) == (declined.case.needs_approval, declined.case.approved_stage)


@pytest.mark.parametrize("kind", ["hardship", "dispute"])
def test_hardship_and_disputes_stand_against_hard_steps(kind: str) -> None:
    """Nothing hard is asked for while help or the debt itself is in question."""
    stopped = do(told(alert(dpd=95), rules=ON), kind, rules=ON, note="x")

    with pytest.raises(Conflict, match="stands against"):
        do(stopped.book, "request_approval", rules=ON, step="field_visit", reason="x")


def test_a_judgement_tells_the_precision_of_detectors() -> None:
    """Of the whole case each episode is judged, by its latest alert; the note is not published."""
    book = told(alert(dpd=5), alert(detector="income_missing", loan=None, severity="watch", hours=1))
    judged = do(book, "judge", hours=2, verdict="confirmed_risk", note="Erika lost her job")

    assert "confirmed_risk" == judged.case.outcome
    events = [decode_outcome(out.value) for out in judged.outgoing]
    assert {"missed_installment", "income_missing"} == {event.data.detector for event in events}
    assert {None} == {event.data.note for event in events}
    assert str(alert(dpd=5).id) in {str(event.data.alert_id) for event in events}
    with pytest.raises(NotFound):
        do(book, "judge", verdict="false_positive", episode_id=open_case(book).case_id)


@pytest.mark.parametrize(
    ("kind", "ends", "how"), [("dispute", "end_dispute", {}), ("hardship", "decide_hardship", {"granted": False})]
)
def test_what_is_undecided_is_not_closed_away(kind: str, ends: str, how: dict[str, object]) -> None:
    """A case that ends says nothing against contacts any more, so a dispute or a request for help is decided first."""
    asked = do(told(alert(dpd=5)), kind, note="x")

    with pytest.raises(Conflict, match="decided first"):
        do(asked.book, "close", SUE, hours=1, **{"as": "other"}, reason="x")

    decided = do(asked.book, ends, SUE, hours=2, note="x", **how)
    assert "other" == do(decided.book, "close", SUE, hours=3, **{"as": "other"}, reason="x").case.closed_as


def test_a_case_that_was_closed_can_be_taken_up_again() -> None:
    """Closed by a supervisor it has no clock and no next step; reopened it has both, and the same id."""
    held = do(told(alert(dpd=5)), "hold", until=START + timedelta(days=2), reason="x")
    closed = do(held.book, "close", SUE, hours=2, **{"as": "uncollectable"}, reason="abroad")

    assert (CaseState.CLOSED, "uncollectable") == (closed.case.state, closed.case.closed_as)
    assert (None, None, None, ()) == (
        closed.case.due_at, closed.case.sla_left_seconds, closed.case.resume_at, closed.case.pauses,
    )  # fmt: skip
    for kind, fields in (("take", {}), ("hardship", {"note": "x"}), ("close", {"as": "other", "reason": "x"})):
        with pytest.raises(Conflict, match="reopen"):
            do(closed.book, kind, SUE, hours=3, **fields)

    again = do(closed.book, "reopen", SUE, hours=4, reason="back")
    assert (closed.case.case_id, CaseState.OPEN, None) == (again.case.case_id, again.case.state, again.case.closed_at)
    assert START + timedelta(hours=28) == again.case.due_at
    assert "Look into" in again.case.next_step
    with pytest.raises(Conflict, match="is open"):
        do(again.book, "reopen", SUE, reason="twice")


def test_a_reopened_case_ends_with_the_next_alert_that_ends_it() -> None:
    """An alert about something else leaves it open; one of its own that ends closes it."""
    over = told(alert(dpd=5))
    closed = do(over, "close", SUE, **{"as": "settled"}, reason="x")
    again = do(closed.book, "reopen", SUE, hours=2, reason="bounced")

    untouched = told(alert(detector="upcoming", severity="info", hours=3), book=again.book)
    assert untouched.case is not None
    assert told(alert("resolved", revision=2, hours=4), book=untouched).case is None


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "note", "text": ""},
        {"kind": "note", "text": "x" * 2_001},
        {"kind": "note", "text": "a\x00b"},
        {"kind": "promise", "loan": "l", "amount_minor": 0, "currency": "CNY", "promised_on": "2026-03-05"},
        {"kind": "promise", "loan": "l l", "amount_minor": 1, "currency": "CNY", "promised_on": "2026-03-05"},
        {"kind": "hold", "until": "2026-03-05T10:00:00", "reason": "x"},
        {"kind": "plan", "loan": "l", "reason": "plan", "effective_on": "2026-03-05"},
        {"kind": "take", "owner": "me"},
        {"kind": "drop_tables"},
    ],
)
def test_a_malformed_action_is_refused_whole(bad: dict[str, object]) -> None:
    """Empty, oversized and unprintable text, no amount, a time without an offset, an unknown field or kind."""
    with pytest.raises(ValidationError):
        ACTIONS.validate_python(bad)


def test_an_action_counts_once_as_a_version() -> None:
    """Each action is the next version, and its last audit line vouches for the case."""
    acted = do(told(alert(dpd=5)), "take", Actor("eve", Role.ADMIN))

    assert 2 == acted.case.version
    assert acted.entries[-1].case_digest
    assert "eve" == acted.entries[0].actor
