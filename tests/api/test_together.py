"""Several people at once, against a server that listens and answers in threads."""

from __future__ import annotations

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import uvicorn

from streams.api.app import build
from streams.api.limits import Limits
from streams.bootstrap.api import listening
from streams.casework.roles import Role
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.api.house import PLENTY, keys_of, open_cases, rooms_over
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.api.rooms import Rooms

PEOPLE = 4
EDITS = 6


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def rooms(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rooms]:
    """The rooms over a database of each kind."""
    url = f"sqlite:///{tmp_path}/cases.db"
    if request.param == "postgres":
        request.getfixturevalue("docker")
        url = new_postgres(request.getfixturevalue("postgres"))
    with open_database(url) as database:
        yield rooms_over(database)


@pytest.fixture
def server(rooms: Rooms) -> Iterator[str]:
    """The address of a server that listens."""
    app = build(rooms, Limits(requests_a_minute=PLENTY))
    with listening("127.0.0.1", 0) as listener:
        own = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        thread = threading.Thread(target=own.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            own.should_exit = True
            thread.join()


@pytest.fixture
def case_id(rooms: Rooms) -> str:
    """A case."""
    return open_cases(CaseStore(rooms.accounts.database), "b-1")["b-1"]


class Person:
    """Somebody at a screen."""

    def __init__(self, server: str, key: str) -> None:
        self.http = httpx.Client(base_url=server, headers={"Authorization": f"Bearer {key}"}, timeout=60)

    def note(self, case_id: str, text: str, **headers: str) -> httpx.Response:
        """Read the case, write a note, whatever comes of it."""
        etag = headers.pop("etag", None) or self.http.get(f"/cases/{case_id}").headers["etag"]
        return self.http.post(
            f"/cases/{case_id}/actions",
            json={"kind": "note", "text": text},
            headers={"If-Match": etag} | {name.replace("_", "-"): value for name, value in headers.items()},
        )


@pytest.fixture
def people(server: str, rooms: Rooms) -> Iterator[list[Person]]:
    """Several collectors."""
    key = keys_of(rooms.accounts)[Role.COLLECTOR]
    everybody = [Person(server, key) for _ in range(PEOPLE)]
    yield everybody
    for one in everybody:
        one.http.close()


def test_people_who_edit_one_case_lose_nothing(people: list[Person], rooms: Rooms, case_id: str) -> None:
    """Each reads, writes, and reads again where somebody was faster: every note stands, once, and so does the trail."""
    start = threading.Barrier(PEOPLE)

    def edits(number: int) -> int:
        start.wait()
        refused = 0
        for edit in range(EDITS):
            while (status := people[number].note(case_id, f"{number}-{edit}").status_code) == 412:
                refused += 1
            assert 200 == status
        return refused

    with ThreadPoolExecutor(PEOPLE) as pool:
        list(pool.map(edits, range(PEOPLE)))

    file = people[0].http.get(f"/cases/{case_id}").json()
    assert sorted(f"{n}-{e}" for n in range(PEOPLE) for e in range(EDITS)) == sorted(n["text"] for n in file["notes"])
    assert () == rooms.cases.verify().faults


def test_of_two_with_one_version_one_is_told(people: list[Person], case_id: str) -> None:
    """Two that have read the same version at once: one is done, the other refused, and nothing of it is kept."""
    etag = people[0].http.get(f"/cases/{case_id}").headers["etag"]
    start = threading.Barrier(PEOPLE)

    def edit(number: int) -> int:
        start.wait()
        return people[number].note(case_id, f"{number}", etag=etag).status_code

    with ThreadPoolExecutor(PEOPLE) as pool:
        statuses = sorted(pool.map(edit, range(PEOPLE)))

    assert [200, *[412] * (PEOPLE - 1)] == statuses
    assert 1 == len(people[0].http.get(f"/cases/{case_id}").json()["notes"])


def test_a_double_submit_acts_once(people: list[Person], case_id: str) -> None:
    """One request sent several times at the same moment under one key: one note, one answer, for all."""
    etag = people[0].http.get(f"/cases/{case_id}").headers["etag"]
    start = threading.Barrier(PEOPLE)

    def submit(number: int) -> tuple[int, Any]:
        start.wait()
        response = people[number].note(case_id, "once", etag=etag, Idempotency_Key="k-1")
        return response.status_code, response.text

    with ThreadPoolExecutor(PEOPLE) as pool:
        answers = set(pool.map(submit, range(PEOPLE)))

    assert 1 == len(answers)
    assert [200] == [status for status, _ in answers]
    assert ["once"] == [note["text"] for note in people[0].http.get(f"/cases/{case_id}").json()["notes"]]


def test_listeners_hear_of_changes(people: list[Person], case_id: str) -> None:
    """The stream of events names the case that somebody changes; whoever comes back misses nothing."""
    heard = []
    with people[0].http.stream("GET", "/events") as stream:
        lines = stream.iter_lines()
        first = next(line for line in lines if line.startswith("id:"))
        people[1].note(case_id, "now")
        heard = [next(line for line in lines if line.startswith("data:") and case_id in line)]
    before = {"Last-Event-ID": first.removeprefix("id:").strip()}
    with people[0].http.stream("GET", "/events", headers=before) as stream:
        heard.append(next(line for line in stream.iter_lines() if line.startswith("data:") and case_id in line))

    assert 2 == len(heard)


@pytest.mark.parametrize("text", ["a\x00b", "\x00"])
def test_no_database_ever_sees_a_nul(people: list[Person], case_id: str, text: str) -> None:
    """PostgreSQL cannot keep one, so it is refused before, wherever it stands."""
    http = people[0].http
    statuses = {
        http.post(f"/cases/{case_id}/actions", json=body, headers={"If-Match": '"1"'}).status_code
        for body in ({"kind": "note", "text": text}, {"kind": "assign", "to": text}, {"kind": text}, {text: 1})
    }
    with contextlib.suppress(httpx.InvalidURL):
        statuses |= {http.get(path, params={"owner": text}).status_code for path in ("/cases", "/alerts")}
        statuses |= {http.get("/borrowers/a%00b").status_code, http.get("/cases/a%00b").status_code}

    assert {400} == statuses
