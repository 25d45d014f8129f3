"""Malformed messages of ten kinds among good ones: each is a dead letter with its reason, and no good one is lost."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import aiohttp
import orjson
import pytest
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from schemas.codec import EVENT_BYTES_MAX, Reason
from schemas.events import Topic
from schemas.topics import ALERTS
from streams import clock
from streams.history.files import FileEvent, read_events
from streams.history.simulator import Plan, simulate
from streams.local.loader import RECORD_BYTES_MAX, load
from tests.integration.system import ROOT, System

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

GOOD = 3_000
BAD = 100
DONE_SECONDS_MAX = 120.0


class Kind(NamedTuple):
    """A way to be malformed."""

    reason: Reason
    spoil: Callable[[dict[str, Any], int], bytes]
    """Makes the bytes of the n-th out of a good repayment."""


def _with(**changes: Any) -> Callable[[dict[str, Any], int], bytes]:
    return lambda event, n: orjson.dumps({**event, "id": f"bad-{n}", **changes})


def _with_data(**changes: Any) -> Callable[[dict[str, Any], int], bytes]:
    return lambda event, n: orjson.dumps(
        {**event, "id": f"bad-{n}", "data": {**event["data"], "payment_id": f"bad-{n}", **changes}}
    )


def _without_loan(event: dict[str, Any], n: int) -> bytes:
    data = {name: value for name, value in event["data"].items() if name != "loan"}
    return orjson.dumps({**event, "id": f"bad-{n}", "data": data})


def _cut_off(event: dict[str, Any], n: int) -> bytes:
    return orjson.dumps(event)[: -1 - n % 20]


def _huge(event: dict[str, Any], n: int) -> bytes:
    """Anything from the smallest that is too large to the largest that a broker takes."""
    room = RECORD_BYTES_MAX - len(event["subject"]) - EVENT_BYTES_MAX
    return orjson.dumps(event)[:-1].ljust(EVENT_BYTES_MAX + 1 + (n * 7_919) % room) + b"}"


WRONG_KEY = "wrong key"
ABSURD_DATES = ("0000-00-00T00:00:00Z", "2025-02-30T12:00:00Z", "+275760-09-13T00:00:00Z", "yesterday")
KINDS = {
    "not JSON": Kind(Reason.NOT_JSON, _cut_off),
    "wrong type": Kind(Reason.INVALID, _with_data(amount_minor="a lot")),
    "missing field": Kind(Reason.INVALID, _without_loan),
    "wrong currency": Kind(Reason.CURRENCY_MISMATCH, _with_data(currency="XOF")),
    "absurd date": Kind(Reason.INVALID, lambda event, n: _with(time=ABSURD_DATES[n // 10 % 4])(event, n)),
    "huge": Kind(Reason.TOO_LARGE, _huge),
    "empty": Kind(Reason.EMPTY, lambda _event, _n: b""),
    WRONG_KEY: Kind(Reason.WRONG_KEY, _with()),
    "unknown event type": Kind(Reason.UNKNOWN_TYPE, _with(type="ews.repayment.imagined.v1")),
    "not UTF-8": Kind(Reason.NOT_UTF8, lambda event, _n: orjson.dumps(event).replace(b"servicing", b"servi\xffing")),
}
"""What each becomes."""


class Bad(NamedTuple):
    """A malformed record, as the loader reads it."""

    available_ms: int
    topic: Topic
    key: bytes | None
    value: bytes
    kind: str


def spoilt(good: Sequence[FileEvent], count: int) -> list[Bad]:
    """So many malformed records, made of repayments that are spread evenly over the good events."""
    kinds, bad = list(KINDS), []
    repayment: FileEvent | None = None
    for at, event in enumerate(good):
        if event.topic == Topic.REPAYMENTS and b"repayment.received" in event.value:
            repayment = event
        if repayment is not None and (at + 1) * count // len(good) > len(bad):
            kind = kinds[len(bad) % len(kinds)]
            value = KINDS[kind].spoil(orjson.loads(repayment.value), len(bad))
            key = b"b9999999" if kind == WRONG_KEY else repayment.key
            bad.append(Bad(event.available_ms, Topic.REPAYMENTS, key, value, kind))
    return bad


def interleaved(good: Sequence[FileEvent], bad: Sequence[Bad]) -> Iterator[FileEvent | Bad]:
    """Both, in the order in which they became known; a malformed one comes behind the good one that it follows."""
    return iter(sorted([*good, *bad], key=lambda event: event.available_ms))


@pytest_asyncio.fixture
async def another_system(broker: str, tmp_path: Path) -> System:
    """Topics of their own for the run without the malformed ones."""
    directory = tmp_path / "another"
    directory.mkdir()
    own = System(broker, f"without{os.getpid()}-", directory)
    await own.create()
    return own


class Ended(NamedTuple):
    """What a worker made of it, while it was still alive."""

    events: Counter[str]
    alerts: list[bytes]
    letters: list[tuple[str, bytes | None, bytes | None]]


async def applied(system: System, events: Iterator[FileEvent | Bad]) -> Ended:
    """The system's outcome when its worker has applied everything."""
    loaded = await load(system.settings, events)
    worker = _start(system, datetime.fromtimestamp(loaded.last_ms / 1000, UTC))
    try:
        events_by_outcome = await _finished(worker, system.directory / "worker.log")
        assert worker.poll() is None
    finally:
        worker.terminate()
        worker.wait(20)
    letters = await system.dead_letters()
    return Ended(
        events_by_outcome,
        sorted(record.value for record in await system.read(ALERTS)),
        sorted((dict(letter.headers)["reason"].decode(), letter.key, letter.value) for letter in letters),
    )


def _start(system: System, until: datetime) -> subprocess.Popen[bytes]:
    own = {"EWS_CLOCK": "event", "EWS_CLOCK_UNTIL": until.isoformat(), "PYTHONPATH": str(ROOT)}
    own |= {name: value for name, value in system.environment.items() if name != "EWS_TICK_SECONDS"}
    with (system.directory / "worker.log").open("wb") as log:
        return subprocess.Popen(
            [sys.executable, "-c", "import sys; from streams.cli import main; sys.exit(main(['worker']))"],
            env={**os.environ, **own},
            stdout=log,
            stderr=log,
        )


async def _finished(worker: subprocess.Popen[bytes], log: Path) -> Counter[str]:
    """Waits until the worker says that it is done; what became of the events, by outcome."""
    deadline = clock.monotonic() + DONE_SECONDS_MAX
    async with aiohttp.ClientSession(trust_env=False) as http:
        while True:
            assert worker.poll() is None, _lines(log)
            assert clock.monotonic() < deadline, "it is not done"
            ports = [orjson.loads(line)["port"] for line in _lines(log) if b"health.listening" in line]
            if ports:
                async with http.get(f"http://127.0.0.1:{ports[0]}/metrics") as answer:
                    samples = _samples(await answer.text())
                if any(name == "ews_progress_ratio" and value == 1.0 for name, _, value in samples):
                    return _by_outcome(samples)
            await asyncio.sleep(0.1)


def _lines(log: Path) -> list[bytes]:
    return log.read_bytes().splitlines()


def _samples(text: str) -> list[tuple[str, dict[str, str], float]]:
    families = text_string_to_metric_families(text)
    return [(sample.name, sample.labels, sample.value) for family in families for sample in family.samples]


def _by_outcome(samples: list[tuple[str, dict[str, str], float]]) -> Counter[str]:
    outcomes: Counter[str] = Counter()
    for name, labels, value in samples:
        if name == "ews_events_total":
            outcomes[labels["outcome"]] += int(value)
    return outcomes


@pytest.mark.timeout(240)
async def test_malformed_messages_are_dead_letters_and_no_good_one_is_lost(
    system: System, another_system: System, tmp_path: Path
) -> None:
    """Each of ten kinds is a dead letter with its reason, key and bytes; events and alerts are those without them.

    If one stopped the stream or took a good one with it, counts or alerts would differ.
    """
    path = tmp_path / "events.jsonl"
    simulate(Plan(borrowers=30, days=120, malformed=0.0), path)
    good = [event for event in read_events([path]) if event.topic != Topic.FEEDS][:GOOD]
    assert len(good) == GOOD
    bad = spoilt(good, BAD)
    assert len(bad) == BAD
    without = await applied(another_system, iter(good))
    mixed = await applied(system, interleaved(good, bad))
    assert without.events.total() == GOOD
    assert mixed.events == without.events + Counter({"dead_letter": BAD})
    assert mixed.alerts == without.alerts
    assert without.alerts
    assert not without.letters
    assert mixed.letters == sorted((KINDS[kind].reason.value, key, value) for _, _, key, value, kind in bad)
