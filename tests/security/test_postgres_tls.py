"""PostgreSQL over TLS, by the options of its URL."""

from __future__ import annotations

import contextlib
import socket
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psycopg
import pytest
from testcontainers.community.postgres import PostgresContainer
from testcontainers.core.config import testcontainers_config

from streams import clock
from streams.errors import Misconfigured
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.security.secured import Authority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.docker]

TAKE = (
    "cp /given/server.* /var/lib/postgresql/ && chown postgres /var/lib/postgresql/server.* && "
    "chmod 600 /var/lib/postgresql/server.key"
)
ENCRYPT = (
    "ALTER SYSTEM SET ssl_cert_file = '/var/lib/postgresql/server.pem'",
    "ALTER SYSTEM SET ssl_key_file = '/var/lib/postgresql/server.key'",
    "ALTER SYSTEM SET ssl = on",
    "SELECT pg_reload_conf()",
)


@pytest.fixture(scope="module")
def authorities(docker: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Authority, Authority]:  # noqa: ARG001 - asks for Docker first
    """The one that signed the server's certificate, and a stranger."""
    directory = tmp_path_factory.mktemp("authorities")
    return Authority(directory, "ours"), Authority(directory, "strangers")


@pytest.fixture(scope="module")
def server(authorities: tuple[Authority, Authority], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a PostgreSQL that speaks TLS, by the host that its certificate names."""
    given = tmp_path_factory.mktemp("given")
    given.chmod(0o755)
    testcontainers_config.ryuk_disabled = True
    container = PostgresContainer("postgres:15", driver=None).with_volume_mapping(str(given), "/given", "ro")
    with container as started:
        for file in authorities[0].issue("server", host=started.get_container_host_ip()):
            (given / file.name).write_bytes(file.read_bytes())
            (given / file.name).chmod(0o644)
        url = started.get_connection_url()
        assert 0 == started.exec(["bash", "-c", TAKE]).exit_code
        with psycopg.connect(url, autocommit=True) as connection:
            for statement in ENCRYPT:
                connection.execute(statement)
        encrypted(url)
        yield url


def encrypted(url: str) -> None:
    """Wait until the server has taken up what it was told."""
    deadline = clock.monotonic() + 30
    while clock.monotonic() < deadline:
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(f"{url}?sslmode=require"):
            return
        time.sleep(0.1)  # between two questions to another process; the deadline ends it
    pytest.fail("the server does not speak TLS")


def opened(url: str) -> int:
    """How many cases there are, once the tables are made."""
    with open_database(url) as database:
        return sum(CaseStore(database).counts().values())


def test_the_server_is_checked_by_authority_and_name(server: str, authorities: tuple[Authority, Authority]) -> None:
    """With verify-full and our authority the database is used; the connection is encrypted."""
    ours, _ = authorities
    url = f"{server}?sslmode=verify-full&sslrootcert={ours.file}"
    assert 0 == opened(url)
    with open_database(url) as database, database.read() as connection:
        row = connection.exec_driver_sql("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").one()
    assert row.ssl


def test_another_authority_is_one_clear_line(
    server: str, authorities: tuple[Authority, Authority], tmp_path: Path
) -> None:
    """A certificate that a stranger signed, and a name that is not in it, are mistakes of the setting: exit code 2."""
    ours, strangers = authorities
    at = str(urlsplit(server).hostname)
    address = socket.gethostbyname(at)
    for url in (
        f"{server}?sslmode=verify-full&sslrootcert={strangers.file}",
        f"{server.replace(at, 'db.example')}?hostaddr={address}&sslmode=verify-full&sslrootcert={ours.file}",
        f"{server}?sslmode=verify-full&sslrootcert={tmp_path / 'none.pem'}",
    ):
        with pytest.raises(Misconfigured, match=r"(certificate|root).*mend EWS_DATABASE_URL") as refused:
            opened(url)
        assert "test:test" not in str(refused.value)
