"""Databases for tests: SQLite in a file, PostgreSQL in a container that the whole session shares."""

from __future__ import annotations

import contextlib
import itertools
from typing import TYPE_CHECKING

import psycopg
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config

if TYPE_CHECKING:
    from collections.abc import Iterator

_numbers = itertools.count(1)


@contextlib.contextmanager
def postgres_server() -> Iterator[str]:
    """The URL of a PostgreSQL, without the database's name."""
    testcontainers_config.ryuk_disabled = (
        True  # The `with` removes the container; the reaper is one more image to pull.
    )
    with PostgresContainer("postgres:15", driver=None) as server:
        yield server.get_connection_url().rsplit("/", 1)[0]


def new_postgres(server: str) -> str:
    """The URL of a new, empty database."""
    name = f"ews_{next(_numbers)}"
    with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]  # our own name
    return f"{server}/{name}"
