"""How long a worker is away when it is killed or restarted: the whole product, on a real broker, under a light load.

Counted from the signal to the moment at which a reader under read_committed sees the first `order` record that was made
after it. Whoever restarts does so at once: this process, or with `supervised` the worker's own supervisor.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from schemas.events import Topic
from schemas.topics import ORDER, partition_of
from streams import clock
from streams.errors import Unavailable
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.connection import connection, topic_name
from streams.kafka.topics import create_topics
from streams.local.broker import LocalBroker
from streams.local.loader import load
from streams.settings import Settings
from streams.settings import load as load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

PARTITIONS = 4
WARM_DAYS = 3
READY_SECONDS_MAX = 600.0
BACK_SECONDS_MAX = 60.0
EVENTS_A_SECOND = 100
SETTLE_SECONDS = 6.0
"""How long a worker works between two restarts: as long as a supervisor asks of a life before it restarts at once."""


class Trial(NamedTuple):
    """What is measured."""

    borrowers: int
    kills: int
    stops: int
    supervised: bool


class Away(NamedTuple):
    """One restart."""

    how: str
    """`killed` (SIGKILL to the process that works) or `stopped` (in the planned way)."""
    seconds: float
    """From the signal to the first newly committed drain."""
    cpu_seconds: float
    """What the new process had used by then: it is steadier than time on a machine that is shared."""


class Spread(NamedTuple):
    """The distribution of one kind."""

    how: str
    times: int
    median: float
    max: float
    cpu_median: float
    seconds: list[float]


def spreads(all_away: list[Away]) -> list[Spread]:
    """The distributions."""
    found = []
    for how in dict.fromkeys(away.how for away in all_away):
        mine = sorted((away for away in all_away if away.how == how), key=lambda away: away.seconds)
        times = [round(away.seconds, 3) for away in mine]
        cpu = median(away.cpu_seconds for away in mine)
        found.append(Spread(how, len(times), round(median(times), 3), times[-1], round(cpu, 3), times))
    return found


def measure_restarts(trial: Trial, say: Callable[[str], None], bootstrap: str | None = None) -> list[Away]:
    """Kill and stop a worker so many times. Raises Unavailable if it does not come back."""
    with tempfile.TemporaryDirectory(prefix="ews-restart-") as directory:
        if bootstrap is not None:
            return asyncio.run(_measured(trial, bootstrap, Path(directory), say))
        with LocalBroker(Path(directory) / "broker", say=say) as broker:
            return asyncio.run(_measured(trial, broker.bootstrap_servers, Path(directory), say))


async def _measured(trial: Trial, bootstrap: str, directory: Path, say: Callable[[str], None]) -> list[Away]:
    settings = load_settings(
        bootstrap_servers=bootstrap, topic_prefix=f"restart-{clock.now_ms()}-", partitions=PARTITIONS
    )
    await create_topics(settings)
    say(f"loading {trial.borrowers} borrowers")
    tokens = await _load(settings, trial.borrowers, directory)
    async with _Watch(settings) as watch, _Kept(settings, trial, directory) as kept:
        await kept.ready()
        async with _pouring(settings, tokens):
            ends = [("killed", kept.kill)] * trial.kills + [("stopped", kept.stop)] * trial.stops
            return [await _away(kept, watch, how, end, say) for how, end in ends]


async def _load(settings: Settings, borrowers: int, directory: Path) -> list[bytes]:
    """Loads a portfolio in its steady state; its tokens."""
    start = (datetime.fromtimestamp(clock.now_ms() / 1000, UTC) - timedelta(days=WARM_DAYS)).date()
    file = directory / "events.jsonl"
    await asyncio.to_thread(simulate, Plan(borrowers=borrowers, days=WARM_DAYS, start=start, malformed=0), file, None)
    await load(settings, read_events([file]))
    return sorted({event.key for event in read_events([file]) if event.key and event.topic != Topic.FEEDS})


async def _away(
    kept: _Kept, watch: _Watch, how: str, end: Callable[[], Coroutine[Any, Any, None]], say: Callable[[str], None]
) -> Away:
    await asyncio.sleep(SETTLE_SECONDS)
    began = clock.monotonic()
    try:
        async with asyncio.timeout(BACK_SECONDS_MAX):
            await end()
            await watch.committed_after(clock.now_ms())
    except TimeoutError:
        raise Unavailable(f"the worker was not back within {BACK_SECONDS_MAX:.0f} s: {kept.log_end()}") from None
    away = Away(how, clock.monotonic() - began, kept.cpu_seconds())
    say(f"{how}: back after {away.seconds:.2f} s, {away.cpu_seconds:.2f} s of CPU")
    return away


class _Watch:
    """The order topic as a subscriber sees it."""

    def __init__(self, settings: Settings) -> None:
        self._consumer: Any = AIOKafkaConsumer(
            **connection(settings), isolation_level="read_committed", enable_auto_commit=False, fetch_max_wait_ms=50
        )
        self._parts = [TopicPartition(topic_name(settings, ORDER), part) for part in range(PARTITIONS)]

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._parts)
        await self._consumer.seek_to_end(*self._parts)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def committed_after(self, moment_ms: int) -> None:
        """Returns with the first committed drain that was put together after the moment."""
        while True:
            fetched = await self._consumer.getmany(timeout_ms=1_000)
            if any(record.timestamp > moment_ms for records in fetched.values() for record in records):
                return


class _Kept:
    """A worker that is started again whenever it has ended."""

    def __init__(self, settings: Settings, trial: Trial, directory: Path) -> None:
        self._log_file = directory / "worker.log"
        self._command = [sys.executable, "-c", "import sys, streams.cli; sys.exit(streams.cli.main())", "worker"]
        self._command += ["--supervise"] if trial.supervised else []
        self._environment = os.environ | {
            "EWS_BOOTSTRAP_SERVERS": settings.bootstrap_servers,
            "EWS_TOPIC_PREFIX": settings.topic_prefix,
            "EWS_PARTITIONS": str(settings.partitions),
            "EWS_INSTANCE_ID": "one",
            # With bytecode, as an image has it: compiling everything anew takes longer than all the rest.
            "PYTHONPYCACHEPREFIX": str(directory / "bytecode"),
        }
        self._environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self._supervised = trial.supervised
        self._process: Any = None
        self._keeping: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._start()
        self._keeping = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._keeping is not None:
            self._keeping.cancel()
        if self._process.returncode is None:
            self._process.send_signal(signal.SIGTERM)
            await self._process.wait()

    async def _start(self) -> None:
        with self._log_file.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=log, stderr=log
            )

    async def _keep(self) -> None:
        while True:
            await self._process.wait()
            await self._start()

    async def ready(self) -> None:
        """Returns when the load is worked off."""
        deadline = clock.monotonic() + READY_SECONDS_MAX
        while not await _is_ready(self._port()):
            if clock.monotonic() > deadline:
                raise Unavailable(f"the worker is not ready: {self.log_end()}")
            await asyncio.sleep(0.2)

    async def kill(self) -> None:
        """SIGKILL to the process that works."""
        os.kill(self._working(), signal.SIGKILL)

    async def stop(self) -> None:
        """SIGTERM (SIGHUP to a supervisor): it finishes what is in flight, ends, and is started again."""
        before = self._working()
        self._process.send_signal(signal.SIGHUP if self._supervised else signal.SIGTERM)
        while _lives(before):  # noqa: ASYNC110 - it tells nobody when it has ended
            await asyncio.sleep(0.005)

    def _working(self) -> int:
        if not self._supervised:
            return int(self._process.pid)
        return [int(line["pid"]) for line in self._lines() if line.get("event") == "supervisor.started"][-1]

    def cpu_seconds(self) -> float:
        """What the process that works has used so far."""
        fields = Path(f"/proc/{self._working()}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _port(self) -> int | None:
        ports = [line["port"] for line in self._lines() if line.get("event") == "health.listening"]
        return ports[-1] if ports else None

    def _lines(self) -> list[dict[str, Any]]:
        lines = self._log_file.read_bytes().splitlines()
        return [orjson.loads(line) for line in lines if line.startswith(b"{") and line.endswith(b"}")]

    def log_end(self) -> str:
        """The last lines of its log."""
        return self._log_file.read_text(errors="replace")[-1_000:]


def _lives(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def _is_ready(port: int | None) -> bool:
    if port is None:
        return False
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /readyz HTTP/1.0\r\n\r\n")
        answer = await reader.readline()
        writer.close()
        return b" 200 " in answer
    return False


@contextlib.asynccontextmanager
async def _pouring(settings: Settings, tokens: list[bytes]) -> Any:
    """A light load for as long as the block runs: without one there would be nothing to commit but ticks."""
    producer: Any = AIOKafkaProducer(**connection(settings), linger_ms=5)
    await producer.start()
    task = asyncio.create_task(_pour(producer, settings, tokens))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await producer.stop()


async def _pour(producer: Any, settings: Settings, tokens: list[bytes]) -> None:
    topic, number = topic_name(settings, Topic.TRANSACTIONS), 0
    while True:
        key = tokens[number % len(tokens)]
        await producer.send(topic, _event(key.decode(), number), key=key, partition=partition_of(key, PARTITIONS))
        number += 1
        await asyncio.sleep(1 / EVENTS_A_SECOND)


def _event(token: str, number: int) -> bytes:
    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC).isoformat(timespec="milliseconds")
    identity = f"{now}-{number}"
    return orjson.dumps(
        {
            "specversion": "1.0", "type": "ews.transaction.booked.v1", "id": identity, "source": "bank",
            "subject": token, "time": now,
            "data": {
                "account": f"a-{token}", "transaction_id": identity, "amount_minor": 1_000 + number % 90,
                "currency": "EUR", "indicator": "DBIT",
            },
        }
    )  # fmt: skip
