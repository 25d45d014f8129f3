from __future__ import annotations

import itertools
import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from httpx import ASGITransport

from streams.api.console import app as console_app
from streams.api.console.forms import Ground
from streams.api.console.typed import Mistyped, action_of
from streams.api.console.words import minor_of, money, window
from streams.casework.ladder import Ladder
from streams.stores.roles import Actor, Role
from tests.api.console_house import GUESSES, HOSTILE, OTHER, hidden, house_over
from tests.api.house import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.stores.database import Database
    from tests.api.console_house import House

PAGES = ("inbox", "board", "cases", "cases?owner=me", "cases?ended=1", "approvals", "detectors", "help", "search")


class Visitor:
    """Somebody with a browser that has no script: a client that keeps cookies."""

    def __init__(self, house: House, http: httpx.AsyncClient, portal: Any) -> None:
        self.house = house
        self._http, self._portal = http, portal

    def get(self, path: str, **more: Any) -> httpx.Response:
        """A page."""
        return self._portal.call(partial(self._http.get, f"/console/{path}", **more))  # type: ignore[no-any-return]

    def post(self, path: str, fields: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        """A form is sent."""
        return self._portal.call(partial(self._http.post, f"/console/{path}", data=fields, **more))  # type: ignore[no-any-return]

    def sign_in(self, role: Role = Role.COLLECTOR, **more: str) -> httpx.Response:
        """Sign in by the key of a role."""
        fields = hidden(self.get("sign-in").text, "/sign-in")
        return self.post("sign-in", fields | {"key": self.house.keys[role]} | more)

    def send(self, borrower: str, kind: str, page: str | None = None, **typed: str) -> httpx.Response:
        """Fill in a form of a case (as it stood on an earlier page, if one is given) and send it."""
        case = f"cases/{self.house.cases[borrower]}"
        fields = hidden(page or self.get(case).text, f"/{case}/{kind}")
        return self.post(f"{case}/{kind}", fields | typed)

    def case(self, borrower: str) -> str:
        """The page of a case."""
        return self.get(f"cases/{self.house.cases[borrower]}").text


@pytest.fixture
def visitor(database: Database) -> Iterator[Visitor]:
    """A visitor of the console, not signed in."""
    house = house_over(database)
    with start_blocking_portal() as portal:
        transport = ASGITransport(house.app, raise_app_exceptions=False)
        http = httpx.AsyncClient(transport=transport, base_url="http://desk.test")
        yield Visitor(house, http, portal)
        portal.call(http.aclose)


# -- getting in -----------------------------------------------------------------------------------------------------


def test_nothing_is_seen_without_signing_in(visitor: Visitor) -> None:
    """Every page leads to the sign-in page, which leads back, and forms do nothing."""
    for page in (*PAGES, f"cases/{visitor.house.cases['b-1']}", "borrowers/b-1"):
        answer = visitor.get(page)
        assert 303 == answer.status_code
        assert answer.headers["location"].startswith("/console/sign-in?then=%2Fconsole%2F")
    assert 303 == visitor.post(f"cases/{visitor.house.cases['b-1']}/note", {"text": "x"}).status_code
    assert () == visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).notes


def test_a_key_becomes_a_session_that_ends(visitor: Visitor) -> None:
    """The cookie is kept from scripts and other sites; signing out ends the session, and so does revoking the key."""
    answer = visitor.sign_in()
    cookie = next(one for one in answer.headers.get_list("set-cookie") if one.startswith("ews_session="))
    assert {"HttpOnly", "SameSite=strict", "Path=/console"} <= set(cookie.split("; "))
    assert "Secure" not in cookie
    assert 200 == visitor.get("inbox").status_code
    page = visitor.get("inbox").text
    assert 303 == visitor.post("sign-out", hidden(page, "/sign-out")).status_code
    assert 303 == visitor.get("inbox").status_code
    visitor.sign_in()
    visitor.house.rooms.accounts.revoke("collector", at=NOW)
    assert 303 == visitor.get("inbox").status_code


def test_behind_https_the_cookie_is_sent_by_https_alone(visitor: Visitor) -> None:
    """What came by https is never sent in the clear."""
    page = visitor.get("sign-in", headers={"host": "desk.test"}, extensions={})
    assert "Secure" not in page.headers["set-cookie"]
    answer = visitor._portal.call(partial(visitor._http.get, "https://desk.test/console/sign-in"))
    assert "Secure" in answer.headers["set-cookie"]


def test_a_wrong_key_is_told_and_not_echoed(visitor: Visitor) -> None:
    """The page says what a key looks like, with 401, and holds nothing of what was typed."""
    answer = visitor.sign_in(key="ews_wrong-secret")
    assert (401, True, False) == (
        answer.status_code,
        "No account has this key" in answer.text,
        "wrong-secret" in answer.text,
    )


def test_guessing_keys_is_slowed_down(visitor: Visitor) -> None:
    """After so many wrong keys an address has to wait, with a right one too."""
    for _ in range(GUESSES):
        assert 401 == visitor.sign_in(key="ews_wrong").status_code
    answer = visitor.sign_in()
    assert (429, True) == (answer.status_code, "Too much at once" in answer.text)


@pytest.mark.parametrize("then", ["https://evil.test/", "//evil.test/", "/console/\\evil.test", "javascript:alert(1)"])
def test_signing_in_leads_nowhere_else(visitor: Visitor, then: str) -> None:
    """A link that somebody sent cannot lead to another site after the sign-in."""
    assert "/console/inbox" == visitor.sign_in(then=then).headers["location"]


def test_a_form_of_another_site_is_refused(visitor: Visitor) -> None:
    """Without the session's secret, or from another origin, nothing is done: 403."""
    visitor.sign_in()
    case = f"cases/{visitor.house.cases['b-1']}"
    fields = hidden(visitor.get(case).text, f"/{case}/note") | {"text": "forged"}
    assert 403 == visitor.post(f"{case}/note", fields | {"csrf": "guess"}).status_code
    assert 403 == visitor.post(f"{case}/note", {k: v for k, v in fields.items() if k != "csrf"}).status_code
    assert 403 == visitor.post(f"{case}/note", fields, headers={"origin": "https://evil.test"}).status_code
    assert 403 == visitor.post("sign-in", {"key": visitor.house.keys[Role.ADMIN], "csrf": ""}).status_code
    assert "forged" not in visitor.case("b-1")


# -- pages ----------------------------------------------------------------------------------------------------------


def test_every_page_is_guarded_and_none_is_kept(visitor: Visitor) -> None:
    """Each page answers 200 with a policy that allows nothing inline and nothing from elsewhere; none is cached."""
    visitor.sign_in(Role.SUPERVISOR)
    for page in (*PAGES, f"cases/{visitor.house.cases['b-1']}", "borrowers/b-1", "sign-in"):
        answer = visitor.get(page)
        assert 200 == answer.status_code, page
        assert console_app.POLICY == answer.headers["content-security-policy"]
        assert "no-store" == answer.headers["cache-control"]
        assert not re.search(r"<style|\sstyle=|<script(?! src=)|\son\w+=|https?://", _without_text(answer.text)), page


def _without_text(page: str) -> str:
    """The tags alone: what stands between them is text, whatever it looks like."""
    return "".join(re.findall(r"<[^>]*>", page))


def test_html_in_any_field_is_text(visitor: Visitor) -> None:
    """What alerts say and people write is shown as it is, and is never part of the page."""
    visitor.sign_in(Role.SUPERVISOR)
    visitor.send("b-1", "note", text=HOSTILE)
    visitor.send("b-1", "hold", until="2026-03-05", reason=HOSTILE)
    visitor.send("b-1", "request_approval", step="litigation", reason=HOSTILE)
    for page in (
        "inbox",
        "board",
        "approvals",
        f"cases/{visitor.house.cases['b-1']}",
        "borrowers/b-1",
        f"search?q={HOSTILE}",
    ):
        text = visitor.get(page).text
        assert "<script>alert" not in text, page
        assert "<img" not in text, page
    assert "&lt;script&gt;alert(1)" in visitor.case("b-1")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nothing", 404), ("cases/nope", 404), ("borrowers/nobody", 404), ("search?q=nobody", 404),
        ("inbox?after=x", 400), ("live?after=x", 400), ("cases?owner=" + "x" * 300, 400),
        ("cases?state=';DROP TABLE cases;--", 200), ("inbox?severity=none", 200),
    ],
)  # fmt: skip
def test_a_wrong_address_gets_a_page(visitor: Visitor, path: str, status: int) -> None:
    """An error is a page that says so, without a trace of how it came about."""
    visitor.sign_in()
    answer = visitor.get(path)
    assert status == answer.status_code
    assert answer.text.startswith("<!doctype html>")
    assert "Traceback" not in answer.text


def test_what_nobody_expected_is_a_page_too(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of ours is told without what caused it."""
    visitor.sign_in()

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(console_app.pages, "tiers_of", broken)
    answer = visitor.get("inbox")
    assert (500, False) == (answer.status_code, "secret" in answer.text)
    assert console_app.POLICY == answer.headers["content-security-policy"]


# -- acting ---------------------------------------------------------------------------------------------------------


def test_a_collector_works_a_case(visitor: Visitor) -> None:
    """Take it, log a call, write a promise down, take it back, put it on hold and go on: each is seen on the page."""
    visitor.house.rooms.accounts.create("c-9", Role.COLLECTOR, takes_cases=True, at=NOW)
    visitor.sign_in()
    for kind, typed, shown in (
        ("take", {}, "case: taken"),
        ("log_contact", {"channel": "call", "reached": "yes", "loan": "", "note": "Will pay"}, "<b>reached</b>"),
        ("promise", {"loan": "l-1", "amount": "12.50", "promised_on": "2026-03-09"}, "CN¥12.50"),
        ("hold", {"until": "2026-03-05", "reason": "in hospital"}, "on hold"),
        ("resume", {}, "CN¥12.50"),
        ("dispute", {"note": "paid in cash"}, "paid in cash"),
        ("end_dispute", {"note": "receipt seen"}, "receipt seen"),
        ("judge", {"verdict": "confirmed_risk", "episode_id": "", "note": ""}, "confirmed risk"),
        ("assign", {"to": "c-9", "reason": "on leave"}, "c-9"),
    ):
        answer = visitor.send("b-1", kind, **typed)
        assert 303 == answer.status_code, (kind, re.findall(r'class="fault[^>]*>([^<]*)', answer.text))
        assert shown in visitor.case("b-1"), kind
    promise = visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).promises[0]
    assert (1_250, "CNY") == (promise.amount_minor, promise.currency)
    assert 303 == visitor.send("b-1", "cancel_promise", reason="by mistake").status_code


def test_a_plan_is_made_of_what_was_agreed(visitor: Visitor) -> None:
    """So many installments of an amount, monthly from a day: a month that is too short gets its last day."""
    visitor.sign_in()
    plan = {"loan": "l-1", "plan_reason": "extension", "effective_on": "2026-03-02", "until": "", "count": "3",
            "each": "1,000.00", "first_due": "2026-03-31", "every": "month", "first_number": "4"}  # fmt: skip
    assert 303 == visitor.send("b-1", "plan", **plan).status_code
    schedule = visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).plans[0].schedule
    assert [(4, "2026-03-31"), (5, "2026-04-30"), (6, "2026-05-31")] == [
        (line["number"], str(line["due_on"])) for line in schedule
    ]
    assert {100_000} == {line["amount_minor"] for line in schedule}


def test_a_supervisor_decides_and_who_asked_does_not(visitor: Visitor) -> None:
    """A hard step that a collector asked for waits on the approvals page, and is decided there."""
    visitor.sign_in()
    visitor.send("b-1", "request_approval", step="litigation", reason="no answer for weeks")
    assert "A supervisor decides" in visitor.get("approvals").text
    visitor.sign_in(Role.SUPERVISOR)
    page = visitor.get("approvals").text
    case = f"cases/{visitor.house.cases['b-1']}/decide_approval"
    answer = visitor.post(case, hidden(page, f"/{case}") | {"approve": "yes", "note": ""})
    assert (303, "/console/approvals") == (answer.status_code, answer.headers["location"])
    assert "Nothing waits." in visitor.get("approvals").text
    assert "state-approved" in visitor.case("b-1")


def test_a_viewer_sees_no_form_and_may_send_none(visitor: Visitor) -> None:
    """The role decides on the server, whatever a page offers."""
    visitor.sign_in(Role.COLLECTOR)
    page = visitor.case("b-1")
    visitor.sign_in(Role.VIEWER)
    assert "Your account may look, and not act." in visitor.case("b-1")
    csrf = hidden(visitor.get("inbox").text, "/sign-out")["csrf"]
    answer = visitor.send("b-1", "note", page, text="x", csrf=csrf)
    assert (403, True) == (answer.status_code, "You may not do this" in answer.text)


def test_a_form_that_is_sent_twice_counts_once(visitor: Visitor) -> None:
    """A double click, or the browser's back button: one note."""
    visitor.sign_in()
    page = visitor.case("b-1")
    answers = [visitor.send("b-1", "note", page, text="once") for _ in range(3)]
    assert [303] * 3 == [answer.status_code for answer in answers]
    assert 1 == len(visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).notes)


def test_a_page_that_was_gone_back_to_loses_nothing(visitor: Visitor) -> None:
    """What is typed into a page whose form was sent before is no repeat of it: it comes back, to be sent anew."""
    visitor.sign_in()
    page = visitor.case("b-1")
    assert 303 == visitor.send("b-1", "note", page, text="first").status_code
    answer = visitor.send("b-1", "note", page, text="second")
    assert (409, True) == (answer.status_code, "second" in answer.text)
    case = f"cases/{visitor.house.cases['b-1']}/note"
    assert 303 == visitor.post(case, hidden(answer.text, f"/{case}") | {"text": "second"}).status_code
    assert ["first", "second"] == [n.text for n in visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).notes]


@pytest.mark.parametrize("field", ["version", "seen"])
def test_a_number_that_no_page_has_is_none(visitor: Visitor, field: str) -> None:
    """Thousands of digits are no fault of ours."""
    visitor.sign_in()
    page = visitor.case("b-1")
    visitor.house.act("b-1", "note", text="in between")
    answer = visitor.send("b-1", "note", page, text="mine", **{field: "9" * 5_000})
    assert 500 > answer.status_code


def test_who_comes_second_sees_what_changed_and_keeps_the_text(visitor: Visitor) -> None:
    """A form of an older version writes nothing; the page shows what others did, and can be sent again."""
    visitor.sign_in()
    page = visitor.case("b-1")
    visitor.house.act("b-1", "note", text="I called her this morning")
    answer = visitor.send("b-1", "note", page, text="My words & <more>")
    assert 409 == answer.status_code
    assert "I called her this morning" in answer.text
    assert "My words &amp; &lt;more&gt;" in answer.text
    assert 1 == len(visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).notes)
    case = f"cases/{visitor.house.cases['b-1']}/note"
    assert 303 == visitor.post(case, hidden(answer.text, f"/{case}") | {"text": "My words"}).status_code
    assert {"My words", "I called her this morning"} == {
        note.text for note in visitor.house.rooms.desk.case(visitor.house.cases["b-1"]).notes
    }


@pytest.mark.parametrize(
    ("kind", "typed", "status", "said"),
    [
        ("note", {"text": ""}, 422, "this is needed"),
        ("note", {"text": "x" * 2_001}, 422, "2000"),
        ("note", {"text": "a\x00b"}, 422, "control characters"),
        ("note", {"text": "x" * 40_000}, 413, "This is too much"),
        ("note", {"text": "x", "more": "y"}, 422, "no such field"),
        ("promise", {"loan": "l-1", "amount": "ten", "promised_on": "2026-03-09"}, 422, "as a number"),
        ("promise", {"loan": "l-1", "amount": "1.234", "promised_on": "2026-03-09"}, 422, "decimals"),
        ("promise", {"loan": "l-1", "amount": "-5", "promised_on": "2026-03-09"}, 422, "more than 0"),
        ("promise", {"loan": "l-1", "amount": "1e400", "promised_on": "2026-03-09"}, 422, "as a number"),
        ("promise", {"loan": "x", "amount": "5", "promised_on": "2026-03-09"}, 422, "a loan of this case"),
        ("promise", {"loan": "l-1", "amount": "5", "promised_on": "soon"}, 422, "write a day"),
        ("promise", {"loan": "l-1", "amount": "5", "promised_on": "2027-03-09"}, 409, "fault big"),
        ("hold", {"until": "2020-01-01", "reason": "x"}, 409, "fault big"),
        ("judge", {"verdict": "';--"}, 422, "choose one"),
    ],
)  # fmt: skip
def test_what_is_wrong_comes_back_with_the_reason(
    visitor: Visitor, kind: str, typed: dict[str, str], status: int, said: str
) -> None:
    """A clear 4xx beside the field, what was typed is kept, and nothing is stored."""
    visitor.sign_in()
    before = visitor.house.rooms.desk.case(visitor.house.cases["b-1"])
    answer = visitor.send("b-1", kind, **typed)
    assert status == answer.status_code
    assert said in answer.text
    assert before == visitor.house.rooms.desk.case(visitor.house.cases["b-1"])


def test_bytes_that_are_no_form_are_refused(visitor: Visitor) -> None:
    """What no page of ours sends is a 400 or 404, whatever it is."""
    visitor.sign_in()
    case = f"cases/{visitor.house.cases['b-1']}"
    assert 400 == visitor.post(f"{case}/note", content=b"\xff\xfe=%ff").status_code
    fields = hidden(visitor.get(case).text, f"/{case}/note")
    assert 404 == visitor.post(f"{case}/explode", fields).status_code
    assert 404 == visitor.post("cases/nope/note", fields | {"text": "x"}).status_code
    assert 405 == visitor.post("inbox", fields).status_code


# -- words and colours ----------------------------------------------------------------------------------------------


def test_amounts_are_read_as_they_are_shown() -> None:
    """What a form suggests in a currency is what it reads."""
    for currency, minor in itertools.product(("CNY", "JPY", "KWD"), (1, 999, 1_234_567)):
        assert minor == minor_of(money(minor, currency, plain=True), currency)
    assert "30 days" == window("P30D")
    assert "1 month 12 hours" == window("P1MT12H")
    assert "whenever" == window("whenever")


@pytest.mark.parametrize("text", ["1,250,000.00", "12,50,000.00", "1250000", "1 250 000"])
def test_digits_may_stand_in_groups(text: str) -> None:
    """As they are written by threes, or in India."""
    assert 125_000_000 == minor_of(text, "EUR")


@pytest.mark.parametrize("text", ["12,50", "1250,00", "1.250,00", "1,25", ",125", "1,250,00"])
def test_a_comma_before_decimals_is_never_taken_for_a_group(text: str) -> None:
    """Who writes decimals so is asked for a point: a hundred times the promised amount would be published."""
    with pytest.raises(ValueError, match="with a point before the decimals"):
        minor_of(text, "EUR")


def test_an_unknown_action_is_mistyped(visitor: Visitor) -> None:
    """A kind that there is not is told as one."""
    file = visitor.house.rooms.desk.case(visitor.house.cases["b-1"])
    with pytest.raises(Mistyped):
        action_of("explode", {}, Ground(file, OTHER, Ladder.standard(), NOW.date()))
    assert Actor("other", Role.SUPERVISOR) == OTHER


CSS = (Path(console_app.__file__).parent / "static" / "console.css").read_text()
COLOURS = ("red", "orange", "amber", "green", "violet", "blue")
PAIRS = [
    *itertools.product(("ink", "dim", "link"), ("back", "card", "sunk")),
    *((name, back) for name in COLOURS for back in ("card", f"{name}-back")),
    ("red", "sunk"), ("on-do", "do"), ("card", "ink"), ("violet", "sunk"), ("dim", "back"),
]  # fmt: skip
"""Text and what it stands on."""
EDGES = [("edge", "card"), ("edge", "back"), ("focus", "card"), ("focus", "back")]
"""Frames of fields and of the focus on what they stand on."""


def _palettes() -> dict[str, dict[str, str]]:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[:2]
    found = (("light", light), ("dark", dark))
    return {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", text)) for name, text in found}


def _luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_colour_is_told_from_its_ground(mode: str) -> None:
    """Text has a contrast of 4.5 (WCAG 2.2, 1.4.3), frames of fields and focus one of 3 (1.4.11), in both modes."""
    palette = _palettes()[mode]
    weak = {pair: round(_contrast(palette[pair[0]], palette[pair[1]]), 2) for pair in PAIRS}
    assert {} == {pair: ratio for pair, ratio in weak.items() if ratio < 4.5}
    frames = {pair: round(_contrast(palette[pair[0]], palette[pair[1]]), 2) for pair in EDGES}
    assert {} == {pair: ratio for pair, ratio in frames.items() if ratio < 3}
