"""The whole round on a real Kafka: alert, case, promise at the desk, outbox, worker, repayments, the promise's end."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas import events
from schemas.codec import decode, decode_alert, encode
from schemas.topics import ALERT_OUTCOMES, ALERTS, partition_of
from streams import clock
from streams.api.desk import CaseQuery, Desk
from streams.casework.actions import Judge, Promise
from streams.casework.ladder import Ladder
from streams.casework.roles import Actor, Role
from streams.stores.case import CaseState
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.outcomes import OutcomeStore
from streams.stores.work import PromiseState
from tests.consumers.processes import PARTITIONS, Cluster, Process, processes

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from streams.api.desk import CaseFile
    from streams.stores.database import Database

ZONE = "Asia/Shanghai"
COLLECTOR = Actor("c-17", Role.COLLECTOR)
NOW = clock.now()


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts processes that do not outlive the test."""
    with processes() as starter:
        yield starter


def fact(kind: str, borrower: str, at: datetime, **data: Any) -> events.Event:
    """An event about the borrower's loan, from the servicing system."""
    return events.EVENTS[kind].model_validate(
        {
            "specversion": "1.0",
            "id": f"{kind}-{borrower}-{at.isoformat()}",
            "source": "servicing/core",
            "type": kind,
            "subject": borrower,
            "time": at,
            "data": {"loan": f"l-{borrower}", **data},
        }
    )


def opened(borrower: str) -> events.Event:
    """A loan whose installment was due 20 days ago."""
    terms = {"currency": "CNY", "servicing_zone": ZONE, "product": "cash", "channel": "app", "principal_minor": 10_000}
    due = (NOW - timedelta(days=20)).date()
    lines = [{"number": 1, "due_on": due, "amount_minor": 5_000}]
    return fact("ews.loan.opened.v1", borrower, NOW - timedelta(days=60), **terms, schedule=lines)


def paid(borrower: str, amount: int, valued: datetime) -> events.Event:
    """A payment that is booked now."""
    data = {"payment_id": f"p-{borrower}", "amount_minor": amount, "currency": "CNY", "valued_at": valued}
    return fact("ews.repayment.received.v1", borrower, clock.now(), **data)


def send(cluster: Cluster, *facts: events.Event) -> None:
    """Write facts to `repayments`, as a producer does."""

    async def write() -> None:
        async with AIOKafkaProducer(bootstrap_servers=cluster.settings.bootstrap_servers) as producer:
            for each in facts:
                key = each.subject.encode()
                topic = cluster.settings.topic_prefix + each.topic
                await producer.send_and_wait(topic, encode(each), key=key, partition=partition_of(key, PARTITIONS))

    asyncio.run(write())


class Desks:
    """A desk for each borrower, each with its own time."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def file(self, borrower: str) -> CaseFile | None:
        """The borrower's case, open or ended."""
        desk = self.at(NOW)
        for closed in (False, True):
            page = desk.cases(CaseQuery(borrower=borrower, closed=closed))
            if page.items:
                return desk.case(page.items[0].case_id)
        return None

    def at(self, when: datetime) -> Desk:
        """A desk at a time."""
        return Desk(self._database, Ladder.standard(), now=lambda: when)

    def promise(self, borrower: str, when: datetime, on: datetime) -> None:
        """The borrower promises 5,000 by a day."""
        file = self.file(borrower)
        assert file is not None
        promise = Promise(loan=f"l-{borrower}", amount_minor=5_000, currency="CNY", promised_on=on.date())
        self.at(when).act(file.case.case_id, promise, COLLECTOR, version=file.case.version)

    def stands(self, borrower: str, state: CaseState, promise: PromiseState | None = None) -> bool:
        """Whether the case is in this state, and so is its promise."""
        file = self.file(borrower)
        return (
            file is not None
            and file.case.state is state
            and (promise is None or [promise] == [p.state for p in file.promises])
        )


def test_promises_go_the_whole_round(broker: str, prefix: str, start: Callable[..., Process], tmp_path: Path) -> None:
    """One promise is kept by a payment, one is called broken by the worker, and kept after all by a late booking."""
    cluster, url = Cluster(broker, prefix), f"sqlite:///{tmp_path}/cases.db"
    worker = start(cluster, tmp_path / "worker.log", "worker", tick_seconds=1)
    serve = start(cluster, tmp_path / "cases.log", "cases", "serve", database_url=url)
    serve.until_ready()
    with open_database(url) as database:
        desks = Desks(database)
        send(cluster, opened("keeps"), opened("breaks"))
        for borrower in ("keeps", "breaks"):
            serve.until(lambda b=borrower: desks.file(b) is not None, f"case of {borrower}")

        desks.promise("keeps", NOW, NOW + timedelta(days=3))
        send(cluster, paid("keeps", 4_500, clock.now()))
        serve.until(lambda: promise_of(desks, "keeps") is PromiseState.KEPT, "kept")
        assert desks.file("keeps").case.state is not CaseState.PROMISE_TO_PAY  # type: ignore[union-attr]

        desks.promise("breaks", NOW - timedelta(days=5), NOW - timedelta(days=3))
        serve.until(lambda: desks.stands("breaks", CaseState.BROKEN_PROMISE, PromiseState.BROKEN), "broken")
        told = [decode_alert(value).data for _, value, _ in cluster.read(ALERTS)]
        assert ["breaks"] == [data.borrower for data in told if data.detector == "broken_promise"]

        file = desks.file("breaks")
        assert file is not None
        broken = next(e.episode_id for e in file.episodes if e.detector == "broken_promise")
        desks.at(clock.now()).act(
            file.case.case_id, Judge(verdict="false_positive", episode_id=broken), COLLECTOR, version=None
        )
        serve.until(lambda: [] != cluster.read(ALERT_OUTCOMES), "outcome published")
        assert {"broken_promise": {"false_positive": 1}} == OutcomeStore(database).counts()

        send(cluster, paid("breaks", 5_000, NOW - timedelta(days=4)))
        serve.until(lambda: promise_of(desks, "breaks") is PromiseState.KEPT, "kept after all")
        assert 0 == serve.stop()
        assert () == CaseStore(database).verify().faults
    promises = [
        event for _, value, _ in cluster.read("repayments") if isinstance(event := decode(value), events.PromiseMade)
    ]
    assert ["ews/cases"] * 2 == [event.source for event in promises]
    assert worker.process.poll() is None


def promise_of(desks: Desks, borrower: str) -> PromiseState | None:
    """The state of the borrower's only promise."""
    file = desks.file(borrower)
    return file.promises[0].state if file is not None and file.promises else None
