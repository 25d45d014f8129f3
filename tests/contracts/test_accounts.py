"""One suite for both databases: accounts, keys and sessions."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from streams.casework.roles import Actor, Role
from streams.errors import Conflict, NotFound, Rejected
from streams.stores import requests
from streams.stores.accounts import AccountStore, collectors
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NOW = datetime(2026, 11, 2, 10, tzinfo=UTC)
HOURS = timedelta(hours=8)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[AccountStore]:
    """The accounts in an empty database of each kind."""
    url = f"sqlite:///{tmp_path}/cases.db"
    if request.param == "postgres":
        request.getfixturevalue("docker")
        url = new_postgres(request.getfixturevalue("postgres"))
    with open_database(url) as database:
        yield AccountStore(database)


def test_a_key_says_whose_it_is(store: AccountStore) -> None:
    """Until it is revoked or renewed; every other text is nobody's."""
    key = store.create("anna", Role.COLLECTOR, at=NOW)
    renewed = store.rotate("anna", at=NOW)

    assert key.startswith("ews_")
    assert store.by_key(key) is None
    assert Actor("anna", Role.COLLECTOR) == store.by_key(renewed)
    assert [None] * 4 == [store.by_key(other) for other in ("", "ews_", renewed[:-1], "\ud800")]
    store.revoke("anna", at=NOW)
    assert store.by_key(renewed) is None


def test_only_hashes_are_kept(store: AccountStore) -> None:
    """Whoever reads the database can sign in nowhere."""
    key = store.create("anna", Role.COLLECTOR, at=NOW)
    token = store.open_session("anna", at=NOW, lasts=HOURS)

    with store.database.read() as connection:
        rows = [
            str(row)
            for table in ("accounts", "sessions", "audit")
            for row in connection.execute(text(f"SELECT * FROM {table}"))  # noqa: S608 - our own tables
        ]

    assert key.removeprefix("ews_") not in str(rows)
    assert token not in str(rows)
    assert key not in repr(store.listed())


@pytest.mark.parametrize("name", ["", "Anna", "anna b", "a" * 65, "-a", "case_creator", "a\n", "\u00e9", "a;b"])
def test_a_name_is_a_handle(store: AccountStore, name: str) -> None:
    """Neither a person's name nor one of our own processes'."""
    with pytest.raises(Rejected, match="an account's name is"):
        store.create(name, Role.VIEWER, at=NOW)


def test_a_name_is_taken_once_and_for_ever(store: AccountStore) -> None:
    """The audit trail speaks of it, so a revoked account keeps its name; its key can be renewed."""
    store.create("anna", Role.VIEWER, at=NOW)
    store.revoke("anna", at=NOW)

    with pytest.raises(Conflict):
        store.create("anna", Role.ADMIN, at=NOW)
    with pytest.raises(NotFound):
        store.revoke("boris", at=NOW)
    assert Actor("anna", Role.VIEWER) == store.by_key(store.rotate("anna", at=NOW))


def test_a_session_ends(store: AccountStore) -> None:
    """By its time, by signing out, with the account's key; each form's secret is its own."""
    store.create("anna", Role.SUPERVISOR, at=NOW)
    late, out, gone = (store.open_session("anna", at=NOW, lasts=HOURS) for _ in range(3))
    found = store.session(late, at=NOW)
    other = store.session(out, at=NOW)

    assert found is not None
    assert other is not None
    assert Actor("anna", Role.SUPERVISOR) == found[0]
    assert found[1] != other[1]
    assert store.session(late, at=NOW + HOURS) is None
    store.close_session(out)
    assert store.session(out, at=NOW) is None
    store.rotate("anna", at=NOW)
    assert store.session(gone, at=NOW) is None


def test_cases_are_given_to_collectors_who_take_them(store: AccountStore) -> None:
    """Not to other roles, not to who takes none, not to who is gone."""
    for name, role, takes in (("a", Role.COLLECTOR, True), ("b", Role.COLLECTOR, False), ("c", Role.SUPERVISOR, True)):
        store.create(name, role, takes_cases=takes, at=NOW)
    store.create("d", Role.COLLECTOR, takes_cases=True, at=NOW)
    store.revoke("d", at=NOW)

    with store.database.read() as connection:
        assert ["a"] == collectors(connection)


def test_what_is_done_to_accounts_stands_in_the_trail(store: AccountStore) -> None:
    """Who got which role when, in the chain that is verified."""
    store.create("anna", Role.ADMIN, at=NOW)
    store.revoke("anna", at=NOW)

    with store.database.read() as connection:
        actions = list(connection.scalars(text("SELECT action FROM audit ORDER BY number")))
    assert ["account.created", "account.revoked"] == actions
    assert () == CaseStore(store.database).verify().faults


def test_an_answer_is_kept_with_what_it_answers(store: AccountStore) -> None:
    """A key is claimed once; rolled back it is free again; after a day it is forgotten."""
    answer = requests.Answer("f", 200, "{}", '"1"')

    def cut() -> None:
        with store.database.write() as connection:
            assert requests.claim(connection, "anna", "k", "f", at=NOW)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cut()
    with store.database.write() as connection:
        assert requests.claim(connection, "anna", "k", "f", at=NOW)
        requests.finish(connection, "anna", "k", answer)
    with store.database.write() as connection:
        assert not requests.claim(connection, "anna", "k", "f", at=NOW)
        assert requests.claim(connection, "boris", "k", "f", at=NOW)

    assert answer == requests.answer_of(store.database, "anna", "k")
    with store.database.write() as connection:
        assert requests.claim(connection, "anna", "k", "f", at=NOW + requests.KEPT + HOURS)
