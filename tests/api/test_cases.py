from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from schemas.codec import decode
from streams.api.desk import Desk
from streams.casework.ladder import Ladder
from streams.casework.roles import Role
from streams.stores.cases import CaseStore
from streams.stores.outbox import Outbox
from tests.api.house import NOW, client_of, open_cases, rooms_over

if TYPE_CHECKING:
    import httpx

    from streams.stores.database import Database
    from tests.api.house import Client

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
HOSTILE = [
    "'; DROP TABLE cases; --",
    '" OR 1=1 --',
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7} %(x)s %s",
    "\u202ereversed\u202c",
    "\U0001f469\u200d\U0001f469\u200d\U0001f467 family",
    "line\nand\ttab",
    "\u5468\u4e09\u3000\u6253\u7535\u8bdd",
    "../../etc/passwd",
    '=HYPERLINK("http://x")',
]


@pytest.fixture
def case_id(database: Database) -> str:
    """A case of the borrower b-1."""
    return open_cases(CaseStore(database), "b-1")["b-1"]


def act(ask: Client, case_id: str, action: dict[str, Any], *, etag: str | None = None, **more: Any) -> httpx.Response:
    """One action, on the case as it is now unless an ETag is given."""
    etag = etag or ask("GET", f"/cases/{case_id}").headers["etag"]
    headers = {"If-Match": etag} | more.pop("headers", {})
    return ask("POST", f"/cases/{case_id}/actions", json=action, headers=headers, **more)


def note(text: str = "Asked to be called after six.") -> dict[str, Any]:
    """A note."""
    return {"kind": "note", "text": text}


def test_a_case_is_shown_with_its_loans_and_episodes(ask: Client, case_id: str) -> None:
    """What an alert opened can be read."""
    shown = ask("GET", f"/cases/{case_id}", role=Role.VIEWER).json()

    assert "b-1" == shown["case"]["borrower"]
    assert "collector" == shown["case"]["stage"]
    assert [16] == [loan["days_past_due"] for loan in shown["case"]["loans"]]
    assert ["missed_installment"] == [episode["detector"] for episode in shown["episodes"]]
    assert ["2026-03-02T09:00:00Z"] == [episode["opened_at"] for episode in shown["episodes"]]


def test_a_case_that_has_not_changed_is_not_sent_again(ask: Client, case_id: str) -> None:
    """304 to whoever has it, 200 to whoever has another version."""
    etag = ask("GET", f"/cases/{case_id}").headers["etag"]

    same = ask("GET", f"/cases/{case_id}", headers={"If-None-Match": f'"0.00000000", W/{etag}'})
    act(ask, case_id, note())
    other = ask("GET", f"/cases/{case_id}", headers={"If-None-Match": etag})

    assert (304, b"", etag) == (same.status_code, same.content, same.headers["etag"])
    assert 200 == other.status_code


def test_an_action_changes_the_case_and_its_version(ask: Client, case_id: str) -> None:
    """The answer shows the case as it now is; so does the next question; the history says who did it."""
    done = act(ask, case_id, note(), role=Role.COLLECTOR)
    shown = ask("GET", f"/cases/{case_id}")
    lines = ask("GET", f"/cases/{case_id}/history").json()["items"]

    assert 200 == done.status_code, done.text
    assert ["Asked to be called after six."] == [one["text"] for one in done.json()["notes"]]
    assert (done.json(), done.headers["etag"]) == (shown.json(), shown.headers["etag"])
    assert "collector" == lines[-1]["actor"]
    assert "six" not in str(lines)


def test_who_has_not_read_the_latest_version_changes_nothing(ask: Client, case_id: str) -> None:
    """A stale ETag is 412, and the note of the other one stands alone."""
    stale = ask("GET", f"/cases/{case_id}").headers["etag"]
    act(ask, case_id, note("first"))

    refused = act(ask, case_id, note("second"), etag=stale)

    assert 412 == refused.status_code
    assert ["first"] == [one["text"] for one in ask("GET", f"/cases/{case_id}").json()["notes"]]


def test_the_version_alone_is_an_etag_too(ask: Client, case_id: str) -> None:
    """Whoever has the version from the body need not keep the header."""
    version = ask("GET", f"/cases/{case_id}").json()["case"]["version"]

    assert 200 == act(ask, case_id, note(), etag=f'"{version}"').status_code


@pytest.mark.parametrize(
    ("status", "etag"), [(428, "*"), (400, "1"), (400, '"1", "2"'), (400, 'W/"1"'), (400, '"x"'), (412, '"99999999"')]
)
def test_an_if_match_that_names_no_version_is_refused(ask: Client, case_id: str, status: int, etag: str) -> None:
    """Neither `*` nor a weak ETag says which version was read."""
    assert status == act(ask, case_id, note(), etag=etag).status_code


def test_the_same_request_again_is_answered_alike_and_done_once(ask: Client, case_id: str) -> None:
    """An idempotency key makes a repeat harmless, whatever version has come since."""
    etag = ask("GET", f"/cases/{case_id}").headers["etag"]
    once = act(ask, case_id, note(), etag=etag, headers={"Idempotency-Key": "k-1"})
    act(ask, case_id, note("between"))
    again = act(ask, case_id, note(), etag=etag, headers={"Idempotency-Key": "k-1"})

    assert (200, once.text, once.headers["etag"]) == (again.status_code, again.text, again.headers["etag"])
    assert "true" == again.headers["idempotency-replayed"]
    assert 2 == len(ask("GET", f"/cases/{case_id}").json()["notes"])


def test_a_key_that_was_used_for_something_else_is_refused(ask: Client, case_id: str) -> None:
    """The same key with another body is a mistake of the caller; another account's key is another key."""
    act(ask, case_id, note("one"), headers={"Idempotency-Key": "k-1"})

    other = act(ask, case_id, note("two"), headers={"Idempotency-Key": "k-1"})
    else_ = act(ask, case_id, note("two"), headers={"Idempotency-Key": "k-1"}, role=Role.SUPERVISOR)

    assert (422, 200) == (other.status_code, else_.status_code)
    assert ["one", "two"] == [one["text"] for one in else_.json()["notes"]]


def test_a_request_that_failed_may_be_made_again_under_its_key(ask: Client, case_id: str) -> None:
    """A refusal is not kept: the same key does it once it can be done."""
    refused = act(ask, case_id, note(), etag='"99999999"', headers={"Idempotency-Key": "k-1"})
    done = act(ask, case_id, note(), headers={"Idempotency-Key": "k-1"})

    assert (412, 200) == (refused.status_code, done.status_code)


@pytest.mark.parametrize("key", ["", " ", "k" * 129, "a b", "\u00e9"])
def test_an_idempotency_key_has_a_form(ask: Client, case_id: str, key: str) -> None:
    """Printable ASCII, at most 128."""
    headers = {"If-Match": '"1"', "Idempotency-Key": key.encode("latin-1")}

    assert 422 == ask("POST", f"/cases/{case_id}/actions", json=note(), headers=headers).status_code


@pytest.mark.parametrize(
    ("status", "kind"), [(403, "close"), (403, "reopen"), (403, "decide_approval"), (403, "decide_hardship")]
)
def test_some_actions_need_a_supervisor(ask: Client, case_id: str, status: int, kind: str) -> None:
    """The role of the route lets a collector in, the role of the action does not."""
    more: dict[str, dict[str, Any]] = {
        "close": {"as": "settled", "reason": "Paid."},
        "reopen": {"reason": "Came back."},
        "decide_approval": {"approval_id": "00000000-0000-4000-8000-000000000000", "approve": True},
        "decide_hardship": {"granted": True},
    }
    assert status == act(ask, case_id, {"kind": kind} | more[kind], role=Role.COLLECTOR).status_code


def test_what_does_not_go_with_the_state_is_a_conflict(ask: Client, case_id: str) -> None:
    """409 with the reason, and nothing is written."""
    before = ask("GET", f"/cases/{case_id}")

    response = act(ask, case_id, {"kind": "resume"})

    assert 409 == response.status_code
    assert response.json()["detail"]
    assert before.headers["etag"] == ask("GET", f"/cases/{case_id}").headers["etag"]


def test_who_asks_for_a_hard_step_never_approves_it(database: Database, case_id: str) -> None:
    """A supervisor's own request waits for another supervisor."""
    ladder = Ladder.standard().with_hard_steps("field_visit")
    with client_of(rooms_over(database, desk=Desk(database, ladder, now=lambda: NOW))) as ask:
        request = {"kind": "request_approval", "step": "field_visit", "reason": "No answer."}
        asked = act(ask, case_id, request, role=Role.SUPERVISOR)
        [waiting] = ask("GET", "/approvals").json()["items"]
        decision = {"kind": "decide_approval", "approval_id": waiting["approval_id"], "approve": True}
        own = act(ask, case_id, decision, role=Role.SUPERVISOR)
        other = act(ask, case_id, decision, role=Role.ADMIN)

    assert 200 == asked.status_code
    assert own.status_code in {403, 409}
    assert 200 == other.status_code, other.text


def test_a_case_is_worked_from_end_to_end(ask: Client, case_id: str) -> None:
    """Every kind of action is taken and shown, and the trail holds."""
    installment = {"number": 1, "due_on": "2026-04-01", "amount_minor": 1_000}
    for action in (
        {"kind": "take"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 100, "currency": "CNY", "promised_on": "2026-03-10"},
        {"kind": "plan", "loan": "l-1", "reason": "extension", "effective_on": "2026-03-03", "schedule": [installment]},
        {"kind": "judge", "verdict": "confirmed_risk"},
        {"kind": "log_contact", "channel": "call", "reached": True, "loan": "l-1"},
        {"kind": "hardship", "note": "Lost her work."},
        {"kind": "decide_hardship", "granted": True},
        {"kind": "close", "as": "settled", "reason": "Paid."},
        {"kind": "reopen", "reason": "The payment came back."},
    ):
        done = act(ask, case_id, action)
        assert 200 == done.status_code, (action, done.text)

    shown = ask("GET", f"/cases/{case_id}").json()
    assert ("admin", 1, 1, 1) == (
        shown["case"]["owner"],
        len(shown["promises"]),
        len(shown["plans"]),
        len(shown["judgements"]),
    )
    assert [] == ask("GET", "/audit/verify").json()["faults"]


@pytest.mark.parametrize("text", HOSTILE)
def test_text_is_kept_as_it_was_written(ask: Client, case_id: str, text: str) -> None:
    """SQL, markup and templates are text: stored verbatim, given back as JSON, carried out by nobody."""
    done = act(ask, case_id, note(text))

    assert 200 == done.status_code, done.text
    assert [text] == [one["text"] for one in done.json()["notes"]]
    assert "application/json" == done.headers["content-type"]
    assert [case_id] == [case["case_id"] for case in ask("GET", "/cases").json()["items"]]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", ["owner", "borrower", "tier", "state", "detector"])
def test_text_in_a_filter_is_text(ask: Client, case_id: str, name: str, text: str) -> None:
    """A filter finds nothing or is refused; it never widens what is found."""
    response = ask("GET", "/alerts" if name == "detector" else "/cases", params={name: text})

    assert response.status_code in {200, 422}
    assert case_id not in response.text


@pytest.mark.parametrize(
    "action",
    [
        note("x" * 2_001),
        note(""),
        note("   "),
        note("bell\x07"),
        {"kind": "note", "text": 7},
        {"kind": "note", "text": ["x"]},
        {"kind": "promise", "loan": "l-1", "amount_minor": 2**63, "currency": "CNY", "promised_on": "2026-03-10"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 1.5, "currency": "CNY", "promised_on": "2026-03-10"},
        {"kind": "promise", "loan": "l-1", "amount_minor": "100", "currency": "CNY", "promised_on": "2026-03-10"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 100, "currency": "XXX9", "promised_on": "2026-03-10"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 100, "currency": "CNY", "promised_on": "2026-02-30"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 100, "currency": "CNY", "promised_on": "99999-01-01"},
        {"kind": "promise", "loan": "l-1", "amount_minor": 100, "currency": "CNY", "promised_on": 1_772_000_000},
        {"kind": "promise", "loan": "l 1", "amount_minor": 100, "currency": "CNY", "promised_on": "2026-03-10"},
        {"kind": "hold", "until": "2026-03-10T10:00:00", "reason": "x"},
        {"kind": "hold", "until": "0001-01-01T00:00:00+14:00", "reason": "x"},
        {"kind": "hold", "until": "9999-12-31T23:59:59-14:00", "reason": "x"},
        {"kind": "log_contact", "channel": "telepathy", "reached": True},
        {"kind": "judge", "verdict": "maybe"},
        {"kind": "assign", "to": "x" * 129},
        {"kind": "decide_approval", "approval_id": "42", "approve": True},
    ],
)
def test_a_value_out_of_bounds_is_refused_whole(ask: Client, case_id: str, action: dict[str, Any]) -> None:
    """422 (or 409 where a rule says so), and the case is as it was."""
    before = ask("GET", f"/cases/{case_id}").headers["etag"]

    response = act(ask, case_id, action, etag=before)

    assert response.status_code in {409, 422}, response.text
    assert before == ask("GET", f"/cases/{case_id}").headers["etag"]


def test_pages_lead_through_the_whole_list(ask: Client, database: Database) -> None:
    """Following `Link` shows every case once, in order; each page begins where the one before ended."""
    opened = open_cases(CaseStore(database), *(f"b-{number}" for number in range(7)))
    seen = []
    first = ask("GET", "/cases").json()["items"][0]
    path = f"/cases?limit=3&state={first['state']}&stage={first['stage']}"
    while path:
        page = ask("GET", path)
        seen += [case["case_id"] for case in page.json()["items"]]
        link = page.headers.get("link", "")
        assert bool(link) == (page.json()["next_cursor"] is not None)
        path = link.partition(">")[0].removeprefix("</v1") if link else ""

    assert sorted(opened.values()) == sorted(seen)
    assert 7 == len(seen)


def _cursor(*parts: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


@pytest.mark.parametrize(
    "cursor",
    [
        "x",
        "%FF",
        "=",
        "A" * 511,
        _cursor("o", None, "\x00"),
        _cursor("o", "not a time", "c"),
        _cursor("o", "0001-01-01T00:00:00+14:00", "c"),
        _cursor("o", "9999-12-31T23:59:59-14:00", "c"),
        _cursor("o", "2026-03-02T09:00:00", "c"),
        _cursor("o", 1, 2),
        _cursor("i", "2026-03-02T09:00:00+00:00", "c", "mild"),
        _cursor({}),
        "A" * 513,
    ],
)
@pytest.mark.parametrize("path", ["/cases?closed=false", "/cases?closed=true", "/alerts?in_case=true"])
def test_a_cursor_that_was_not_given_is_refused(ask: Client, path: str, cursor: str) -> None:
    """Whoever makes up a cursor gets 422 and never a fault; one of another list is no cursor of this."""
    response = ask("GET", f"{path}&cursor={cursor}")

    assert 422 == response.status_code, response.text


def test_a_cursor_of_another_list_is_refused(ask: Client) -> None:
    """A page of open cases does not lead into the ended ones."""
    ended = _cursor("e", "2026-03-02T09:00:00+00:00", "c")

    assert 422 == ask("GET", f"/cases?cursor={ended}").status_code
    assert 200 == ask("GET", f"/cases?closed=true&cursor={ended}").status_code


def test_overdue_cases_are_those_whose_time_has_run_out(ask: Client, case_id: str) -> None:
    """Two hours after it opened a case of high severity is in time."""
    assert case_id in ask("GET", "/cases?overdue=false").text
    assert [] == ask("GET", "/cases?overdue=true").json()["items"]


def test_the_inbox_has_the_alert_with_its_reason(ask: Client, case_id: str) -> None:
    """Open episodes, and which case holds them."""
    [episode] = ask("GET", "/alerts?severity=high&in_case=true").json()["items"]

    assert ("missed_installment at step 15.", case_id) == (episode["reason"], episode["case_id"])
    assert [] == ask("GET", "/alerts?in_case=false").json()["items"]


def test_history_comes_in_pages(ask: Client, case_id: str) -> None:
    """Each page leads to the next."""
    act(ask, case_id, note())
    first = ask("GET", f"/cases/{case_id}/history?limit=1").json()
    rest = ask("GET", f"/cases/{case_id}/history?after={first['next_after']}").json()

    assert ["case.opened"] == [line["action"] for line in first["items"]]
    assert "case.opened" not in [line["action"] for line in rest["items"]]
    assert rest["next_after"] is None


def test_a_borrower_is_shown_with_all_that_is_known(ask: Client, case_id: str) -> None:
    """Cases, episodes, promises and contacts, by token."""
    act(ask, case_id, {"kind": "log_contact", "channel": "call", "reached": True, "note": "Will pay."})

    shown = ask("GET", "/borrowers/b-1", role=Role.VIEWER).json()

    assert [case_id] == [case["case_id"] for case in shown["cases"]]
    assert 1 == len(shown["episodes"])
    assert ["call"] == [contact["channel"] for contact in shown["contacts"]]


def test_the_board_counts_cases_by_stage(ask: Client, case_id: str) -> None:
    """Every stage is there, with its most urgent cases."""
    stages = ask("GET", "/stats/board").json()["stages"]

    assert {"collector": 1} == {one["stage"]: one["count"] for one in stages if one["count"]}
    assert [case_id] == [case["case_id"] for one in stages for case in one["cases"]]
    assert 5 == len(stages)


def test_judgements_make_a_precision(ask: Client, case_id: str) -> None:
    """What people say of alerts is told by detector."""
    done = act(ask, case_id, {"kind": "judge", "verdict": "confirmed_risk"})

    assert 200 == done.status_code, done.text
    [told] = ask("GET", "/stats/precision").json()["items"]
    assert ("missed_installment", 1, 1.0) == (told["detector"], told["confirmed_risk"], told["precision"])


def test_the_trail_is_verified_after_all_that(ask: Client, case_id: str) -> None:
    """What people do and what is noted outside of cases stands in one chain without a fault."""
    act(ask, case_id, note())
    ask("POST", "/notifier/pause")

    verified = ask("GET", "/audit/verify").json()

    assert [] == verified["faults"]
    assert 1 == verified["cases"]


def test_the_notifier_is_stopped_and_let_go(ask: Client) -> None:
    """A pause says since when; a second one changes nothing; both are in the trail."""
    ask("POST", "/notifier/pause", role=Role.SUPERVISOR)
    paused = ask("POST", "/notifier/pause", role=Role.SUPERVISOR).json()
    resumed = ask("POST", "/notifier/resume", role=Role.SUPERVISOR).json()

    assert "2026-03-02T11:00:00Z" == paused["paused_since"]
    assert resumed["paused_since"] is None


@pytest.mark.parametrize(("sent", "carried"), [(TRACE, TRACE), ("Erika Mustermann", None), (None, None)])
def test_what_is_published_belongs_to_the_trace_of_the_request(
    ask: Client, case_id: str, database: Database, sent: str | None, carried: str | None
) -> None:
    """A promise that a program writes down is an event of its own trace; a header of another form is passed over."""
    promise = {"kind": "promise", "loan": "l-1", "amount_minor": 10_000, "currency": "CNY", "promised_on": "2026-03-05"}
    done = act(ask, case_id, promise, headers={"traceparent": sent} if sent else {})
    assert 200 == done.status_code, done.text
    [waiting] = Outbox(database).waiting(10)
    assert carried == decode(waiting.value).traceparent
