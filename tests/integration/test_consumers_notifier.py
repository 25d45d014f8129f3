from __future__ import annotations

import random
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from standardwebhooks import Webhook

from streams.consumers.notifier import idempotency_key
from streams.stores.database import open_database
from streams.stores.messages import MessageStore
from tests.consumers.builders import START, alert
from tests.consumers.processes import Cluster, Process, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MESSAGES = 400
KILLS = 3
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@pytest.fixture
def cluster(broker: str, prefix: str) -> Cluster:
    """Topics of this test's own."""
    return Cluster(broker, prefix)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts processes that do not outlive the test."""
    with processes() as starter:
        yield starter


class Provider:
    """An idempotent receiver: it verifies, fails one request in five, and takes each webhook-id once."""

    def __init__(self) -> None:
        self.taken: set[str] = set()
        self.repeats: Counter[str] = Counter()
        self.faults: list[str] = []
        self._dice = random.Random(3)  # noqa: S311 - a test's dice
        self._lock = threading.Lock()

    def answer(self, headers: dict[str, str], body: bytes) -> int:
        """The status of the answer."""
        with self._lock:
            try:
                Webhook(SECRET).verify(body, headers)
            except Exception as fault:  # noqa: BLE001 - the test shows it
                self.faults.append(str(fault))
                return 400
            if self._dice.random() < 0.2:
                return 503
            key = headers["webhook-id"]
            if key in self.taken:
                self.repeats[key] += 1
            self.taken.add(key)
            return 204


@pytest.fixture
def provider() -> Iterator[tuple[Provider, str]]:
    """The provider, and its URL."""
    provider = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            size = int(self.headers["content-length"])
            body = self.rfile.read(size)
            if len(body) < size:  # The sender was killed in the middle.
                return
            self.send_response(provider.answer({k.lower(): v for k, v in self.headers.items()}, body))
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield provider, f"http://127.0.0.1:{server.server_port}/hook"
        server.shutdown()
        thread.join()


def test_kills_and_a_failing_provider_lose_no_message(
    cluster: Cluster, start: Callable[..., Process], provider: tuple[Provider, str], tmp_path: Path
) -> None:
    """Killed while it sends, at a provider that fails 20 %: each key is taken, and its file is there."""
    alerts = [alert(borrower=f"b-{n % 150}", detector=f"kind_{n}", severity="watch") for n in range(MESSAGES)]
    cluster.write(alerts)
    receiver, hook = provider
    url = f"sqlite:///{tmp_path}/cases.db"
    channels = {"outbox_dir": tmp_path / "outbox", "webhook_url": hook, "webhook_secret": SECRET, "database_url": url}
    with open_database(url) as database:
        store = MessageStore(database)
        for _ in range(KILLS):
            before = len(receiver.taken)
            process = start(cluster, tmp_path / "log", "notifier", **channels)
            process.until(lambda before=before: len(receiver.taken) > before + 20, "sending")
            process.kill()
        assert len(receiver.taken) < MESSAGES
        process = start(cluster, tmp_path / "log", "notifier", **channels)
        process.until_ready()
        process.until(lambda: store.counts().get(("webhook", "sent"), 0) == MESSAGES, "all sent")
        process.until(lambda: store.counts().get(("outbox", "sent"), 0) == MESSAGES, "all written")
        assert 0 == process.stop()

    keys = {idempotency_key(told, "staff") for told in alerts}
    assert [] == receiver.faults
    assert keys == receiver.taken
    assert keys == {path.stem for path in (tmp_path / "outbox").glob("*.json")}
    assert keys == {path.stem for path in (tmp_path / "outbox").iterdir() if not path.name.endswith(".part")}
    assert sum(receiver.repeats.values()) < MESSAGES / 2


def test_a_pause_outlives_the_process(cluster: Cluster, start: Callable[..., Process], tmp_path: Path) -> None:
    """Paused before its start, it takes down what is to be sent and sends nothing until the end of the pause."""
    cluster.write([alert()])
    url = f"sqlite:///{tmp_path}/cases.db"
    with open_database(url) as database:
        store = MessageStore(database)
        store.pause(START)
        process = start(cluster, tmp_path / "log", "notifier", outbox_dir=tmp_path / "outbox", database_url=url)
        process.until(lambda: store.counts() == {("outbox", "waiting"): 1}, "taken down")
        assert [] == list((tmp_path / "outbox").iterdir())

        store.resume()
        process.until(lambda: store.counts() == {("outbox", "sent"): 1}, "sent")

    assert 1 == len(list((tmp_path / "outbox").glob("staff-*.json")))
    assert 0 == process.stop()
