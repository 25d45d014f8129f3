"""A run: seeded rounds of faults under load, and what must be true after each and at the end."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import subprocess
from collections import Counter
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import orjson

from schemas.topics import ALERTS, COHORTS, LINKS, SOURCES
from streams import clock
from streams.engine.portfolio.judging import SOURCE as PORTFOLIO
from streams.history.files import read_events
from streams.history.simulator import Plan, simulate
from streams.kafka.reading import reading
from tests.chaos.faults import KINDS, Scene
from tests.chaos.load import Load
from tests.chaos.moving import in_sync
from tests.chaos.supervisor import Supervisor
from tests.chaos.system import EWS, PARTITIONS, System
from tests.chaos.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from streams.history.files import FileEvent

DRAIN_SECONDS_MAX = 240.0
"""From the end of a fault until all is applied that was sent by then: the watchdog's minute, and some."""
UP_SECONDS_MAX = 240.0
"""Until every worker has come back: mostly Python's imports, four times at once, on a machine that may be busy."""
DAYS = 120


@dataclass(frozen=True, slots=True)
class Plot:
    """What is to be done."""

    seed: int = 1
    rounds: int = 30
    kinds: Sequence[str] = tuple(KINDS)
    rate: int = 60
    """Events a second."""
    workers: int = 3
    clock: str = "event"
    borrowers: int = 400
    quiet_seconds: tuple[float, float] = (1.0, 4.0)
    """Before each fault."""
    minutes: float = 600.0
    """No round begins later than that after the first."""


@dataclass(slots=True)
class Report:
    """What was done and found."""

    seed: int
    clock: str
    rounds: list[dict[str, Any]] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    """What is not as it must be; empty if all is well."""


class Run:
    """One run in a folder."""

    def __init__(self, plot: Plot, folder: Path, say: Callable[[str], None]) -> None:
        self._plot = plot
        self._folder = folder
        self._say = say
        self._dice = random.Random(plot.seed)  # noqa: S311 - a test's dice
        self.report = Report(plot.seed, plot.clock)

    async def to_end(self) -> Report:
        """All rounds, and the end."""
        began = clock.monotonic()
        small = "disk-full" in self._plot.kinds
        async with System(self._folder, self._plot.clock, small_disk=small, say=self._say) as system:  # type: ignore[arg-type]
            self._say(f"three brokers are up after {clock.monotonic() - began:.0f} s")
            supervisor = Supervisor(system.environment, self._folder)
            try:
                await self._with(system, supervisor)
            finally:
                supervisor.end()
        self.report.figures["seconds"] = round(clock.monotonic() - began)
        return self.report

    async def _with(self, system: System, supervisor: Supervisor) -> None:
        for number in range(1, self._plot.workers + 1):
            supervisor.add(f"worker-{number}")
        supervisor.add("portfolio-1", "portfolio")
        load = Load(system.settings, self._events(), self._plot.rate)
        scene = Scene(system, supervisor, load, self._dice)
        async with Witness(system.settings) as witness:
            tasks = [asyncio.create_task(supervisor.watch()), asyncio.create_task(load.run())]
            try:
                await self._rounds(scene, witness)
                load.stop()
                await tasks[1]
                await self._end(scene, witness)
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    def _events(self) -> Iterator[FileEvent]:
        file = self._folder / "events.jsonl"
        plan = Plan(
            borrowers=self._plot.borrowers, days=DAYS, seed=self._plot.seed, late=0.01, duplicates=0.01, malformed=0
        )
        if self._plot.clock == "wall":  # Its events must not be older than the horizon.
            plan = replace(plan, start=(clock.now() - timedelta(days=DAYS + 1)).date())
        simulate(plan, file)
        return read_events([file])

    # -- rounds -----------------------------------------------------------------------------------------------------

    async def _rounds(self, scene: Scene, witness: Witness) -> None:
        try:
            await self._settled(scene, witness)
        except (AssertionError, TimeoutError) as failed:
            self._fault(f"the beginning: {type(failed).__name__} {failed}")
            return
        deadline = clock.monotonic() + self._plot.minutes * 60
        for number, kind in enumerate(itertools.islice(self._deck(), self._plot.rounds), 1):
            if clock.monotonic() > deadline:
                self._say(f"{self._plot.minutes} minutes are over")
                return
            await scene.hold(*self._plot.quiet_seconds)
            entry = await self._round(number, kind, scene, witness)
            self.report.rounds.append(entry)
            self._say(_line(entry, self._plot.rounds))

    def _deck(self) -> Iterator[str]:
        """Kinds in an order of the seed, each as often as any other."""
        while True:
            yield from self._dice.sample(list(self._plot.kinds), len(self._plot.kinds))

    async def _round(self, number: int, kind: str, scene: Scene, witness: Witness) -> dict[str, Any]:
        entry: dict[str, Any] = {"round": number, "kind": kind}
        exits, began = Counter(scene.supervisor.exits), clock.monotonic()
        try:
            entry["what"] = await KINDS[kind](scene)
            entry["fault_seconds"] = round(clock.monotonic() - began, 1)
            entry["drain_seconds"] = round(await self._settled(scene, witness), 1)
        except (AssertionError, TimeoutError) as failed:
            self._fault(f"round {number}, {kind}: {type(failed).__name__} {failed}")
        entry["exits"] = {str(code): count for code, count in (scene.supervisor.exits - exits).items()}
        entry["lag"] = sum(end - witness.applied.get(at, 0) for at, end in witness.source_ends(*_SOURCES).items())
        self._fault(*(f"round {number}, {kind}: {fault}" for fault in [*witness.faults, *scene.supervisor.faults()]))
        return entry

    async def _settled(self, scene: Scene, witness: Witness) -> float:
        """Until everybody is up, all copies are in sync, and what had been sent before is applied; how long it took."""
        began = clock.monotonic()
        late = await scene.supervisor.all_up(UP_SECONDS_MAX)
        assert not late, f"{late} did not come up in {UP_SECONDS_MAX:.0f} s"
        assert await in_sync(scene.system.settings.bootstrap_servers, 3, UP_SECONDS_MAX), "copies are out of sync"
        await witness.look()
        await witness.drained(witness.source_ends(*_SOURCES), DRAIN_SECONDS_MAX)
        return clock.monotonic() - began

    def _fault(self, *sentences: str) -> None:
        for sentence in sentences:
            bare = sentence.partition(": ")[2] or sentence
            if not any(bare in said for said in self.report.faults):
                self.report.faults.append(sentence)
                self._say(f"NOT AS IT MUST BE: {sentence}")

    # -- the end ----------------------------------------------------------------------------------------------------

    async def _end(self, scene: Scene, witness: Witness) -> None:
        try:
            await self._settled(scene, witness)
            await witness.drained(witness.source_ends(COHORTS, LINKS), DRAIN_SECONDS_MAX)
        except (AssertionError, TimeoutError) as failed:
            self._fault(f"the end: not everything was applied ({type(failed).__name__} {failed})")
        for worker in list(scene.supervisor.workers.values()):
            code = await scene.supervisor.remove(worker.name).stop()
            self._fault(*[f"the end: {worker.name} stopped with {code}"] * (code != 0))
        with contextlib.suppress(TimeoutError):  # It was said above.
            await witness.look()
        self._fault(*(f"the end: {fault}" for fault in [*witness.faults, *scene.supervisor.faults()]))
        self._compare_sources(scene.load, witness)
        repeated = await self._repeated(scene.system, witness)
        self._figures(scene, witness, repeated)

    def _compare_sources(self, load: Load, witness: Witness) -> None:
        """Whatever a broker acknowledged is there and applied; whatever is malformed is a letter with its bytes."""
        kept = load.acknowledged.items()
        gone = [place for place, value in kept if place[0] in _SOURCES and witness.sources.get(place) != value]
        self._fault(*[f"the end: {len(gone)} acknowledged records are not in the log, such as {gone[:1]}"] * bool(gone))
        for place, end in witness.source_ends(*_SOURCES).items():
            if (at := witness.applied.get(place, 0)) != end:
                self._fault(f"the end: {place} is applied up to {at} of {end}")
        for topic in _SOURCES:
            if (runs := witness.runs[topic]) != (there := witness.records[topic]):
                self._fault(f"the end: {runs} of the {there} records of {topic} stand in the order")
        lost = load.bad - witness.letters.keys()
        self._fault(
            *[f"the end: {len(lost)} malformed records are no dead letters, such as {sorted(lost)[:1]}"] * bool(lost)
        )
        changed = [
            at for at, (_, value) in witness.letters.items() if at[0] in _SOURCES and witness.sources[at] != value
        ]
        self._fault(*[f"the end: {len(changed)} dead letters hold other bytes"] * bool(changed))

    async def _repeated(self, system: System, witness: Witness) -> dict[str, Any]:
        """What `ews replay --order --states` and `ews state export --digest` say, held against the log."""
        out = self._folder / "alerts.jsonl"
        repeated = await _ews(system, "replay", "--order", "--states", "--json", "--alerts", str(out))
        if repeated is None:
            self._fault("the end: ews replay --order failed")
            return {}
        self._fault(*(f"the end: {difference}" for difference in repeated["differences"]))
        digest = await _ews(system, "state", "export", "--digest", "--json")
        if digest is None or digest["sha256"] != repeated["states"]:
            self._fault(f"the end: the digests of the states differ: {digest}, {repeated['states']}")
        async with reading(system.settings, ALERTS) as reader:
            there = [r.value for n in range(PARTITIONS) async for r in (await reader.open(n)).records()]
        ours = [value for value in there if orjson.loads(value)["source"] != PORTFOLIO]
        if ours != out.read_bytes().splitlines():
            self._fault("the end: the alerts in the log are not the bytes of the repeat")
        if not ours or len(there) != len(witness.alerts) or len(there) - len(ours) != repeated["portfolio_alerts"]:
            self._fault(
                f"the end: {len(there)} alerts in the log, {len(witness.alerts)} of them distinct, "
                f"{repeated['alerts']} repeated"
            )
        return repeated | {"borrowers": digest["borrowers"] if digest else None}

    def _figures(self, scene: Scene, witness: Witness, repeated: dict[str, Any]) -> None:
        supervisor, load = scene.supervisor, scene.load
        drains = sorted(entry["drain_seconds"] for entry in self.report.rounds if "drain_seconds" in entry)
        self.report.figures |= {
            "rounds": len(self.report.rounds),
            "kinds": dict(Counter(entry["kind"] for entry in self.report.rounds)),
            "left_out": [e["kind"] for e in self.report.rounds if "LEFT OUT" in e.get("what", "")],
            "events_in_the_log": sum(witness.records[topic] for topic in _SOURCES),
            "events_acknowledged": sum(count for topic, count in load.by_topic.items() if topic in _SOURCES),
            "heartbeats": load.by_topic["feeds"],
            "sent_again": load.again,
            "load_ran_dry": load.dry,
            "malformed": len(load.bad),
            "dead_letters": dict(Counter(reason for reason, _ in witness.letters.values())),
            "alerts": repeated.get("alerts"),
            "portfolio_alerts": repeated.get("portfolio_alerts"),
            "borrowers": repeated.get("borrowers"),
            "order_records": repeated.get("order_records"),
            "ticks": repeated.get("ticks"),
            "exits": {str(code): count for code, count in sorted(supervisor.exits.items())},
            "drain_seconds": {"median": drains[len(drains) // 2], "max": drains[-1]} if drains else {},
            "equal": bool(repeated.get("equal")) and not self.report.faults,
        }  # fmt: skip


_SOURCES = tuple(map(str, SOURCES))


def _line(entry: dict[str, Any], rounds: int) -> str:
    ended = ", ".join(f"{count} x exit {code}" for code, count in entry["exits"].items())
    took = f"{entry.get('fault_seconds', '?')} s, drained after {entry.get('drain_seconds', '?')} s"
    return (
        f"{entry['round']:>3}/{rounds} {entry['kind']}: {entry.get('what', 'failed')}; {took}; {ended or 'none ended'}"
    )


async def _ews(system: System, *arguments: str) -> dict[str, Any] | None:
    """What a command of the product prints as JSON; None if it printed none."""
    done = await asyncio.to_thread(
        subprocess.run, [*EWS, *arguments], env=system.environment, capture_output=True, check=False
    )
    with contextlib.suppress(orjson.JSONDecodeError):
        answer: dict[str, Any] = orjson.loads(done.stdout)
        return answer
    (system.folder / f"{arguments[0]}.failed").write_bytes(done.stdout + done.stderr)
    return None
