"""The relay on a real Kafka: in order, at least once, through kills and an outage."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections import defaultdict
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from streams import clock
from streams.consumers.relay import Relay
from streams.local.broker import LocalBroker
from streams.metrics import Metrics
from streams.settings import Settings
from streams.stores.database import Database, open_database
from streams.stores.leases import Leases
from streams.stores.outbox import RELAY, Outbox, add
from streams.stores.work import Outgoing
from tests.consumers.builders import START
from tests.consumers.processes import PARTITIONS, Cluster
from tests.integration.system import ROOT, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOPIC = "repayments"
KEYS = 7
DYING = """
import asyncio, os, signal, sys
from streams import clock
from streams.consumers.relay import Relay
from streams.metrics import Metrics
from streams.settings import load
from streams.stores.database import open_database
from streams.stores.leases import Leases
from streams.stores.outbox import Outbox

class Dying(Outbox):
    def mark(self, numbers, **more):
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    settings = load()
    with open_database(settings.database_url) as database:
        stop = asyncio.Event()
        relay = Relay(settings, Dying(database), Leases(database), Metrics(), stop, holder=sys.argv[1], now=clock.now)
        await relay.run()

asyncio.run(main())
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A database of its own."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as opened:
        yield opened


def fill(database: Database, number: int, first: int = 0) -> None:
    """Events of a few borrowers, each with the number in which it stands."""
    with database.write() as connection:
        add(
            connection,
            [Outgoing(f"e-{n}", TOPIC, f"b-{n % KEYS}", b"%d" % n, START) for n in range(first, first + number)],
        )


async def relayed(settings: Settings, database: Database, metrics: Metrics, *, holder: str = "test") -> None:
    """Relay until nothing waits."""
    stop, box = asyncio.Event(), Outbox(database)
    relay = Relay(settings, box, Leases(database), metrics, stop, holder=holder, now=clock.now)
    task = asyncio.create_task(relay.run())
    try:
        await until(lambda: box.backlog().rows == 0, 180, "published")
    finally:
        stop.set()
        await task


def published(cluster: Cluster) -> dict[bytes, list[int]]:
    """The numbers of every key, as they stand in the topic."""
    found = defaultdict(list)
    for key, value, _ in cluster.read(TOPIC):
        assert key is not None
        assert value is not None
        found[key].append(int(value))
    return found


def wanted(number: int) -> dict[bytes, list[int]]:
    """What has to be there."""
    return {b"b-%d" % key: list(range(key, number, KEYS)) for key in range(KEYS)}


def test_everything_is_published_once_and_in_order(broker: str, prefix: str, database: Database) -> None:
    """More than a batch of events: each key's in order, none twice; the metrics say how many."""
    cluster, metrics = Cluster(broker, prefix), Metrics()
    fill(database, 1_234)

    asyncio.run(relayed(cluster.settings, database, metrics))

    assert wanted(1_234) == published(cluster)
    assert 1_234 == metrics.registry.get_sample_value("ews_outbox_published_total", {"topic": TOPIC})
    assert 0 == metrics.registry.get_sample_value("ews_outbox_waiting_records")


def test_killed_between_kafka_and_the_mark_it_repeats_and_loses_nothing(
    broker: str, prefix: str, database: Database, tmp_path: Path
) -> None:
    """SIGKILL when Kafka has the events and the database does not know: the same bytes again, in order, all of them."""
    cluster = Cluster(broker, prefix)
    fill(database, 40)
    environment = {
        "PYTHONPATH": str(ROOT),
        "EWS_BOOTSTRAP_SERVERS": broker,
        "EWS_TOPIC_PREFIX": prefix,
        "EWS_DATABASE_URL": f"sqlite:///{tmp_path}/cases.db",
    }
    for turn in range(2):
        died = subprocess.run([sys.executable, "-c", DYING, f"dying-{turn}"], env=environment, check=False, timeout=60)
        assert -9 == died.returncode
        Leases(database).release(RELAY, f"dying-{turn}")  # As its end would: this test does not wait for it.
    assert 40 == Outbox(database).backlog().rows

    asyncio.run(relayed(cluster.settings, database, Metrics()))

    found = published(cluster)
    assert {key: numbers * 3 for key, numbers in wanted(40).items()} == found
    assert wanted(40) == {key: list(dict.fromkeys(numbers)) for key, numbers in found.items()}


def test_while_kafka_is_away_events_wait(database: Database, tmp_path: Path) -> None:
    """Nothing ends and nothing is lost: with Kafka back everything goes out, what came meanwhile included."""
    local = LocalBroker(tmp_path / "kafka")
    with local, ExitStack() as later:
        settings = Settings(bootstrap_servers=local.bootstrap_servers, partitions=PARTITIONS)
        cluster = Cluster(local.bootstrap_servers, "")

        async def outage() -> None:
            stop, box, metrics = asyncio.Event(), Outbox(database), Metrics()
            relay = Relay(settings, box, Leases(database), metrics, stop, holder="test", now=clock.now)
            task = asyncio.create_task(relay.run())
            fill(database, 20)
            await until(lambda: box.backlog().rows == 0, 180, "published")
            await asyncio.to_thread(local.stop)
            fill(database, 50, first=20)
            waiting = lambda: metrics.registry.get_sample_value("ews_outbox_waiting_records")  # noqa: E731 - read twice
            await until(lambda: waiting() == 50, 180, "seen to wait")
            await asyncio.to_thread(later.enter_context, LocalBroker(tmp_path / "kafka", local.port))
            await until(lambda: box.backlog().rows == 0, 180, "published after the outage")
            stop.set()
            await task

        asyncio.run(outage())
        found = published(cluster)

    assert wanted(70) == {key: list(dict.fromkeys(numbers)) for key, numbers in found.items()}


def test_one_relays_at_a_time(broker: str, prefix: str, database: Database) -> None:
    """While another holds the lease nothing is published; when it is given back everything is."""
    cluster, box, leases = Cluster(broker, prefix), Outbox(database), Leases(database)
    fill(database, 10)
    assert leases.take(RELAY, "another", clock.now())

    async def held() -> None:
        stop = asyncio.Event()
        asked = asyncio.Event()

        class Asked(Leases):
            def take(self, *arguments: object) -> bool:
                got = super().take(*arguments)  # type: ignore[arg-type]
                here.call_soon_threadsafe(asked.set)
                return got

        here = asyncio.get_running_loop()
        relay = Relay(cluster.settings, box, Asked(database), Metrics(), stop, holder="test", now=clock.now)
        task = asyncio.create_task(relay.run())
        await asked.wait()
        assert 10 == box.backlog().rows
        leases.release(RELAY, "another")
        await until(lambda: box.backlog().rows == 0, 180, "published")
        stop.set()
        await task

    asyncio.run(held())
    assert wanted(10) == published(cluster)
