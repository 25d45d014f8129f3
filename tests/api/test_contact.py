from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from streams.casework.contact import Allowed, Attempt, Refusal
from streams.casework.roles import Role
from streams.stores.cases import CaseStore
from tests.api.house import NOW, client_of, open_cases, rooms_over
from tests.api.test_cases import act, note

if TYPE_CHECKING:
    from datetime import datetime

    from streams.stores.contacts import ContactStore
    from streams.stores.database import Database
    from tests.api.house import Client

PHONE, MAIL = "+491715550001", "anna@mail.example"
RECORD = {
    "zone": "Europe/Berlin",
    "language": "de",
    "preferred_from": "17:00",
    "preferred_until": "19:00",
    "addresses": [
        {
            "channel": "sms",
            "address": "+49 171 555 0001",
            "consented_at": "2026-01-02T10:00:00Z",
            "consent_source": "contract",
        },
        {"channel": "email", "address": MAIL},
    ],
}


def put(ask: Client, body: Any = RECORD, **more: Any) -> Any:
    """Send a record about b-1."""
    return ask("PUT", "/borrowers/b-1/contact", json=body, **more)


def lines(ask: Client, database: Database) -> list[tuple[str, str]]:
    """Who did what, of what stands in the audit trail outside cases."""
    assert [] == ask("GET", "/audit/verify").json()["faults"]
    with database.read() as connection:
        rows = connection.exec_driver_sql("SELECT actor, action FROM audit WHERE case_id = '' ORDER BY number")
        return list(rows)[len(Role) :]  # The first tell of the accounts.


def test_a_record_is_kept_and_its_addresses_masked(ask: Client) -> None:
    """What was sent comes back, but for the addresses themselves; sent again it changes nothing."""
    outcomes = [put(ask, role=Role.SUPERVISOR).json()["outcome"] for _ in range(2)]

    shown = ask("GET", "/borrowers/b-1/contact", role=Role.SUPERVISOR)
    assert ["new", "same"] == outcomes
    assert "Europe/Berlin" == shown.json()["zone"]
    assert {"********"} == {one["address"] for one in shown.json()["addresses"]}
    assert "2026-01-02T10:00:00Z" in [one["consented_at"] for one in shown.json()["addresses"]]
    assert "555" not in shown.text


def test_an_admin_may_look_and_that_is_written_down(ask: Client, database: Database) -> None:
    """The addresses themselves are for admins who ask; the trail has who looked at whom, and no address."""
    put(ask)
    refused = ask("GET", "/borrowers/b-1/contact?reveal=true", role=Role.SUPERVISOR)
    with structlog.testing.capture_logs() as logged:
        shown = ask("GET", "/borrowers/b-1/contact?reveal=true", role=Role.ADMIN).json()

    assert 403 == refused.status_code
    assert {PHONE, MAIL} == {one["address"] for one in shown["addresses"]}
    assert [("admin", "contact.changed"), ("admin", "contact.revealed")] == lines(ask, database)
    assert "555" not in str(logged)


def test_an_erased_borrower_is_gone_from_both_databases(ask: Client, database: Database) -> None:
    """Addresses and texts go, tokens and the trail stay whole; the record is not taken on again by the way."""
    case_id = open_cases(CaseStore(database), "b-1")["b-1"]
    act(ask, case_id, note("Her sister is Maria."))
    put(ask)

    erased = ask("DELETE", "/borrowers/b-1/contact").json()
    again = ask("DELETE", "/borrowers/b-1/contact").json()

    assert {"record": True, "addresses": 2, "notes": 1} == erased
    assert {"record": False, "addresses": 0, "notes": 0} == again
    assert 404 == ask("GET", "/borrowers/b-1/contact").status_code
    assert [""] == [one["text"] for one in ask("GET", f"/cases/{case_id}").json()["notes"]]
    assert ("admin", "contact.erased") in lines(ask, database)
    assert 409 == put(ask).status_code
    assert "new" == ask("PUT", "/borrowers/b-1/contact?again=true", json=RECORD).json()["outcome"]


def test_who_has_an_erased_note_in_hand_is_sent_the_case_anew(ask: Client, database: Database) -> None:
    """Erasing changes no version, but the ETag."""
    case_id = open_cases(CaseStore(database), "b-1")["b-1"]
    etag = act(ask, case_id, note("Her sister is Maria.")).headers["etag"]

    ask("DELETE", "/borrowers/b-1/contact")

    assert 200 == ask("GET", f"/cases/{case_id}", headers={"If-None-Match": etag}).status_code


@pytest.mark.parametrize(
    ("pointer", "change"),
    [
        ("#/zone", {"zone": "Mars/Olympus"}),
        ("#/zone", {"zone": "UTC+2"}),
        ("#/language", {"language": "klingonese"}),
        ("#/country", {"country": "XX"}),
        ("#/packs", {"packs": ["no_such_pack"]}),
        ("#/preferred_from", {"preferred_from": "25:00"}),
        ("#", {"preferred_until": None}),
        ("#/opted_out_at", {"opted_out_at": "yesterday"}),
        ("#/opted_out_at", {"opted_out_at": "2026-01-02T10:00:00"}),
        ("#/addresses/0/consented_at", {"addresses": [{"channel": "sms", "address": PHONE, "consented_at": "soon"}]}),
        (
            "#/addresses/0",
            {"addresses": [{"channel": "sms", "address": PHONE, "consented_at": "2026-01-02T10:00:00Z"}]},
        ),
        (
            "#/addresses/1/channel",
            {"addresses": [{"channel": "sms", "address": PHONE}, {"channel": "pigeon", "address": "x"}]},
        ),
        (
            "#/addresses/1",
            {"addresses": [{"channel": "sms", "address": PHONE}, {"channel": "email", "address": "anna"}]},
        ),
        ("#/addresses/0", {"addresses": [{"channel": "sms", "address": "0171"}]}),
        ("#/addresses", {"addresses": [{"channel": "sms", "address": PHONE}] * 51}),
    ],
)
def test_a_mistake_in_a_record_is_pointed_at_and_nothing_is_kept(
    ask: Client, pointer: str, change: dict[str, Any]
) -> None:
    """An unknown zone, a malformed consent, a number that is none: 422 with where, and not a part is stored."""
    response = put(ask, {name: value for name, value in (RECORD | change).items() if value is not None})

    assert 422 == response.status_code, response.text
    assert pointer in [error["pointer"] for error in response.json()["errors"]]
    assert 404 == ask("GET", "/borrowers/b-1/contact").status_code


class Rules:
    """Contact rules that say what they are told to, and remember what they were asked."""

    def __init__(self, says: Allowed | Refusal) -> None:
        self.says = says
        self.asked: list[tuple[Attempt, datetime]] = []

    def __call__(self, attempt: Attempt, at: datetime) -> Allowed | Refusal:
        """The answer."""
        self.asked.append((attempt, at))
        return self.says


def test_the_rules_say_whether_a_contact_may_be_made(database: Database, contacts: ContactStore) -> None:
    """A refusal has its rule and the next moment; an address is in neither answer."""
    later = NOW + timedelta(hours=8)
    refusal = Refusal(rule="hours", pack="us", detail="only from 08:00 to 21:00", next_at=later)
    answers = []
    for says in (refusal, Allowed(address_id="a-1")):
        rules = Rules(says)
        with client_of(rooms_over(database, contacts=contacts, check=rules, now=lambda: NOW)) as ask:
            body = {"borrower": "b-1", "loan": "l-1", "channel": "sms"}
            answers.append(ask("POST", "/contacts/check", json=body, role=Role.COLLECTOR).json())
        with database.write() as connection:
            connection.exec_driver_sql("DELETE FROM accounts")

    assert (False, "hours", "us", "2026-03-02T19:00:00Z") == tuple(
        answers[0][name] for name in ("allowed", "rule", "pack", "next_at")
    )
    assert answers[1]["allowed"]
    assert "a-1" not in str(answers)
    assert ("b-1", "l-1", NOW) == (rules.asked[0][0].borrower, rules.asked[0][0].loan, rules.asked[0][1])
