"""The whole product on a broker that refuses what is not allowed, each process signed in as itself."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
from aiokafka import AIOKafkaConsumer

from schemas.topics import ALERT_OUTCOMES, ALERTS
from streams import clock
from streams.bootstrap.history import replay_files
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.acl_writing import allow
from streams.kafka.acls import ROLES, principal, rights
from streams.kafka.connection import connection
from streams.kafka.letters import Choice, letters
from streams.kafka.topics import create_topics
from streams.local.loader import load as load_events
from streams.settings import Settings, load
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.outbox import add
from streams.stores.work import Outgoing
from tests.consumers.builders import START
from tests.integration.system import until
from tests.security.conftest import PARTITIONS, PREFIX

if TYPE_CHECKING:
    from tests.security.secured import SecuredBroker

TOPICS_OF = {
    "payments": {"repayments", "feeds"},
    "banking": {"transactions"},
    "bureau": {"bureau"},
    "dialler": {"contacts"},
}
"""Which producer writes what."""
WAIT_SECONDS = 300.0
CANARY = b"canary"
"""Every secret of these tests has it in it."""


class House:
    """The processes of an installation in a directory, and all that they said."""

    def __init__(self, secured: SecuredBroker, directory: Path, prefix: str) -> None:
        self._secured = secured
        self._directory = directory
        self._prefix = prefix
        self._running: list[subprocess.Popen[bytes]] = []
        self.database_url = f"sqlite:///{directory / 'cases.db'}"
        self.command_lines: list[bytes] = []

    def environment(self, role: str, mechanism: str = "PLAIN") -> dict[str, str]:
        """The settings of a process of a role, with its password in a file."""
        found = self._secured.environment(f"{PREFIX}{role}", mechanism=mechanism)
        secret = self._directory / f"{role}.password"
        secret.write_text(found.pop("EWS_SASL_PASSWORD") + "\n")
        secret.chmod(0o600)
        return found | {
            "EWS_SASL_PASSWORD_FILE": str(secret),
            "EWS_TOPIC_PREFIX": self._prefix,
            "EWS_PARTITIONS": str(PARTITIONS),
            "EWS_DATABASE_URL": self.database_url,
            "EWS_CONTACTS_URL": f"sqlite:///{self._directory / 'contacts.db'}",
        }

    def settings(self, role: str) -> Settings:
        """The same for this process."""
        environment = self._secured.environment(f"{PREFIX}{role}") | {"EWS_TOPIC_PREFIX": self._prefix}
        names = {name.removeprefix("EWS_").lower(): value for name, value in environment.items()}
        return load(partitions=PARTITIONS, **names)

    def start(self, role: str, *command: str, mechanism: str = "PLAIN", **own: str) -> subprocess.Popen[bytes]:
        """Start a process of a role; its output goes into a file named for it."""
        environment = {**os.environ, **self.environment(role, mechanism), **own}
        program = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())", *command)
        with (self._directory / f"{role}.log").open("ab") as log:
            process = subprocess.Popen(program, env=environment, stderr=log, stdout=log)
        self._running.append(process)
        return process

    def stop(self) -> None:
        """End all in order, keeping what the process list showed of them."""
        for process in self._running:
            if process.poll() is None:
                self.command_lines.append(Path(f"/proc/{process.pid}/cmdline").read_bytes())
                process.terminate()
        for process in self._running:
            process.wait(30)

    def said(self) -> dict[str, bytes]:
        """All output of each process."""
        return {path.stem: path.read_bytes() for path in self._directory.glob("*.log")}


async def alert_ids(settings: Settings, wanted: set[str]) -> set[str]:
    """What a subscriber hears until it has heard all that is wanted."""
    heard: set[str] = set()
    consumer = AIOKafkaConsumer(
        settings.topic_prefix + ALERTS,
        **connection(settings),
        group_id="ews-least-subscriber-test",
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        deadline = clock.monotonic() + WAIT_SECONDS
        while not wanted <= heard and clock.monotonic() < deadline:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                heard |= {orjson.loads(record.value)["id"] for record in records}
    finally:
        await consumer.stop()
    return heard


def ids_in(*files: Path) -> set[str]:
    """The ids of the alerts that a replay wrote."""
    return {orjson.loads(line)["id"] for file in files for line in file.read_bytes().splitlines()}


async def test_each_process_works_with_its_own_rights_and_tells_no_secret(
    secured: SecuredBroker, tmp_path: Path
) -> None:
    """All processes do their work, each as its own user; nothing that they say or show has a secret in it.

    A channel that fails is called with a secret too.
    """
    prefix, file = "least-", tmp_path / "events.jsonl"
    alerts, portfolio = tmp_path / "alerts.jsonl", tmp_path / "portfolio.jsonl"
    simulate(Plan(borrowers=20, days=60, seed=5), file, None)
    replay_files([file], alerts=alerts, portfolio=portfolio)
    expected = ids_in(alerts, portfolio)
    own = Settings(
        bootstrap_servers=secured.broker.bootstrap_servers, partitions=PARTITIONS, topic_prefix=prefix, clock="event"
    )
    await create_topics(own)
    await allow(own, [(principal(role, PREFIX), right) for role in ROLES for right in rights(role, own)])
    house, last_ms = House(secured, tmp_path, prefix), 0
    for role, topics in TOPICS_OF.items():
        mine = [event for event in read_events([file]) if str(event.topic) in topics]
        last_ms = max(last_ms, (await load_events(house.settings(role), mine)).last_ms)
    with ExitStack() as stack:
        stack.callback(house.stop)
        ends_at = datetime.fromtimestamp(last_ms / 1000, UTC).isoformat()
        by_events = {"EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": ends_at}
        house.start("worker", "worker", mechanism="SCRAM-SHA-512", **by_events)
        house.start("portfolio", "worker", "--stage", "portfolio", **by_events)
        house.start("cases", "cases", "serve", EWS_CLOCK="event")
        webhook = {
            "EWS_WEBHOOK_URL": "http://user:hook-canary@127.0.0.1:9/hooks/path-canary",
            "EWS_WEBHOOK_SECRET": "whsec_Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5Y2FuYXJ5",
            "EWS_STAFF_URLS": "json://user:staff-canary@127.0.0.1:9/path-canary",
        }
        house.start("notifier", "notifier", EWS_OUTBOX_DIR=str(tmp_path / "outbox"), **webhook)
        house.start("operator", "config", "show", **webhook)
        assert expected == await alert_ids(house.settings("subscriber"), expected)
        await until(lambda: any((tmp_path / "outbox").glob("*.json")), WAIT_SECONDS, "a message to staff")
        with open_database(house.database_url) as database:
            await until(lambda: sum(CaseStore(database).counts().values()) > 0, WAIT_SECONDS, "a case")
            with database.write() as connection_:
                add(connection_, [Outgoing("e-1", ALERT_OUTCOMES, "b-1", b"no outcome", START)])
        # The relay has written it; the outcome keeper could not read it and has written a dead letter.
        await until(lambda: b'"dead_letter"' in house.said()["cases"], WAIT_SECONDS, "the dead letter")
        refused = [letter.headers.topic async for letter in letters(house.settings("dead-letters"), Choice())]
        assert [ALERT_OUTCOMES] == refused
    told = house.said()
    assert {"worker", "portfolio", "cases", "notifier", "operator"} == told.keys()
    assert [] == [name for name, output in told.items() if CANARY in output.lower()]
    assert [] == [line for line in house.command_lines if CANARY in line.lower()]
    assert b"********" in told["operator"]
