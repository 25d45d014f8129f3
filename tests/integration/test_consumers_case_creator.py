from __future__ import annotations

import asyncio
import functools
import random
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from sqlalchemy import func, select

from schemas.topics import DEAD_LETTERS
from streams.consumers.loop import AlertLoop, Batch
from streams.errors import Unavailable
from streams.metrics import Metrics
from streams.stores.case import content
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.tables import applied_alerts
from tests.consumers.builders import START, alert, episode
from tests.consumers.processes import PARTITIONS, Cluster, Process, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from schemas.alerts import Alert

BORROWERS = 1_200
KILLS = 4
SERVE = ("cases", "serve")


@pytest.fixture
def cluster(broker: str, prefix: str) -> Cluster:
    """Topics of this test's own."""
    return Cluster(broker, prefix)


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts processes that do not outlive the test."""
    with processes() as starter:
        yield starter


def portfolio() -> list[Alert]:
    """Alerts of many borrowers: cases of every end, repeats, late revisions, watch alerts, warm-up, stale feeds."""
    dice = random.Random(11)  # noqa: S311 - a test's dice
    ends = [[], [("withdrawn", "high", 15)], [("resolved", "high", 15)]]
    lives = []
    for number in range(BORROWERS):
        name = f"b-{number}"
        told = episode(
            name,
            [("opened", "high", 5), ("escalated", "critical", 15), *dice.choice(ends)],
            dpd=dice.choice([5, 20, 70]),
        )
        told.insert(dice.randint(0, 2), alert(borrower=name, detector="income_missing", loan=None, severity="watch"))
        told.append(dice.choice(told))
        told.append(alert(borrower=name, detector="trial", mode=dice.choice(["shadow", "history"])))
        lives.append([one.model_copy(update={"time": START + timedelta(hours=h)}) for h, one in enumerate(told)])
    return [life[step] for step in range(8) for life in lives if step < len(life)]


def pictures(store: CaseStore) -> dict[str, object]:
    """Every case with its history, by id."""
    cases = [file for case in store.listed(limit=10_000) for file in store.files_of(case.case_id)]
    return {
        file.case.case_id: (
            content(file.case, file.episodes),
            [(line.at, line.action, line.detail, line.case_digest) for line in file.history],
        )
        for file in cases
    }


def test_kills_change_no_case(cluster: Cluster, start: Callable[..., Process], tmp_path: Path) -> None:
    """Killed right after commits, and restarted: cases, digests and histories equal those of an undisturbed run."""
    cluster.write(alerts := portfolio())
    urls = [f"sqlite:///{tmp_path}/{name}.db" for name in ("calm", "killed")]
    # With the clock of the events no wall clock moves the cases, which would happen at another alert each time.
    calm, killed = [
        functools.partial(start, cluster, tmp_path / "log", *SERVE, database_url=url, clock="event") for url in urls
    ]
    with open_database(urls[0]) as first, open_database(urls[1]) as second:
        undisturbed, disturbed = CaseStore(first), CaseStore(second)
        run_to_end(undisturbed, calm, alerts)
        for _ in range(KILLS):
            kill_after_a_commit(disturbed, killed, cluster.topic)
        assert not done(disturbed, alerts)
        run_to_end(disturbed, killed, alerts)

        assert len(pictures(undisturbed)) > BORROWERS / 2
        assert pictures(undisturbed) == pictures(disturbed)
        assert () == disturbed.verify().faults


def kill_after_a_commit(store: CaseStore, begin: Callable[[], Process], topic: str) -> None:
    """Let the process commit something, and kill it before it does much more."""
    before = store.positions(topic)
    process = begin()
    process.until(lambda: store.positions(topic) != before, "moved")
    process.kill()


def run_to_end(store: CaseStore, begin: Callable[[], Process], alerts: list[Alert]) -> None:
    """Run until every alert is applied, then stop; the process must end well."""
    process = begin()
    process.until_ready()
    process.until(lambda: done(store, alerts), "done")
    assert 0 == process.stop()


def done(store: CaseStore, alerts: list[Alert]) -> bool:
    """Every alert is applied. Only reads: a test that takes the write lock would hold up what it watches."""
    with store.database.read() as connection:
        applied = connection.scalar(select(func.count()).select_from(applied_alerts))
    return applied == len({told.id for told in alerts})


def test_what_cannot_be_read_is_a_dead_letter_and_stops_nothing(
    cluster: Cluster, start: Callable[..., Process], tmp_path: Path
) -> None:
    """Each bad record is in dead-letters with its bytes, reason and place; every good one before and after counts."""
    cluster.write([alert()], others=[(p, b"{" * (p + 1)) for p in range(PARTITIONS)])
    cluster.write([later := alert(borrower="b-9")])
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        store = CaseStore(database)
        process = start(cluster, tmp_path / "log", *SERVE, database_url=f"sqlite:///{tmp_path}/cases.db")
        process.until_ready()
        # Bad records stand in partitions without alerts too: to have applied the alerts is not to have read all.
        process.until(
            lambda: done(store, [alert(), later]) and len(cluster.read(DEAD_LETTERS)) >= PARTITIONS, "done with all"
        )
        assert 0 == process.stop()
        letters = cluster.read(DEAD_LETTERS)

    assert sorted(b"{" * (p + 1) for p in range(PARTITIONS)) == sorted(value for _, value, _ in letters if value)
    assert {("not_json", "alerts")} == {(headers["reason"], headers["topic"]) for _, _, headers in letters}


def test_it_says_when_it_is_ready_and_how_far_behind_it_is(
    cluster: Cluster, start: Callable[..., Process], tmp_path: Path
) -> None:
    """/readyz answers 200 once the positions are known; /metrics counts alerts and cases, with no lag at the end."""
    cluster.write(episode("b-1", [("opened", "high", 5), ("withdrawn", "high", 5)]))
    process = start(cluster, tmp_path / "log", "cases", "serve", database_url=f"sqlite:///{tmp_path}/cases.db")
    process.until_ready()
    handled = 'ews_consumer_alerts_total{consumer="case_creator",outcome="handled"} 2.0'
    process.until(lambda: handled in process.get("/metrics")[1], "counted")
    process.until(lambda: no_lag(process.get("/metrics")[1]), "without lag")

    assert 'ews_case_changes_total{change="withdrawn"} 1.0' in process.get("/metrics")[1]
    assert 0 == process.stop()


def no_lag(metrics: str) -> bool:
    """Every partition is read to its end."""
    lag = 'ews_consumer_lag_records{consumer="case_creator"'
    lines = [line for line in metrics.splitlines() if line.startswith(lag)]
    return len(lines) == PARTITIONS and all(line.endswith(" 0.0") for line in lines)


def test_a_database_of_another_cluster_is_refused(
    cluster: Cluster, start: Callable[..., Process], tmp_path: Path
) -> None:
    """An offset past the end of the topic ends the start with exit code 2 and one line, instead of skipping alerts."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database, CaseStore(database).begin() as transaction:
        transaction.advance(cluster.topic, 0, start=0, end=1_000)

    process = start(cluster, tmp_path / "log", "cases", "serve", database_url=f"sqlite:///{tmp_path}/cases.db")

    assert 2 == process.process.wait(60)
    assert "another cluster" in (tmp_path / "log").read_text()


class Flaky:
    """A subscriber whose database comes and goes."""

    name = "flaky"

    def __init__(self) -> None:
        self.calls = 0
        self.taken: list[str] = []
        self.next: dict[int, int] = {}
        self.tell: Callable[[], None] = lambda: None

    def positions(self, topic: str) -> Mapping[int, int]:
        """What it remembers."""
        del topic
        self.fail()
        return dict(self.next)

    def take(self, batch: Batch[Alert]) -> None:
        """Take all or nothing."""
        self.fail()
        assert batch.start == self.next.get(batch.partition, 0)
        self.taken += [str(told.id) for told in batch.facts]
        self.next[batch.partition] = batch.end
        self.tell()

    def fail(self) -> None:
        """Two calls of three fail."""
        self.calls += 1
        if self.calls % 3:
            raise Unavailable("the database is away")


def test_a_database_that_comes_and_goes_loses_nothing(cluster: Cluster) -> None:
    """While it is away the loop waits and commits nothing; every alert arrives once, in order."""
    alerts = [alert(borrower=f"b-{number}", detector=f"kind_{number % 7}") for number in range(200)]
    cluster.write(alerts)
    flaky = Flaky()

    async def run() -> None:
        stop = asyncio.Event()
        here = asyncio.get_running_loop()

        def tell() -> None:
            if len(flaky.taken) >= len(alerts):
                here.call_soon_threadsafe(stop.set)

        flaky.tell = tell
        async with asyncio.timeout(60):
            await AlertLoop(cluster.settings, flaky, Metrics(), stop).run()

    asyncio.run(run())

    assert sorted(str(told.id) for told in alerts) == sorted(flaky.taken)
