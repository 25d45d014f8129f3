"""What came of a demo, read back from the topics and written into its directory."""

from __future__ import annotations

import base64
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import orjson

from schemas.alerts import AlertStatus, Severity
from schemas.topics import ALERTS, DEAD_LETTERS, PORTFOLIO_ORDER
from streams.engine.portfolio.judging import SOURCE as PORTFOLIO
from streams.engine.position import TICK
from streams.kafka.reading import reading

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from aiokafka import ConsumerRecord

    from streams.local.demo.place import Place
    from streams.settings import Settings

EPISODE_FIELDS = ("episode_id", "detector", "borrower", "loan", "onset", "status", "step", "severity", "revision")


@dataclass(slots=True)
class Outcome:
    """Alerts, episodes and dead letters, counted."""

    detectors: Counter[str] = field(default_factory=Counter)
    severities: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    modes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    episodes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The last revision of each, by its id."""
    positions: dict[int, int] = field(default_factory=dict)
    """By partition of the alerts: the offset behind the last one."""
    cohorts: Counter[str] = field(default_factory=Counter)
    """Alerts of the second stage by detector: cohorts and shared contacts."""
    cohorts_open: list[dict[str, Any]] = field(default_factory=list)
    """The last revision of each of its episodes that is still open, the most severe first."""

    def take(self, alert: dict[str, Any]) -> None:
        """Count one alert."""
        data = alert["data"]
        self.detectors[data["detector"]] += 1
        self.severities[data["severity"]] += 1
        self.statuses[data["status"]] += 1
        self.modes[data["mode"]] += 1
        known = self.episodes.get(data["episode_id"])
        if known is None or known["revision"] < data["revision"]:
            self.episodes[data["episode_id"]] = {name: data.get(name) for name in EPISODE_FIELDS}

    def take_second(self, alerts: Iterable[dict[str, Any]]) -> None:
        """Count the alerts of the second stage."""
        last: dict[str, dict[str, Any]] = {}
        for alert in alerts:
            data = alert["data"]
            self.cohorts[data["detector"]] += 1
            known = last.get(data["episode_id"])
            if known is None or known["revision"] < data["revision"]:
                last[data["episode_id"]] = data
        still = [data for data in last.values() if data["status"] in {AlertStatus.OPENED, AlertStatus.ESCALATED}]
        self.cohorts_open = sorted(still, key=lambda d: (-Severity(d["severity"]).rank, d["detector"], d["borrower"]))


async def judged_through(settings: Settings) -> int:
    """How far the second stage has judged: the end (milliseconds) of the last day of all its lanes, 0 before."""
    ends = dict.fromkeys(range(settings.partitions), 0)
    async for record in _all(settings, PORTFOLIO_ORDER):
        for step in orjson.loads(record.value)["steps"]:
            if step[0] == TICK:
                ends[record.partition] = step[1]
    return min(ends.values())


async def collect(settings: Settings, place: Place) -> Outcome:
    """Read all alerts and dead letters, as a subscriber sees them, into files. Raises Unavailable."""
    outcome, second = Outcome(), []
    with (place / "alerts.jsonl").open("wb") as alerts:
        async for record in _all(settings, ALERTS):
            outcome.positions[record.partition] = record.offset + 1
            alert = orjson.loads(record.value)
            if alert["source"] == PORTFOLIO:
                second.append(alert)
                continue
            alerts.write(record.value + b"\n")
            outcome.take(alert)
    outcome.take_second(second)
    _write(place / "portfolio.jsonl", sorted(second, key=_told))
    letters = []
    async for record in _all(settings, DEAD_LETTERS):
        letters.append(_letter(record))
        outcome.reasons[letters[-1]["reason"]] += 1
    _write(place / "dead-letters.jsonl", sorted(letters, key=_origin))
    _write(place / "episodes.jsonl", sorted(outcome.episodes.values(), key=lambda e: str(e["episode_id"])))
    return outcome


async def _all(settings: Settings, bare: str) -> AsyncIterator[ConsumerRecord]:
    """All committed records of a topic that is keyed, partition after partition, each in order."""
    async with reading(settings, bare) as reader:
        for number in range(settings.partitions):
            partition = await reader.open(number)
            async for record in partition.records():
                yield record


def _letter(record: ConsumerRecord) -> dict[str, Any]:
    said = {name: value.decode(errors="replace") for name, value in record.headers}
    letter: dict[str, Any] = {
        "reason": said.get("reason", ""),
        "detail": said.get("detail", ""),
        "topic": said.get("topic", ""),
        "partition": int(said.get("partition", -1)),
        "offset": int(said.get("offset", -1)),
        "timestamp": int(said.get("timestamp", -1)),
    }
    return letter | _readable("key", record.key) | _readable("value", record.value)


def _readable(name: str, content: bytes | None) -> dict[str, str | None]:
    """Text where it is text: a dead letter may be anything."""
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        assert content is not None
        return {f"{name}_base64": base64.b64encode(content).decode()}


def _told(alert: dict[str, Any]) -> tuple[str, str, str, str, int]:
    data = alert["data"]
    return alert["time"], data["detector"], alert["subject"], data["episode_id"], data["revision"]


def _origin(letter: dict[str, Any]) -> tuple[str, int, int]:
    return letter["topic"], letter["partition"], letter["offset"]


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
