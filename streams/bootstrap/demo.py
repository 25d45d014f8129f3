"""Puts the demo together: a broker, a portfolio, the product's own processes, and who looks at what they do."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from schemas.events import Topic
from schemas.topics import ALERTS
from streams import clock
from streams.bootstrap.demo_console import DemoConsole, listener_on
from streams.engine.calendar import DAY_MS
from streams.errors import EarlyWarningError, Misconfigured, Unavailable
from streams.history.files import read_events, read_lines
from streams.history.simulator import Plan, simulate
from streams.kafka.connection import topic_name
from streams.local.demo.cluster import Cluster, GivenCluster, OwnBroker
from streams.local.demo.outcome import Outcome, collect, judged_through
from streams.local.demo.place import Place
from streams.local.demo.processes import Child, Crew
from streams.local.demo.progress import Watch, session
from streams.local.demo.summary import Seconds, Summary
from streams.local.demo.team import HARD_STEPS
from streams.local.loader import load
from streams.settings import Settings, variable
from streams.settings import load as load_settings
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.messages import MessageStatus, MessageStore

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Mapping, Sequence

    from streams.local.demo.progress import Progress
    from streams.local.demo.screen import Screen
    from streams.local.loader import Loaded
    from streams.stores.database import Database

EWS = "streams.cli:main"
SIMULATION = "streams.bootstrap.demo:simulation"
POLL_SECONDS = 0.05
ASK_SECONDS = 0.3
STILL_SECONDS_MAX = 180.0
"""So long nothing may change while something is awaited. A worker that hangs ends itself earlier."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Demo:
    """What is asked for."""

    directory: Path = Path("ews-demo")
    events: Path | None = None
    """A file of events; without it a portfolio is simulated."""
    plan: Plan = field(default_factory=Plan)
    bootstrap: str | None = None
    until: datetime | None = None
    live_from: datetime | None = None
    partitions: int = 4
    keep: bool = False
    """Leave the topics on the cluster that was given."""
    console: int | None = None
    """The port of the console that it ends in (0 takes any); None: it ends by itself."""


@dataclass(frozen=True, slots=True)
class Opened:
    """A console that is open."""

    summary: Summary
    url: str
    keys: Mapping[str, str]
    """By account, what to sign in with."""
    acted: Mapping[str, int]
    """What the demo's team did on the cases."""


def run(demo: Demo, screen: Screen, opened: Callable[[Opened], None] = lambda _opened: None) -> Summary | None:
    """Run a demo to its end. None if it was interrupted by SIGINT or SIGTERM; nothing is left running in any case.

    With a console, `opened` is told when it can be looked at, and the signal is the end that is meant.

    Raises Misconfigured or Unavailable.
    """
    try:
        return asyncio.run(_interruptible(_Run(demo, screen, opened)))
    finally:
        screen.close()


async def _interruptible(run: _Run) -> Summary | None:
    task = asyncio.create_task(run.to_end())

    def stop() -> None:
        if not run.stopping:  # A second Ctrl-C must not break off the cleaning up.
            run.stopping = True
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    try:
        return await task
    except asyncio.CancelledError:
        return None


class _Run:
    """One demo under way."""

    def __init__(self, demo: Demo, screen: Screen, opened: Callable[[Opened], None]) -> None:
        self.stopping = False
        """Whether the demo was asked to end: a cancellation alone may be swallowed by a library."""
        self._demo = demo
        self._screen = screen
        self._opened = opened
        self._place = Place(demo.directory)
        self._crew = Crew()
        self._seconds: dict[str, float] = {"simulate": 0.0}

    async def to_end(self) -> Summary:
        """All of it."""
        began = clock.monotonic()
        if self._demo.events:
            next(read_lines(self._demo.events), None)  # A file that is not there is said at once.
        async with AsyncExitStack() as stack:
            port = self._demo.console
            listener = None if port is None else stack.enter_context(listener_on(port))
            stack.enter_context(self._place)
            self._place.clean(keep=self._demo.events)
            self._cluster = self._choose_cluster()
            stack.push_async_callback(self._cluster.stop)
            await stack.enter_async_context(self._crew)
            events, settings = await _both(self._events(), self._topics())
            database = stack.enter_context(open_database(settings.database_url))
            summary = await self._streamed(settings, events, database)
            if listener is not None:
                summary = self._summed_up(summary, began)
                await self._look_at(summary, database, listener)
                return summary
        return self._summed_up(summary, began)

    def _summed_up(self, summary: Summary, began: float) -> Summary:
        summary = replace(summary, seconds=replace(summary.seconds, total=clock.monotonic() - began))
        (self._place / "summary.json").write_bytes(orjson.dumps(summary.as_dict(), option=orjson.OPT_INDENT_2) + b"\n")
        return summary

    async def _look_at(self, summary: Summary, database: Database, listener: socket.socket) -> None:
        """Let the team work the cases, and serve the console until the demo is asked to end."""
        self._screen.phase("the demo's team works the cases")
        shown = DemoConsole(database, summary.events_file, EPOCH + timedelta(milliseconds=summary.until_ms))
        keys = await asyncio.to_thread(shown.staffed)
        acted = await asyncio.to_thread(shown.worked)
        self._screen.close()
        try:
            await shown.serve(listener, lambda url: self._opened(Opened(summary, url, keys, acted)))
        except asyncio.CancelledError:
            if not self.stopping:
                raise

    # -- before anything flows --------------------------------------------------------------------------------------

    def _choose_cluster(self) -> Cluster:
        if self._demo.bootstrap:
            return GivenCluster(self._demo.bootstrap, keep=self._demo.keep)
        return OwnBroker(self._place / "broker", self._screen.phase)

    async def _topics(self) -> Settings:
        began = clock.monotonic()
        settings = await self._cluster.start(self._settings)
        self._seconds["broker"] = clock.monotonic() - began
        self._screen.phase(f"Kafka at {settings.bootstrap_servers} has the topics")
        return settings

    def _settings(self, servers: str) -> Settings:
        """The shell's settings, where they are not the demo's own business."""
        own: dict[str, Any] = {"security_protocol": "PLAINTEXT", "replication": 1, "min_isr": 1}
        if self._demo.bootstrap:
            own = {"topic_prefix": f"ews-demo-{uuid.uuid4().hex[:12]}-"}
        return load_settings(
            **own,
            bootstrap_servers=servers,
            app="ews",
            partitions=self._demo.partitions,
            clock="event",
            clock_until=EPOCH + timedelta(days=1),  # Known when the events are loaded.
            live_from=self._demo.live_from,
            database_url=f"sqlite:///{self._place / 'cases.db'}",
            contacts_url=f"sqlite:///{self._place / 'contacts.db'}",
            outbox_dir=self._place / "outbox",
            metrics_host="127.0.0.1",
            metrics_port=0,
            hard_steps=HARD_STEPS if self._demo.console is not None else None,
        )

    async def _events(self) -> Path:
        if self._demo.events:
            return self._demo.events
        began, plan = clock.monotonic(), self._demo.plan
        out = self._place / "events.jsonl"
        arguments = orjson.dumps([asdict(plan), str(out), str(self._place / "labels.csv")]).decode()
        self._screen.phase(f"simulating {plan.borrowers:,} borrowers over {plan.days:,} days, seed {plan.seed}")
        child = Child("simulation", SIMULATION, [arguments], os.environ, self._place / "simulation.log")
        child.start()
        try:
            while child.code is None:
                done = [line for line in child.lines() if line.isdigit()]
                self._screen.count("borrowers", sum(map(int, done)), plan.borrowers)
                await asyncio.sleep(POLL_SECONDS)
            if child.code:
                raise Unavailable(f"the simulation ended with code {child.code}: {child.last_line()}")
        finally:
            await child.ended(0)
        self._seconds["simulate"] = clock.monotonic() - began
        return out

    # -- while it flows ---------------------------------------------------------------------------------------------

    async def _streamed(self, settings: Settings, events: Path, database: Database) -> Summary:
        for name, arguments in (("case_creator", ["cases", "serve"]), ("notifier", ["notifier"])):
            self._start(name, arguments, settings)
        loaded = await self._load(settings, events)
        self._look()
        began = clock.monotonic()
        until_ms = _ms(self._demo.until) if self._demo.until else loaded.last_ms
        until = EPOCH + timedelta(milliseconds=until_ms)
        timed = settings.model_copy(update={"clock_until": until})
        worker = self._start("worker", ["worker"], timed)
        self._start("portfolio", ["worker", "--stage", "portfolio"], timed)
        resumed = await self._follow(worker, loaded)
        await self._judged(settings, until_ms)
        applied = clock.monotonic()
        self._screen.phase("all events are applied; waiting for the last cases and messages")
        outcome = await collect(settings, self._place)
        self._look()
        cases, messages = CaseStore(database), MessageStore(database)
        await self._settled(topic_name(settings, ALERTS), outcome, cases, messages)
        settled = clock.monotonic()
        restarts = self._crew.restarts()
        await self._crew.stop()
        example = cases.listed(limit=1)
        return Summary(
            directory=self._place.directory,
            bootstrap_servers=settings.bootstrap_servers,
            topic_prefix=settings.topic_prefix,
            partitions=settings.partitions,
            events_file=events,
            loaded=loaded,
            until_ms=until_ms,
            outcome=outcome,
            cases=_summed(cases.counts()),
            messages=_summed({(status, channel): n for (channel, status), n in messages.counts().items()}),
            restarts=restarts,
            resumed=resumed,
            seconds=Seconds(
                **self._seconds, load=loaded.seconds, process=applied - began, settle=settled - applied, total=0.0
            ),
            example_borrower=example[0].borrower if example else None,
        )

    def _start(self, name: str, arguments: Sequence[str], settings: Settings) -> Child:
        environment = _environment(settings, name)
        return self._crew.start(Child(name, EWS, arguments, environment, self._place / f"{name}.log"))

    async def _load(self, settings: Settings, events: Path) -> Loaded:
        self._screen.phase(f"loading {events} into the topics")
        until_ms = _ms(self._demo.until) if self._demo.until else None
        loaded = await load(
            settings, read_events([events]), until_ms=until_ms, progress=lambda n: self._screen.count("loaded", n)
        )
        if not loaded.total:
            raise Misconfigured(f"{events} holds no events{' until then' if until_ms else ''}: give another --events")
        self._screen.phase(f"loaded {loaded.total:,} events, {loaded.total / loaded.seconds:,.0f} events/s")
        return loaded

    async def _follow(self, worker: Child, loaded: Loaded) -> list[float]:
        """Until the worker has applied everything and its time has come to the end. How long each restart took."""
        watch, asked, still = Watch(loaded.total - loaded.topics[Topic.FEEDS]), 0.0, _Stillness()
        async with session() as http:
            while True:
                self._look()
                if clock.monotonic() - asked >= ASK_SECONDS:
                    asked = clock.monotonic()
                    progress = await watch.ask(http, worker, self._crew["case_creator"])
                    self._screen.progress(progress)
                    if progress.done:
                        return watch.resumed
                    still.check(_moving(progress), f"the worker; its log is {worker.log_file}")
                await asyncio.sleep(POLL_SECONDS)

    async def _judged(self, settings: Settings, until_ms: int) -> None:
        """Until the second stage has judged every day that is over."""
        still = _Stillness()
        while (through := await judged_through(settings)) < until_ms // DAY_MS * DAY_MS:
            self._look()
            still.check(through, f"the second stage; its log is {self._crew['portfolio'].log_file}")
            await asyncio.sleep(ASK_SECONDS)

    async def _settled(self, topic: str, outcome: Outcome, cases: CaseStore, messages: MessageStore) -> None:
        """Until both consumers have taken up every alert, and no message waits."""
        still = _Stillness()
        while True:
            self._look()
            stood = [cases.positions(topic), messages.positions(topic)]
            waiting = sum(n for (_, status), n in messages.counts().items() if status == MessageStatus.WAITING)
            behind = sum(end > stands.get(part, 0) for part, end in outcome.positions.items() for stands in stood)
            if not behind and not waiting:
                return
            still.check((stood, waiting), f"the consumers; their logs are in {self._place.directory}")
            await asyncio.sleep(POLL_SECONDS)

    def _look(self) -> None:
        """See to it that all are alive, and that we are wanted."""
        if self.stopping:
            raise asyncio.CancelledError
        self._cluster.check()
        for child in self._crew.look():
            self._screen.phase(f"the {child.name} was killed: started again, process {child.pid}")


class _Stillness:
    """Raises Unavailable when what is watched has not changed for too long."""

    def __init__(self) -> None:
        self._last: object = None
        self._since = clock.monotonic()

    def check(self, seen: object, who: str) -> None:
        if seen != self._last:
            self._last, self._since = seen, clock.monotonic()
        elif clock.monotonic() - self._since > STILL_SECONDS_MAX:
            raise Unavailable(f"nothing has moved for {STILL_SECONDS_MAX:.0f} s: look at {who}")


def simulation(arguments: Sequence[str]) -> int:
    """The process that simulates. It says how many borrowers more are done, a number a line."""
    plan, out, labels = orjson.loads(arguments[0])
    plan["start"] = date.fromisoformat(plan["start"])
    try:
        simulate(Plan(**plan), Path(out), Path(labels), progress=lambda done: print(done, flush=True))  # noqa: T201
    except EarlyWarningError as error:
        print(error, flush=True)  # noqa: T201 - the last line of its log is what the demo says
        return 1
    return 0


async def _both(events: Any, topics: Any) -> tuple[Path, Settings]:
    """Side by side; when one fails the other is broken off."""
    tasks = [asyncio.create_task(events), asyncio.create_task(topics)]
    try:
        first, second = await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    return first, second


def _environment(settings: Settings, name: str) -> dict[str, str]:
    """What a process of the demo is started with: the shell's environment, and in place of its settings these."""
    environment = {key: value for key, value in os.environ.items() if not key.upper().startswith("EWS_")}
    return environment | {
        variable(field): text for field in Settings.model_fields if (text := _text(settings, field, name)) is not None
    }


def _text(settings: Settings, field: str, name: str) -> str | None:
    value = getattr(settings, field)
    if field == "instance_id":
        return f"demo-{name}"
    if value is None or field.startswith("webhook_") or (field == "clock_until" and settings.clock != "event"):
        return None
    if isinstance(value, dict):
        return orjson.dumps(value, default=lambda model: model.model_dump()).decode()
    if isinstance(value, datetime):
        return value.isoformat()
    return str(value.get_secret_value() if hasattr(value, "get_secret_value") else value)


def _summed(counts: dict[tuple[str, str], int]) -> Counter[str]:
    """By the first of each pair."""
    summed: Counter[str] = Counter()
    for (first, _), number in counts.items():
        summed[str(first)] += number
    return summed


def _moving(progress: Progress) -> object:
    return progress.applied, progress.event_time_ms, progress.restarts


def _ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)
