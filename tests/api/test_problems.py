from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from sqlalchemy.exc import OperationalError

from streams.api.guard import BODY_BYTES_MAX
from streams.casework.roles import Role
from streams.errors import Unavailable
from tests.api.house import client_of, rooms_over

if TYPE_CHECKING:
    from streams.stores.database import Database
    from tests.api.house import Client

ACTIONS = "/cases/00000000-0000-5000-8000-000000000000/actions"
JSON = {"Content-Type": "application/json"}


class Broken:
    """A store that fails in a given way, whatever is asked of it."""

    def __init__(self, fault: Exception) -> None:
        self.fault = fault

    def __getattr__(self, name: str) -> Any:
        raise self.fault


@pytest.mark.parametrize(
    ("status", "kind", "request_"),
    [
        (404, "not-found", ("GET", "/nothing")),
        (404, "not-found", ("GET", "/cases/")),
        (405, "method", ("PATCH", "/me")),
        (422, "invalid", ("GET", "/cases?limit=201")),
        (422, "invalid", ("GET", "/cases?limit=" + "9" * 4_000)),
        (422, "invalid", ("GET", "/cases?state=lost")),
        (422, "invalid", ("GET", "/cases?colour=red")),
        (422, "invalid", ("GET", "/cases/42")),
        (422, "invalid", ("GET", "/borrowers/a%20b")),
        (422, "invalid", ("GET", "/borrowers/%F0%9F%92%A5")),
        (422, "invalid", ("GET", "/borrowers/" + "b" * 129)),
        (400, "malformed", ("GET", "/cases?owner=a%00b")),
        (400, "malformed", ("GET", "/borrowers/b%00")),
        (404, "not-found", ("GET", "/borrowers/b-unknown")),
        (404, "not-found", ("GET", "/cases/00000000-0000-5000-8000-000000000000")),
        (428, "version-needed", ("POST", ACTIONS)),
    ],
)
def test_an_error_is_a_problem(ask: Client, status: int, kind: str, request_: tuple[str, str]) -> None:
    """RFC 9457: type, title, status, detail and the id of the request, which a header has too."""
    response = ask(*request_, json={"kind": "take"} if request_[0] == "POST" else None)

    problem = response.json()
    assert status == response.status_code
    assert "application/problem+json" == response.headers["content-type"]
    assert f"urn:ews:problem:{kind}" == problem["type"]
    assert status == problem["status"]
    assert problem["title"]
    assert problem["detail"]
    assert f"urn:ews:request:{response.headers['x-request-id']}" == problem["instance"]


@pytest.mark.parametrize(
    ("status", "body", "content_type"),
    [
        (400, b"{", "application/json"),
        (400, b'{"kind":"note","text":"\\ud800"}', "application/json"),
        (400, b'{"kind":"note","text":"\xff"}', "application/json"),
        (400, b'{"kind":"note","text":"a\\u0000b"}', "application/json"),
        (400, b'{"kind":"note","a\\u0000b":1}', "application/json"),
        (400, b'{"kind":NaN}', "application/json"),
        (400, b"[" * 60_000, "application/json"),
        (422, b"[" * 900 + b"]" * 900, "application/json"),
        (422, b"null", "application/json; charset=utf-8"),
        (422, b'{"kind":"nothing"}', "application/json"),
        (422, b'{"kind":"note"}', "application/json"),
        (400, b'{"kind":"promise","loan":"L","amount_minor":1' + b"0" * 400 + b"}", "application/json"),
        (415, b"{}", "text/plain"),
        (415, b"{}", "application/json; charset=utf-16"),
        (415, b"kind=take", "application/x-www-form-urlencoded"),
        (415, b"{}", ""),
        (422, b'{"kind":"promise","loan":"L","amount_minor":1' + b"0" * 30 + b"}", "application/json"),
        (413, b" " * (BODY_BYTES_MAX + 1), "application/json"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused(ask: Client, status: int, body: bytes, content_type: str) -> None:
    """Whatever it is, it is the sender's mistake and never ours."""
    headers = {"Content-Type": content_type} if content_type else {}
    response = ask("POST", ACTIONS, content=body, headers={**headers, "If-Match": '"1"'})

    assert status == response.status_code, response.text


def test_a_body_without_an_end_is_cut_off(ask: Client) -> None:
    """A body of unknown length is read to the limit and no further."""

    async def endless() -> Any:
        while True:
            yield b" " * 1_024

    assert 413 == ask("POST", ACTIONS, content=endless(), headers=JSON).status_code


def test_a_packed_body_is_not_unpacked(ask: Client) -> None:
    """There is no way to send a small body that becomes a large one."""
    response = ask("POST", ACTIONS, content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"})

    assert 415 == response.status_code


@pytest.mark.parametrize(
    ("pointer", "body"),
    [
        ("#/text", {"kind": "note"}),
        ("#/colour", {"kind": "note", "text": "x", "colour": "red"}),
        ("#/?", {"kind": "note", "text": "x", "<b>": 1}),
        ("#/amount_minor", {"kind": "promise", "amount_minor": -1, "loan": "L", "currency": "EUR"}),
    ],
)
def test_a_mistake_is_pointed_at(ask: Client, pointer: str, body: Any) -> None:
    """Where it is, as a JSON pointer into what was sent."""
    problem = ask("POST", ACTIONS, json=body).json()

    assert pointer in [error["pointer"] for error in problem["errors"]]


SECRET = "0049-171-5550001"


@pytest.mark.parametrize(
    "body",
    [
        {"zone": SECRET, "language": "en"},
        {"zone": "Europe/Berlin", "language": SECRET},
        {"zone": "Europe/Berlin", "language": "en", SECRET: 1},
        {"zone": "Europe/Berlin", "language": "en", "anna_5550001": 1},
        {"zone": "Europe/Berlin", "language": "en", "preferred": [SECRET, SECRET]},
        {"zone": "Europe/Berlin", "language": "en", "opted_out_at": SECRET},
        {"zone": "Europe/Berlin", "language": "en", "addresses": [{"channel": "sms", "address": SECRET * 30}]},
        {"zone": "Europe/Berlin", "language": "en", "addresses": [{"channel": SECRET, "address": "1"}]},
        {"zone": "Europe/Berlin", "language": "en", "addresses": [{"channel": "sms", "address": "1", SECRET: 1}]},
        {"zone": "Europe/Berlin", "language": "en", "addresses": {SECRET: 1}},
        [SECRET],
        SECRET,
    ],
)
def test_what_was_sent_of_a_person_is_not_said_again(ask: Client, body: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A refused contact record leaves no trace of itself: not in the answer, not in the log."""
    with structlog.testing.capture_logs() as lines, caplog.at_level(logging.DEBUG):
        response = ask("PUT", "/borrowers/b-1/contact", json=body)

    assert 422 == response.status_code
    for text in (response.text, str(lines), caplog.text):
        assert "5550001" not in text


def test_a_fault_of_ours_is_a_number_for_them_and_a_place_for_us(database: Database) -> None:
    """An unknown exception is a 500 with the request's id; the log has it with the place; its text is in neither."""
    rooms = rooms_over(database, messages=Broken(RuntimeError(f"cannot call {SECRET}")))
    with client_of(rooms) as ask, structlog.testing.capture_logs() as lines:
        response = ask("GET", "/notifier", role=Role.VIEWER)

    [failed] = [line for line in lines if line["event"] == "api.failed"]
    assert 500 == response.status_code
    assert f"urn:ews:request:{failed['request']}" == response.json()["instance"]
    assert "RuntimeError" == failed["fault"]
    assert "test_problems.py" in failed["place"][-1]
    assert SECRET not in response.text + str(lines)
    assert "Traceback" not in response.text


@pytest.mark.parametrize(
    "fault",
    [Unavailable("the database postgresql://db:5432 cannot be used"), OperationalError("SELECT 1", {}, OSError())],
)
def test_a_database_that_is_away_is_said_so(database: Database, fault: Exception) -> None:
    """503 with when to try again, and not where the database is."""
    if isinstance(fault, OperationalError):  # As `Database` turns it.
        fault = Unavailable(str(fault))
    with client_of(rooms_over(database, messages=Broken(fault))) as ask:
        response = ask("GET", "/notifier")

    assert 503 == response.status_code
    assert "5" == response.headers["retry-after"]
    assert "5432" not in response.text


def test_what_is_not_set_up_is_said_so(database: Database) -> None:
    """A process without a contact store and its rules says so when they are asked for."""
    with client_of(rooms_over(database)) as ask:
        assert 503 == ask("GET", "/borrowers/b-1/contact").status_code
        assert 503 == ask("POST", "/contacts/check", json={"borrower": "b-1", "channel": "sms"}).status_code


def test_every_answer_is_guarded(ask: Client) -> None:
    """No sniffing, no frames, no scripts, no caches, no cross-origin reading; errors too."""
    for path in ("/me", "/nothing"):
        headers = ask("GET", path, headers={"Origin": "https://elsewhere.example"}).headers
        assert "nosniff" == headers["x-content-type-options"]
        assert "no-referrer" == headers["referrer-policy"]
        assert "default-src 'none'; frame-ancestors 'none'" == headers["content-security-policy"]
        assert "no-store" == headers["cache-control"]
        assert "access-control-allow-origin" not in headers
        assert "server" not in headers


def test_the_log_has_the_route_and_nothing_of_the_query(ask: Client) -> None:
    """A line for each request: who, what, how long; no token, no key."""
    with structlog.testing.capture_logs() as lines:
        ask("GET", "/borrowers/b-secret?x=secret", role=Role.VIEWER)

    [line] = [line for line in lines if line["event"] == "api.request"]
    assert "/v1/borrowers/{token}" == line["route"]
    assert "viewer" == line["account"]
    assert "secret" not in str(line)
    assert ask.keys[Role.VIEWER] not in str(lines)
