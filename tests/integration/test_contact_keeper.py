"""The keeper of the contact log on a real Kafka, killed between its two databases."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from schemas import events
from schemas.codec import encode
from streams.bootstrap.contacts import contact_loop
from streams.kafka.writing import write
from streams.metrics import Metrics
from streams.stores.contact_log import ContactLog
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, Database, open_database
from tests.builders import at, event, tried
from tests.consumers.processes import Cluster
from tests.integration.system import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from streams.settings import Settings

pytestmark = pytest.mark.integration

BORROWERS = 40
BEGIN = at(0)
DYING = """
import asyncio, os, signal, sys
from streams.bootstrap.contacts import contact_loop, contact_store
from streams.metrics import Metrics
from streams.settings import load
from streams.stores.contact_log import ContactLog
from streams.stores.database import open_database

ContactLog.taking = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings = load()
    with open_database(settings.database_url) as database, contact_store(settings) as store:
        await contact_loop(settings, database, store, Metrics(), asyncio.Event()).run()

asyncio.run(main())
"""


@pytest.fixture
def cases(tmp_path: Path) -> Iterator[Database]:
    """An empty database of cases."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as opened:
        yield opened


@pytest.fixture
def contacts(tmp_path: Path) -> Iterator[Database]:
    """An empty contact store."""
    with open_database(f"sqlite:///{tmp_path}/contacts.db", CONTACTS) as opened:
        yield opened


def facts() -> list[events.Event]:
    """Of each borrower a call that was answered, told in the wrong order and twice, and an opt-out."""
    told = []
    for number in range(BORROWERS):
        who, call = f"b-{number}", f"c-{number}"
        reached = tried(2, contact=call, result="reached", hour=11, subject=who)
        attempted = tried(2, contact=call, hour=10, subject=who)
        out = event(events.ContactOptedOut, at(3), subject=who, channel="call")
        told += [reached, attempted, reached, out]
    return told


async def kept(settings: Settings, cases: Database, contacts: Database) -> None:
    """Run the keeper until it has taken up the whole topic."""
    stop, log = asyncio.Event(), ContactLog(cases)
    loop = contact_loop(settings, cases, ContactStore(contacts), Metrics(), stop)
    task = asyncio.create_task(loop.run())
    topic = f"{settings.topic_prefix}contacts"
    try:
        await until(lambda: sum(log.positions(topic).values()) >= 4 * BORROWERS + 1, 60, "the topic read")
    finally:
        stop.set()
        await task


def test_a_kill_between_the_two_databases_loses_and_doubles_nothing(
    broker: str, prefix: str, cases: Database, contacts: Database
) -> None:
    """Killed after the opt-outs and before the log, then started again: every call once, every opt-out there."""
    settings = Cluster(broker, prefix).settings.model_copy(
        update={"database_url": str(cases.engine.url), "contacts_url": str(contacts.engine.url)}
    )
    records = [(fact.subject, encode(fact)) for fact in facts()]
    asyncio.run(write(settings, events.Topic.CONTACTS, [*records, ("b-0", b"not an event")]))

    command = [sys.executable, "-c", DYING]
    dead = subprocess.run(command, check=False, cwd=ROOT, timeout=120, env=environment(settings), capture_output=True)
    assert -signal.SIGKILL == dead.returncode
    assert {} == ContactLog(cases).positions(f"{prefix}contacts")
    asyncio.run(kept(settings, cases, contacts))

    store, log = ContactStore(contacts), ContactLog(cases)
    for number in range(BORROWERS):
        [call] = log.past(f"b-{number}", BEGIN)
        assert (f"c-{number}", at(2, 10), at(2, 11)) == (call.contact_id, call.at, call.reached_at)
        assert {"call": at(3)} == store.opt_outs(f"b-{number}")


def environment(settings: Settings) -> dict[str, str]:
    """What a process of ours needs to find the same topics and databases."""
    return {
        "EWS_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
        "EWS_TOPIC_PREFIX": settings.topic_prefix,
        "EWS_DATABASE_URL": settings.database_url,
        "EWS_CONTACTS_URL": settings.contacts_url,
    }
