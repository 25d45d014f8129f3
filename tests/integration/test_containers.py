"""The pipeline on servers in containers, as an installation has them: Apache Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from schemas.alerts import Alert, Severity
from streams.bootstrap.history import replay_files
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.local.loader import load
from streams.settings import Settings
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.integration.containers import broker, free_ports, topics_made, until
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from uuid import UUID

pytestmark = [pytest.mark.integration, pytest.mark.docker]

EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")


@pytest.fixture
def kafka(docker: None) -> Iterator[str]:  # noqa: ARG001 - asks for Docker first
    """One broker in a container, on this machine's loopback."""
    port, controller = free_ports(2)
    with broker(port, controller):
        yield f"127.0.0.1:{port}"


def staff_hears(alerts: list[Alert]) -> int:
    """Alerts from `watch` on, and the ends of what was told: what is only info is nobody's message."""
    told: set[UUID] = set()
    count = 0
    for data in (alert.data for alert in alerts):
        if data.severity.rank >= Severity.WATCH.rank or (data.status.is_over and data.episode_id in told):
            told.add(data.episode_id)
            count += 1
    return count


def test_events_become_alerts_cases_and_messages_on_kafka_and_postgresql_in_containers(
    kafka: str, tmp_path: Path
) -> None:
    """Staff hear of every alert from watch on that a replay of the file gives, and the cases are in PostgreSQL."""
    file, alerts = tmp_path / "events.jsonl", tmp_path / "alerts.jsonl"
    simulate(Plan(borrowers=60, days=60, seed=5), file, None)
    expected = replay_files([file], alerts=alerts).alerts.total()
    settings = Settings(bootstrap_servers=kafka, partitions=2, clock="event")
    topics_made(settings)
    until_ms = asyncio.run(load(settings, read_events([file]))).last_ms
    with ExitStack() as stack:
        url = new_postgres(stack.enter_context(postgres_server()))
        shared = {"EWS_BOOTSTRAP_SERVERS": kafka, "EWS_PARTITIONS": "2", "EWS_DATABASE_URL": url}
        ends_at = datetime.fromtimestamp(until_ms / 1000, UTC).isoformat()
        for command, own in {
            ("worker",): {"EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": ends_at},
            ("cases", "serve"): {},
            ("notifier",): {
                "EWS_OUTBOX_DIR": str(tmp_path / "outbox"),
                "EWS_CONTACTS_URL": f"sqlite:///{tmp_path / 'contacts.db'}",
            },
        }.items():
            log = stack.enter_context((tmp_path / f"{command[0]}.log").open("wb"))
            process = subprocess.Popen([*EWS, *command], env={**os.environ, **shared, **own}, stderr=log, stdout=log)
            stack.callback(process.wait, 30)
            stack.callback(process.terminate)
        written = [Alert.model_validate_json(line) for line in alerts.read_bytes().splitlines()]
        sent = staff_hears(written)
        until(lambda: len(list((tmp_path / "outbox").glob("*.json"))) >= sent, "all messages in the outbox")
        with open_database(url) as database:
            store = CaseStore(database)
            until(lambda: sum(store.counts().values()) > 0, "a case in the database")
            assert () == store.verify().faults
    assert len(written) == expected > sent > 0
