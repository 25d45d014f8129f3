"""What the API's tests may ask for: a database of their own, the rooms over it, a client."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contacts import ContactStore
from streams.stores.database import CASES, CONTACTS, open_database
from tests.api.house import client_of, rooms_over

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.api.rooms import Rooms
    from streams.stores.database import Database
    from tests.api.house import Client

SCHEMAS = {"cases": CASES, "contacts": CONTACTS}


@pytest.fixture(scope="session")
def templates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Empty databases with their tables, to be copied: making them takes longer than most tests."""
    directory = tmp_path_factory.mktemp("templates")
    for name, schema in SCHEMAS.items():
        open_database(f"sqlite:///{directory}/{name}.db", schema).close()
    return directory


@pytest.fixture
def database(templates: Path, tmp_path: Path) -> Iterator[Database]:
    """An empty database of cases."""
    with _copied("cases", templates, tmp_path) as opened:
        yield opened


@pytest.fixture
def contacts(templates: Path, tmp_path: Path) -> Iterator[ContactStore]:
    """An empty contact store with a key."""
    with _copied("contacts", templates, tmp_path) as opened:
        yield ContactStore(opened, AddressCipher(new_key()))


@pytest.fixture
def rooms(database: Database, contacts: ContactStore) -> Rooms:
    """What the routes work with."""
    return rooms_over(database, contacts=contacts)


def _copied(name: str, templates: Path, directory: Path) -> Database:
    shutil.copy(templates / f"{name}.db", directory)
    return open_database(f"sqlite:///{directory}/{name}.db", SCHEMAS[name])


@pytest.fixture
def ask(rooms: Rooms) -> Iterator[Client]:
    """A client with a key of every role."""
    with client_of(rooms) as client:
        yield client
