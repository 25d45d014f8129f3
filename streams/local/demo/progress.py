"""How far a running demo is, taken from its processes' metrics as any Prometheus would take them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from streams import clock
from streams.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from streams.local.demo.processes import Child

Samples = list[tuple[str, dict[str, str], float]]

SCRAPE_SECONDS_MAX = 2.0


@dataclass(slots=True)
class Progress:
    """What is known at one moment."""

    total: int
    """Heartbeats are no events here: they are taken up with the ticks."""
    seconds: float = 0.0
    applied: int = 0
    per_second: float = 0.0
    event_time_ms: int | None = None
    """The time that all lanes have reached."""
    alerts: Counter[str] = field(default_factory=Counter)
    """By detector."""
    dead_letters: int = 0
    cases: int = 0
    """Opened so far."""
    restarts: int = 0
    done: bool = False
    """Everything is applied, and time has come to its end."""

    @property
    def lag(self) -> int:
        """Events that wait."""
        return self.total - self.applied


class Watch:
    """Asks the processes, and keeps what one that was killed had counted."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._began = clock.monotonic()
        self._applied = 0
        self._event_time: int | None = None
        self._samples: dict[str, dict[float, Samples]] = {}
        self._committed: dict[float, float] = {}

    async def ask(self, http: aiohttp.ClientSession, worker: Child, case_creator: Child) -> Progress:
        """The progress now."""
        for child in (worker, case_creator):
            samples = await _scraped(http, child)
            if samples is not None:
                self._samples.setdefault(child.name, {})[child.started] = samples
        now = self._samples.get(worker.name, {}).get(worker.started, [])
        self._follow(now)
        if worker.started not in self._committed and _by(now, Metrics.transactions.name, "outcome")["committed"]:
            self._committed[worker.started] = clock.monotonic() - worker.started
        everything = list(self._of(worker.name))
        seconds = clock.monotonic() - self._began
        return Progress(
            total=self._total,
            seconds=seconds,
            applied=self._applied,
            per_second=self._applied / seconds if seconds else 0.0,
            event_time_ms=self._event_time,
            alerts=_by(everything, Metrics.alerts.name, "detector"),
            dead_letters=_by(everything, Metrics.dead_letters.name, "reason").total(),
            cases=_by(self._of(case_creator.name), Metrics.case_changes.name, "change")["opened"],
            restarts=worker.restarts + case_creator.restarts,
            done=any(name == Metrics.progress_ratio.name and value == 1.0 for name, _, value in now),
        )

    @property
    def resumed(self) -> list[float]:
        """For each start of the worker but the first: seconds until it was seen to have committed a drain."""
        return list(self._committed.values())[1:]

    def _follow(self, now: Samples) -> None:
        lags = [value for name, _, value in now if name == Metrics.lag_records.name]
        times = [value for name, _, value in now if name == Metrics.lane_timestamp_seconds.name and value]
        if lags:
            self._applied = max(self._applied, self._total - int(sum(lags)))
        if times:
            self._event_time = int(min(times) * 1000)

    def _of(self, name: str) -> Iterator[tuple[str, dict[str, str], float]]:
        for samples in self._samples.get(name, {}).values():
            yield from samples


def _by(samples: Iterable[tuple[str, Mapping[str, str], float]], name: str, label: str) -> Counter[str]:
    counts: Counter[str] = Counter()
    for found, labels, value in samples:
        if found == name:
            counts[labels[label]] += int(value)
    return counts


async def _scraped(http: aiohttp.ClientSession, child: Child) -> Samples | None:
    """What a process says; None while it does not."""
    port = child.port()
    if port is None:
        return None
    try:
        async with http.get(f"http://127.0.0.1:{port}/metrics") as answer:
            text = await answer.text()
    except (aiohttp.ClientError, TimeoutError):
        return None
    return [
        (sample.name, sample.labels, sample.value)
        for family in text_string_to_metric_families(text)
        if family.name.startswith("ews_")
        for sample in family.samples
        if not sample.name.endswith("_bucket")
    ]


def session() -> aiohttp.ClientSession:
    """What to ask with."""
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SCRAPE_SECONDS_MAX), trust_env=False)
