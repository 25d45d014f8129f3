"""Workers of an older release are replaced one by one while events come: nothing is lost, nothing counted twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec
import orjson
import pytest

from schemas.topics import ALERTS, STATE
from streams.agents.exits import Exit
from streams.engine.borrower import STATE_VERSION, restore
from streams.engine.drain import LANE_KEY
from tests.builders import opened, paid, record_of
from tests.integration.system import PARTITIONS, ROOT, System, until
from tests.upgrade.releases import RUN, state_version, unpack

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

BORROWERS = int(os.environ.get("UPGRADE_BORROWERS", "60"))
ROUNDS = int(os.environ.get("UPGRADE_ROUNDS", "8"))
"""Payments of each borrower between two steps of the upgrade."""
OWED = 1_000_000
FIRST_DUE = 5


class Release:
    """A worker's process of a release, in its own part of the group."""

    def __init__(self, code: Path, system: System, instance: str) -> None:
        self.log_file = system.directory / f"{code.name}-{instance}-{len(list(system.directory.glob('*.log')))}.log"
        environment = {**os.environ, **system.environment, "EWS_INSTANCE_ID": instance, "PYTHONPATH": str(code)}
        with self.log_file.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", RUN], env=environment, cwd=code, stdout=log, stderr=log
            )

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log's lines of one event."""
        lines = [line for line in self.log_file.read_bytes().splitlines() if line.startswith(b"{")]
        return [line for line in map(orjson.loads, lines) if line["event"] == event]

    async def recovered(self) -> None:
        """Waits until it has its lanes."""
        await until(
            lambda: self.said("worker.recovered") or self.process.poll() is not None,
            120.0,
            self.log_file.read_text(),
        )
        assert self.process.poll() is None, self.log_file.read_text()

    async def stopped(self) -> None:
        """Asks it to stop; it ends in order."""
        self.process.send_signal(signal.SIGTERM)
        await until(lambda: self.process.poll() is not None, 60.0, "the worker runs on")
        assert Exit.OK == self.process.returncode, self.log_file.read_text()


@pytest.fixture
def older(tmp_path: Path) -> Path:
    """The code of the planted release."""
    return unpack(tmp_path / "older")


@pytest.fixture
async def rolling(broker: str, prefix: str, tmp_path: Path) -> AsyncIterator[System]:
    """Topics of its own; every process that the test started is ended."""
    system = System(broker, prefix, tmp_path, tick_seconds=1)
    await system.create()
    started: list[Release] = []
    system.workers = started  # type: ignore[assignment]  # both end in the same way
    try:
        yield system
    finally:
        for one in started:
            one.process.kill()
            one.process.wait(10)


async def produced(system: System, rounds: int, *, open_loans: bool = False) -> int:
    """Writes a loan for each borrower if asked for, then so many payments each; how many payments."""
    facts = [opened([FIRST_DUE], OWED, loan=f"l-{n}", subject=f"b-{n}") for n in range(BORROWERS) if open_loans]
    facts += [paid(4, 1, loan=f"l-{n}", subject=f"b-{n}") for _ in range(rounds) for n in range(BORROWERS)]
    await system.send((fact.topic, (r := record_of(fact)).key or b"", r.value or b"") for fact in facts)
    return rounds * BORROWERS


async def paid_in_states(system: System) -> Counter[str]:
    """What the states say that each borrower has paid, by today's code."""
    last = {record.key: record.value for record in await system.read(STATE) if record.key != LANE_KEY}
    found: Counter[str] = Counter()
    for key, value in last.items():
        for loan in restore(value).loans:
            found[key.decode()] += OWED - loan.outstanding()
    return found


def versions(records: list[Any]) -> set[int]:
    """The versions of these states."""
    return {msgspec.msgpack.decode(r.value)[0] for r in records if r.key != LANE_KEY and r.value}


async def level(system: System, payments: int) -> None:
    """Waits until every payment is in a state."""
    for _ in range(600):
        if (await paid_in_states(system)).total() >= payments:
            return
        await asyncio.sleep(0.2)
    pytest.fail(f"{(await paid_in_states(system)).total()} of {payments} payments are counted")


@pytest.mark.integration
@pytest.mark.timeout(600)
async def test_a_rolling_upgrade_under_load_loses_and_doubles_nothing(rolling: System, older: Path) -> None:
    """Two old workers are replaced one after the other while payments flow; each payment is in the states once.

    The order has every offset once, alerts have no repeated id and no gap in their revisions, and a state that an older
    version wrote is read, judged and written anew.
    """
    system, payments = rolling, 0
    old = [Release(older, system, name) for name in ("one", "two")]
    system.workers += old  # type: ignore[arg-type]
    await asyncio.gather(*(one.recovered() for one in old))
    payments += await produced(system, ROUNDS, open_loans=True)
    await level(system, payments)
    assert {state_version(older)} == versions(await system.read(STATE))
    for one, name in zip(old, ("one", "two"), strict=True):
        load = asyncio.create_task(produced(system, ROUNDS))
        await one.stopped()
        new = Release(ROOT, system, name)
        system.workers.append(new)  # type: ignore[arg-type]
        await new.recovered()
        payments += await load
    payments += await produced(system, ROUNDS)
    await level(system, payments)

    assert dict.fromkeys((f"b-{n}" for n in range(BORROWERS)), payments // BORROWERS) == await paid_in_states(system)
    await system.assert_order_joins()
    applied = sum(next_ - first for _, topic, first, next_ in await system.runs() if topic == "repayments")
    assert payments + BORROWERS == applied, "every offset once"
    assert [] == await system.dead_letters()
    alerts = [orjson.loads(record.value) for record in await system.read(ALERTS)]
    assert BORROWERS <= len(alerts)
    assert len(alerts) == len({alert["id"] for alert in alerts})
    assert not [told for told in revisions(alerts) if told != list(range(1, len(told) + 1))]
    latest = {record.key: record.value for record in await system.read(STATE) if record.key != LANE_KEY}
    assert {STATE_VERSION} == {msgspec.msgpack.decode(value)[0] for value in latest.values()}


def revisions(alerts: list[dict[str, Any]]) -> Iterator[list[int]]:
    """The revisions of each episode, in the order in which they were told."""
    by_episode: dict[str, list[int]] = {}
    for alert in alerts:
        by_episode.setdefault(alert["data"]["episode_id"], []).append(alert["data"]["revision"])
    yield from by_episode.values()


@pytest.mark.integration
async def test_a_state_of_a_newer_release_is_refused_clearly(rolling: System) -> None:
    """After a downgrade the worker ends with 2, saying which version was written and which it reads."""
    newer = msgspec.msgpack.encode([STATE_VERSION + 1, {}])
    await rolling.send([(STATE, b"b-1", newer)])
    before = len(await rolling.read(STATE))
    worker = Release(ROOT, rolling, "one")
    rolling.workers.append(worker)  # type: ignore[arg-type]
    await until(lambda: worker.process.poll() is not None, 120.0, "the worker runs on")
    assert Exit.MISCONFIGURED == worker.process.returncode
    (said,) = worker.said("worker.exit")
    assert said["reason"].startswith(
        f"state version {STATE_VERSION + 1} was written by another release; this one reads"
    )
    assert before == len(await rolling.read(STATE))


def test_the_planted_release_is_no_newer_than_today(older: Path) -> None:
    """It was planted before today's code; after a rise of the state's version it stays what is in the field."""
    assert state_version(older) <= STATE_VERSION
    assert PARTITIONS == 4
