"""One secured broker for all tests of security: its topics made, each role's rights given, nobody else's."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pytest

from streams.kafka.acl_writing import allow
from streams.kafka.acls import ROLES, principal, rights
from streams.kafka.topics import create_topics
from streams.settings import Settings
from tests.security.secured import SecuredBroker

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 2
PREFIX = "ews-"
SCRAM = ("ews-operator", "ews-worker")


@pytest.fixture(scope="session")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """The broker; an integration test."""
    users = [f"{PREFIX}{role.name}" for role in ROLES]
    made = SecuredBroker(tmp_path_factory.mktemp("secured"), users, scram=SCRAM)
    with made.broker:
        own = Settings(bootstrap_servers=made.broker.bootstrap_servers, partitions=PARTITIONS)
        asyncio.run(create_topics(own))
        given = [(principal(role, PREFIX), right) for role in ROLES for right in rights(role, own)]
        asyncio.run(allow(own, given))
        yield made


@pytest.fixture(autouse=True, scope="module")
def unclosed() -> Iterator[None]:
    """Connections that were refused, and those over TLS, are gone before the tests of another module begin."""
    yield
    gc.collect()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for the secured broker is an integration test."""
    for item in items:
        if "secured" in getattr(item, "fixturenames", []):
            item.add_marker("integration")
            # The library does not wait for the end of a TLS connection, nor closes one that was refused.
            item.add_marker(pytest.mark.filterwarnings("ignore::ResourceWarning"))
