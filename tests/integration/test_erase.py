"""One borrower erased while a worker runs and events still arrive, and the proof of it."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import partition_of
from streams.cli import main
from streams.errors import Rejected
from streams.history.states import Inspected, inspect
from streams.settings import load
from streams.stores.cipher import new_key
from tests.builders import opened, paid, record_of
from tests.cli.test_contacts import NOTE, PHONE, a_case_with_a_note, a_list
from tests.consumers.processes import PARTITIONS, Cluster, processes

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.events import Event

ONE, OTHER = "b-1", "b-2"


@pytest.fixture
def cluster(broker: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """An installation with its topics, the settings of commands in the environment."""
    given = {
        "BOOTSTRAP_SERVERS": broker,
        "TOPIC_PREFIX": prefix,
        "PARTITIONS": str(PARTITIONS),
        "DATABASE_URL": f"sqlite:///{tmp_path}/cases.db",
        "CONTACTS_URL": f"sqlite:///{tmp_path}/contacts.db",
        "CONTACTS_KEY": new_key(),
    }
    for name, value in given.items():
        monkeypatch.setenv(f"EWS_{name}", value)
    monkeypatch.chdir(tmp_path)
    return Cluster(broker, prefix)


def produce(cluster: Cluster, facts: Iterable[Event]) -> None:
    """Write facts as a producer of servicing facts does."""

    async def send() -> None:
        async with AIOKafkaProducer(bootstrap_servers=cluster.settings.bootstrap_servers) as producer:
            for fact in facts:
                _, _, key, value = record_of(fact)
                topic = cluster.settings.topic_prefix + fact.topic
                await producer.send_and_wait(topic, value, key=key, partition=partition_of(key, PARTITIONS))

    asyncio.run(send())


def state(borrower: str) -> Inspected | None:
    """What the changelog has of a borrower."""
    try:
        return asyncio.run(inspect(load(), borrower))
    except Rejected:
        return None


def payments(borrower: str, number: int) -> list[Event]:
    """Repayments of a borrower's loan."""
    return [paid(4, 1, loan=f"l-{borrower}", subject=borrower) for _ in range(number)]


def proof(name: str) -> Any:
    """What a proof says."""
    return json.loads(Path(name).read_text(encoding="utf-8"))


def test_a_borrower_is_erased_everywhere_with_proof_while_events_arrive(
    cluster: Cluster, capsys: pytest.CaptureFixture[str]
) -> None:
    """Addresses, texts and state go; the rest is said with its place and end; others and the repeat are untouched."""
    assert 0 == main(["contacts", "import", a_list()])
    a_case_with_a_note()
    produce(cluster, [opened([5, 10], loan=f"l-{who}", subject=who, phone_token="p-7") for who in (ONE, OTHER)])
    produce(cluster, payments(ONE, 20) + payments(OTHER, 20))
    with processes() as start:
        worker = start(cluster, Path("worker.log"), "worker", tick_seconds=1)
        worker.until(
            lambda: (found := state(OTHER)) is not None and len(found.borrower.loans[0].payments) > 19, "level"
        )
        worker.until(lambda: (found := state(ONE)) is not None and bool(found.borrower.episodes), "an alert")

        produce(cluster, payments(ONE, 20))  # On their way while it is erased.
        erasing = ["erase", ONE, "--by", "dpo-1", "--reason", "request of 1 March", "--yes", "--wait", "60"]
        assert 0 == main([*erasing, "--proof", "proof.json"]), capsys.readouterr().err
        produce(cluster, payments(ONE, 20) + payments(OTHER, 1))  # The producer has not stopped yet.
        worker.until(lambda: len(state(OTHER).borrower.loans[0].payments) > 20, "the later payments")  # type: ignore[union-attr]

        told = proof("proof.json")
        assert (2, 1, "state") == (told["before"]["addresses"], told["before"]["texts"], told["before"]["state"])
        assert (2, 1) == (told["taken"]["contacts"]["addresses"], told["taken"]["texts"]["notes"])
        assert told["worker_forgot"]
        after = told["after"]
        assert (0, 0, "mark", []) == (after["addresses"], after["texts"], after["state"], after["audit_faults"])
        kept = {trace["topic"]: trace for trace in after["topics"]}
        assert 41 == kept["repayments"]["records"]
        assert "for ever: retention.ms is -1" == kept["repayments"]["kept"]
        assert kept["state"]["kept"].startswith("older values until compaction, due within 1:10:00")
        assert 1 == kept["state"]["latest"], "the mark alone stands"
        assert PHONE not in Path("proof.json").read_text(encoding="utf-8")
        assert NOTE not in Path("proof.json").read_text(encoding="utf-8")
        assert [] == state(ONE).borrower.loans or state(ONE).borrower.loans[0].payments == []  # type: ignore[union-attr]

        assert 0 == main([*erasing, "--proof", "again.json"]), "erasing twice is no mistake"
        again = proof("again.json")
        assert (0, 0) == (again["taken"]["contacts"]["addresses"], again["taken"]["texts"]["notes"])
        capsys.readouterr()
        assert 1 == main(["erase", "b-unknown", "--by", "dpo-1", "--yes"])
        assert "nothing is held of b-unknown" in capsys.readouterr().err
        assert 0 == worker.stop()
    assert 0 == main(["replay", "--order", "--states"]), capsys.readouterr().err
    assert 0 == main(["erase", ONE, "--report"])
    assert "state: mark" in capsys.readouterr().out
    assert 1 == main([*erasing[:-1], "0"]), "no worker runs: it is said, and exit 1"
    assert "no worker has forgotten b-1" in capsys.readouterr().err
