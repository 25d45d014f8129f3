"""Dashboards and rules on the running product: both stages, cases, notifier and API, scraped by a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import httpx
import pytest
from testcontainers.core.config import testcontainers_config
from testcontainers.core.container import DockerContainer

from dashboards.check import Empty, check
from dashboards.rules import FILES, FOLDER
from schemas.codec import encode
from schemas.outcomes import AlertOutcome
from schemas.topics import ALERT_OUTCOMES
from streams import clock
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.topics import create_topics
from streams.kafka.writing import write
from streams.local.loader import load
from streams.settings import Settings
from streams.stores.cipher import new_key

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [pytest.mark.integration, pytest.mark.docker]

PROMETHEUS = "prom/prometheus:v2.42.0"
EWS = (sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main())")
WAIT_SECONDS = 400.0
"""On a machine with much else to do; else it takes some twenty."""
JOBS = ("ews-case-creator", "ews-notifier", "ews-api", "ews-portfolio", "ews-worker")


JUDGED = AlertOutcome.model_validate(
    {
        "specversion": "1.0",
        "id": "o-1",
        "source": "tests",
        "subject": "b-1",
        "time": "2025-01-02T00:00:00Z",
        "data": {
            "alert_id": "0e6a3f2e-58c9-5c0b-8d3c-6a7d1f6b9e21",
            "episode_id": "0e6a3f2e-58c9-5c0b-8d3c-6a7d1f6b9e22",
            "detector": "income_drop",
            "borrower": "b-1",
            "outcome": "confirmed_risk",
            "decided_at": "2025-01-02T00:00:00Z",
            "by": "c-1",
        },
    }
)


def free_port() -> int:
    """A port of loopback that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.fixture
def ports() -> list[int]:
    """Where the processes of `JOBS` will serve their metrics; the last one is where the API listens."""
    return [free_port() for _ in (*JOBS, "api")]


@pytest.fixture
def prometheus(ports: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A Prometheus on loopback that scrapes these ports and goes by our rules."""
    monkeypatch.setattr(testcontainers_config, "ryuk_disabled", True)
    config = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
        "rule_files": [f"/config/{name}" for name in FILES],
        "scrape_configs": [
            {"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
            for job, port in zip(JOBS, ports[:-1], strict=True)
        ],
    }
    folder = tmp_path / "prometheus"
    folder.mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    for name in FILES:
        (folder / name).write_bytes((FOLDER / name).read_bytes())
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML.
    port = free_port()
    container = DockerContainer(PROMETHEUS, network_mode="host", volumes=[(str(folder), "/config", "ro")])
    container.with_command(f"--config.file=/config/prometheus.yml --web.listen-address=127.0.0.1:{port}")
    with container:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def running(broker: str, prefix: str, prometheus: str, ports: list[int], tmp_path: Path) -> Iterator[str]:
    """Every process of the product on a portfolio, while Prometheus already watches them.

    A rate needs a sample from before: what had been done when the first scrape came would show as nothing at all.
    """
    settings = Settings(bootstrap_servers=broker, topic_prefix=prefix, partitions=2, clock="event")
    simulate(Plan(borrowers=120, days=92, seed=3, malformed=0.01, late=0.02), tmp_path / "events.jsonl", None)
    asyncio.run(create_topics(settings))
    loaded = asyncio.run(load(settings, read_events([tmp_path / "events.jsonl"])))
    shared = {
        "EWS_BOOTSTRAP_SERVERS": broker, "EWS_TOPIC_PREFIX": prefix, "EWS_PARTITIONS": "2",
        "EWS_DATABASE_URL": f"sqlite:///{tmp_path / 'cases.db'}",
        "EWS_CONTACTS_URL": f"sqlite:///{tmp_path / 'contacts.db'}",
    }  # fmt: skip
    asyncio.run(write(settings, ALERT_OUTCOMES, [("b-1", encode(JUDGED))]))
    until = datetime.fromtimestamp(loaded.last_ms / 1000, UTC).isoformat()
    commands = {
        ("cases", "serve"): {},
        ("notifier",): {
            "EWS_OUTBOX_DIR": str(tmp_path / "outbox"),
            "EWS_BORROWER_CHANNELS": "sms",
            "EWS_SMS_URL": "http://127.0.0.1:9/",
            "EWS_PROVIDER_TOKEN": "t",
            "EWS_CONTACTS_KEY": new_key(),
        },
        ("api", "serve"): {"EWS_API_PORT": str(ports[-1])},
        ("worker", "--supervise", "--stage", "portfolio"): {"EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": until},
        ("worker", "--supervise"): {"EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": until},
    }
    with contextlib.ExitStack() as stack:
        for port, (command, own) in zip(ports[:-1], commands.items(), strict=True):
            if command == (
                "worker",
                "--supervise",
            ):  # The others are there when it begins: a rate needs a sample from before.
                for earlier in ports[: JOBS.index("ews-worker")]:
                    _await_metrics(earlier)
            environment = {**os.environ, **shared, **own, "EWS_METRICS_PORT": str(port)}
            log = stack.enter_context((tmp_path / f"{command[0]}-{port}.log").open("wb"))
            process = subprocess.Popen([*EWS, *command], env=environment, stderr=log, stdout=log)
            stack.callback(_end, process)
        yield prometheus


def _await_metrics(port: int) -> None:
    """Until a process serves its metrics: what it does from then on is seen."""
    deadline = clock.monotonic() + WAIT_SECONDS
    while clock.monotonic() < deadline:
        with contextlib.suppress(httpx.TransportError):
            httpx.get(f"http://127.0.0.1:{port}/metrics")
            return
        time.sleep(0.1)  # between two tries; the loop is bounded


def _await_answers(port: int, wanted: dict[str, str]) -> None:
    """Until a process answers so: one that is supervised may be on its way back."""
    deadline, got = clock.monotonic() + WAIT_SECONDS, {}
    while got != wanted and clock.monotonic() < deadline:
        time.sleep(0.1)  # between two tries; the loop is bounded
        with contextlib.suppress(httpx.TransportError):
            got = {path: _asked(port, path) for path in wanted}
    assert wanted == got


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@pytest.mark.usefixtures("docker")
def test_every_expression_returns_data_from_the_running_product(running: str, ports: list[int], tmp_path: Path) -> None:
    """No panel and no rule stays empty while a small portfolio is worked through, and no borrower is in any label."""
    deadline, empty = clock.monotonic() + WAIT_SECONDS, [Empty(None, "not asked yet")]  # type: ignore[arg-type]
    while empty and clock.monotonic() < deadline:
        time.sleep(0.5)  # between two scrapes; the deadline ends it
        with contextlib.suppress(httpx.TransportError):  # Not up yet.
            httpx.get(f"http://127.0.0.1:{ports[-1]}/v1/me")  # Without a key: that is answered and counted as well.
            empty = check(running, window="2m", only=[each.expression for each in empty if each.expression] or None)
    assert empty == []
    known = _tokens(tmp_path / "events.jsonl")
    for port in ports[:-1]:
        _await_answers(port, {"healthz": "alive\n", "readyz": "ready\n"})
        _shows_no_person(port, known)
    for log in tmp_path.glob("*.log"):
        _says_no_person(log, known)


def _tokens(events: Path) -> set[str]:
    """Borrowers, loans and whatever else stands for a person in the portfolio."""
    names = "subject|loan|account|counterparty|employer_token|phone_token"
    known = set(re.findall(rf'"(?:{names})":"([^"]+)"', events.read_text(encoding="utf-8", errors="ignore")))
    assert known
    return known


def _asked(port: int, path: str) -> str:
    return httpx.get(f"http://127.0.0.1:{port}/{path}").text


def _shows_no_person(port: int, known: set[str]) -> None:
    """No label of any metric of a process is a token, and no cohort is an employer's."""
    shown = set(re.findall(r'="([^"]*)"', _asked(port, "metrics")))
    assert not shown & known
    assert not {value for value in shown if value.startswith("employer:")}


def _says_no_person(log: Path, known: set[str]) -> None:
    """Every line is JSON with what, when and how grave; none names a token."""
    lines = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    assert lines
    for line in lines:
        assert {"event", "timestamp", "level"} <= line.keys()
        assert not {str(value) for value in line.values()} & known
