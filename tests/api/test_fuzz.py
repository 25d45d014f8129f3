"""Whatever is sent, the fault is the sender's: no operation of the OpenAPI document ever answers 5xx."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.api.document import document
from streams.casework.contact import Allowed, Attempt, Channel, Kind, Refusal
from streams.casework.packs import known_packs
from streams.casework.roles import Role
from streams.stores.cases import CaseStore
from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contact_log import ContactLog
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database
from tests.api.house import NOW, client_of, open_cases, rooms_over
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.house import Client

DOCUMENT = document()
SCHEMAS = DOCUMENT["components"]["schemas"]
OPERATIONS = [
    (method.upper(), path, operation)
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if path != "/v1/events"  # It never ends.
]
NASTY = st.sampled_from(
    [
        "", " ", "\x00", "\ud800", "\uffff", "\u202e", "'; DROP TABLE cases; --", "<script>", "%00", "../..", "0", "-1",
        "9" * 40, "1e400", "NaN", "null", "true", "x" * 3_000, "2026-02-30", "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00", "2026-03-02T09:00:00Z", "2026-03-10", "b-1", "l-1", "CNY", "open", "high", "sms",
        "Europe/Berlin", "00000000-0000-5000-8000-000000000000",
    ]
)  # fmt: skip
SCALARS = st.one_of(
    NASTY,
    st.text(max_size=40),
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**15, 10**15 + 1, 10**30]),
    st.floats(allow_nan=False),
    st.booleans(),
    st.none(),
)
ANYTHING = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NASTY, inner, max_size=4))


def value_of(schema: dict[str, Any]) -> st.SearchStrategy[Any]:  # noqa: PLR0911 - a case for each kind of schema
    """Mostly what the schema asks for, at its edges and past them."""
    if "$ref" in schema:
        return value_of(SCHEMAS[schema["$ref"].rpartition("/")[2]])
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return st.one_of(*map(value_of, schema[several]))
    if "const" in schema or "enum" in schema:
        return st.sampled_from(schema.get("enum") or [schema["const"]])
    kind = schema.get("type")
    if kind == "object":
        known = {name: mostly(one) for name, one in schema.get("properties", {}).items()}
        return st.fixed_dictionaries({}, optional=known) | st.fixed_dictionaries(known)
    if kind == "array":
        return st.lists(value_of(schema.get("items", {})), max_size=4)
    if kind == "integer":
        return st.integers(schema.get("minimum", -(10**6)), schema.get("maximum", 10**16))
    if kind == "boolean":
        return st.booleans()
    return st.text(max_size=60) | NASTY if kind == "string" else ANYTHING


def mostly(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """What the schema asks for, and now and then anything at all."""
    return st.one_of(value_of(schema), value_of(schema), value_of(schema), ANYTHING)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, dict[str, Any]]:
    """Method, path and what else is sent."""
    method, path, operation = draw(st.sampled_from(OPERATIONS))
    query, headers = [], {}
    for one in operation.get("parameters", ()):
        value = draw(NASTY | st.text(max_size=30) | st.from_regex(r"\A[!-~]{1,40}\Z"))
        if one["in"] == "path":
            value = (
                draw(st.just("CASE") | st.just(value))
                if one["name"] == "case_id"
                else draw(st.just("b-1") | st.just(value))
            )
            path = path.replace("{" + one["name"] + "}", quote(value.encode("utf-8", "surrogatepass"), safe=""))
        elif draw(st.booleans()):
            if one["in"] == "query":
                query.append(f"{one['name']}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}")
            else:
                headers[one["name"]] = draw(
                    st.sampled_from(['"1"', '"2"', '"1.00000000"', "*", "k", "", '"9' + "9" * 40 + '"'])
                )
    more: dict[str, Any] = {"headers": headers}
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        body = draw(mostly(schema).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=50))
        more |= {"content": body, "headers": headers | {"Content-Type": "application/json"}}
    return method, path.removeprefix("/v1") + ("?" + "&".join(query) if query else ""), more


@pytest.fixture(scope="module", params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def urls(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two empty databases of each kind. PostgreSQL refuses what SQLite keeps: long texts, NUL, large numbers."""
    if request.param == "sqlite":
        directory = tmp_path_factory.mktemp("fuzz")
        yield f"sqlite:///{directory}/cases.db", f"sqlite:///{directory}/contacts.db"
        return
    request.getfixturevalue("docker")
    with postgres_server() as server:
        yield new_postgres(server), new_postgres(server)


@pytest.fixture(scope="module")
def house(urls: tuple[str, str]) -> Iterator[tuple[Client, str]]:
    """A client with everything set up, and a case."""
    with open_database(urls[0]) as database, open_database(urls[1], CONTACTS) as people:
        contacts = ContactStore(people, AddressCipher(new_key()))
        rooms = rooms_over(
            database, contacts=contacts, check=lambda *_: Allowed(address_id=None), packs=frozenset(known_packs())
        )
        case_id = open_cases(CaseStore(database), "b-1")["b-1"]
        attempt = Attempt(borrower="b-1", loan=None, channel=Channel.SMS, kind=Kind.COLLECTION)
        ContactLog(database).refuse(attempt, Refusal(rule="hours", pack="us", detail="not now", next_at=None), NOW)
        with client_of(rooms) as client:
            yield client, case_id


@given(request_=requests())
@settings(
    max_examples=400,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
def test_no_request_makes_a_fault_of_ours(house: tuple[Client, str], request_: tuple[str, str, dict[str, Any]]) -> None:
    """Every answer is a success or a problem that is the sender's."""
    ask, case_id = house
    method, path, more = request_

    response = ask(method, path.replace("CASE", case_id), role=Role.ADMIN, **more)

    assert response.status_code < 500, (method, path, more, response.text)
    if response.status_code >= 400:
        assert "application/problem+json" == response.headers["content-type"]
        assert response.status_code == response.json()["status"]


@given(text=st.text(min_size=1, max_size=200))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_note_is_kept_to_the_letter_or_refused(house: tuple[Client, str], text: str) -> None:
    """No text is changed on its way but for the blanks around it."""
    ask, case_id = house
    etag = ask("GET", f"/cases/{case_id}").headers["etag"]

    response = ask("POST", f"/cases/{case_id}/actions", json={"kind": "note", "text": text}, headers={"If-Match": etag})

    assert response.status_code in {200, 400, 422}
    if response.status_code == 200:
        assert text.strip() in [note["text"] for note in response.json()["notes"]]


def test_the_trail_holds_after_all_that(house: tuple[Client, str]) -> None:
    """Nothing of it has torn the chain."""
    ask, _ = house

    assert [] == ask("GET", "/audit/verify").json()["faults"]
