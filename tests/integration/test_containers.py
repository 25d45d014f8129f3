"""The pipeline on servers in containers, as an installation has them: Apache Kafka and PostgreSQL."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from schemas.alerts import Alert, Severity
from streams import clock
from streams.bootstrap.history import replay_files
from streams.errors import Unavailable
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.topics import create_topics
from streams.local.loader import Loaded, load
from streams.settings import Settings
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from uuid import UUID

pytestmark = [pytest.mark.integration, pytest.mark.docker]

KAFKA = "apache/kafka:4.1.1"
EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")
WAIT_SECONDS = 120.0


def free_ports(count: int) -> list[int]:
    """Ports of loopback that nobody uses now."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [probe.getsockname()[1] for probe in probes]


def until(condition: Callable[[], object], what: str) -> None:
    """Poll a condition until it holds."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while not condition():
        assert clock.monotonic() < deadline, f"not {what} in {WAIT_SECONDS} s"
        time.sleep(0.2)  # between two questions to other processes; the deadline ends it


@pytest.fixture
def kafka(docker: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:  # noqa: ARG001 - asks for Docker first
    """One broker in a container, on this machine's loopback."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    port, controller = free_ports(2)
    settings = {
        "NODE_ID": "1", "PROCESS_ROLES": "broker,controller", "CONTROLLER_LISTENER_NAMES": "CONTROLLER",
        "CONTROLLER_QUORUM_VOTERS": f"1@127.0.0.1:{controller}", "INTER_BROKER_LISTENER_NAME": "PLAINTEXT",
        "LISTENERS": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}",
        "ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
        "LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
        "OFFSETS_TOPIC_REPLICATION_FACTOR": "1", "TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
        "TRANSACTION_STATE_LOG_MIN_ISR": "1", "GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
        "AUTO_CREATE_TOPICS_ENABLE": "false",
    }  # fmt: skip
    container = DockerContainer(KAFKA, network_mode="host")
    for name, value in settings.items():
        container.with_env(f"KAFKA_{name}", value)
    with container:
        yield f"127.0.0.1:{port}"


def filled(settings: Settings, file: Path) -> Loaded:
    """The topics with a portfolio in them, once the broker answers."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while True:
        try:
            asyncio.run(create_topics(settings))
            break
        except Unavailable:
            assert clock.monotonic() < deadline, "the broker did not come up"
    return asyncio.run(load(settings, read_events([file])))


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
    until_ms = filled(settings, file).last_ms
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
