"""What a demo ends with: figures for machines (`as_dict`), and the same for a person (`told`)."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from schemas.alerts import AlertStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from streams.local.demo.outcome import Outcome
    from streams.local.loader import Loaded

OPEN_SHOWN = 3
"""Open episodes of cohorts and shared contacts that a person is shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seconds:
    """How long each part took. Simulating and starting the broker go on side by side."""

    simulate: float
    broker: float
    load: float
    process: float
    """From the start of the worker's process until everything was applied, Python's start and recovery included."""
    settle: float
    """From then until cases and messages were all written."""
    total: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """All of it."""

    directory: Path
    bootstrap_servers: str
    topic_prefix: str
    partitions: int
    events_file: Path
    loaded: Loaded
    until_ms: int
    outcome: Outcome
    cases: Mapping[str, int]
    """By state."""
    messages: Mapping[str, int]
    """By what became of them."""
    restarts: Mapping[str, int]
    resumed: Sequence[float]
    """Seconds from each restart of the worker to its first commit."""
    seconds: Seconds
    example_borrower: str | None
    """One with a case."""

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        loaded, outcome, seconds = self.loaded, self.outcome, self.seconds
        return {
            "events": {
                "total": loaded.total,
                "by_topic": dict(loaded.topics),
                "after_until": loaded.left_out,
                "first": _stamp(loaded.first_ms),
                "last": _stamp(loaded.last_ms),
                "until": _stamp(self.until_ms),
            },
            "alerts": {
                "total": outcome.detectors.total(),
                "by_detector": _falling(outcome.detectors),
                "by_severity": _falling(outcome.severities),
                "by_status": _falling(outcome.statuses),
                "by_mode": _falling(outcome.modes),
            },
            "portfolio": {
                "total": outcome.cohorts.total(),
                "by_detector": _falling(outcome.cohorts),
                "open": [
                    {name: data[name] for name in ("detector", "borrower", "severity", "reason")}
                    for data in outcome.cohorts_open
                ],
            },
            "withdrawals": outcome.statuses[AlertStatus.WITHDRAWN],
            "episodes": {
                "total": len(outcome.episodes),
                "by_detector": _falling(Counter(e["detector"] for e in outcome.episodes.values())),
                "by_status": _falling(Counter(e["status"] for e in outcome.episodes.values())),
            },
            "dead_letters": {"total": outcome.reasons.total(), "by_reason": _falling(outcome.reasons)},
            "cases": {"total": sum(self.cases.values()), "by_state": dict(self.cases)},
            "messages": dict(self.messages),
            "restarts": dict(self.restarts),
            "resumed_seconds": [round(value, 2) for value in self.resumed],
            "seconds": {name: round(value, 2) for name, value in asdict(seconds).items()},
            "events_per_second": {
                "load": round(loaded.total / seconds.load) if seconds.load else 0,
                "process": round(loaded.total / seconds.process) if seconds.process else 0,
            },
            "partitions": self.partitions,
            "bootstrap_servers": self.bootstrap_servers,
            "topic_prefix": self.topic_prefix,
            "directory": str(self.directory),
            "events_file": str(self.events_file),
        }


def told(summary: Summary) -> Iterator[str]:
    """For a person, line by line."""
    said = summary.as_dict()
    events, alerts, seconds, rates = said["events"], said["alerts"], said["seconds"], said["events_per_second"]
    yield f"{events['total']:,} events until {events['until']}: {_list(events['by_topic'])}"
    if events["after_until"]:
        yield f"  {events['after_until']:,} events after that were left out"
    yield f"{alerts['total']:,} alerts in {said['episodes']['total']:,} episodes, {said['withdrawals']} withdrawn"
    yield f"  by detector: {_list(alerts['by_detector'])}"
    yield f"  by severity: {_list(alerts['by_severity'])}"
    yield f"  by status:   {_list(alerts['by_status'])}"
    second = said["portfolio"]
    yield f"{second['total']:,} alerts of cohorts and shared contacts: {_list(second['by_detector'])}"
    for one in second["open"][:OPEN_SHOWN]:
        yield f"  {one['severity']} {one['detector']} of {one['borrower']}: {one['reason']}"
    yield f"{said['dead_letters']['total']:,} dead letters: {_list(said['dead_letters']['by_reason'])}"
    yield f"{said['cases']['total']:,} cases: {_list(said['cases']['by_state'])}"
    yield f"{sum(said['messages'].values()):,} messages to staff: {_list(said['messages'])}"
    if any(said["restarts"].values()):
        resumed = ", ".join(f"{value:.1f}" for value in said["resumed_seconds"]) or "no"
        yield f"started again: {_list({name: number for name, number in said['restarts'].items() if number})}"
        yield f"  the worker committed again after {resumed} s"
    yield f"{seconds['total']:.1f} s in all:"
    yield f"  simulation {seconds['simulate']:.1f} s, beside it the broker's start {seconds['broker']:.1f} s"
    yield f"  loading {seconds['load']:.1f} s ({rates['load']:,} events/s)"
    yield f"  processing {seconds['process']:.1f} s ({rates['process']:,} events/s, the worker's start included)"
    yield f"  the last cases and messages {seconds['settle']:.1f} s"


def _list(numbers: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number:,}" for name, number in numbers.items()) or "none"


def _falling(counts: Counter[str]) -> dict[str, int]:
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _stamp(moment_ms: int) -> str:
    return datetime.fromtimestamp(moment_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
