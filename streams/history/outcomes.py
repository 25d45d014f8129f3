"""What became of a detector's alerts: how many were judged, how many of those were true, and how early they were.

An outcome speaks of an episode, and of an episode the latest one counts. Precision is the share of true ones among
those that were judged, with Wilson's interval: nothing is said of the rest. Lead is counted from the opening of a true
episode to the due day of the first installment that its borrower missed afterwards.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from math import sqrt
from statistics import NormalDist, median
from typing import TYPE_CHECKING, Any

import orjson

from schemas.codec import InvalidEvent, decode_outcome
from schemas.topics import ALERT_OUTCOMES, ALERTS
from streams.errors import Misconfigured
from streams.history.files import read_lines
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from pathlib import Path

    from schemas.outcomes import AlertOutcome
    from streams.settings import Settings

MISSES = frozenset({"missed_installment", "first_payment_default"})
"""The detectors whose onset is the due day of an installment that was missed."""
CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Precision:
    """What is known of a detector's alerts. Shares and days are None where there is nothing to count them from."""

    detector: str
    episodes: int
    """Live ones that were opened."""
    judged: int
    true: int
    by_verdict: dict[str, int]
    share: float | None
    interval: tuple[float, float] | None
    elsewhere: int
    """Judged episodes that are not counted: of another mode, or of which there is no alert here."""
    led: int
    """True episodes that an installment was missed after."""
    lead_days: float | None
    """The median over those. None for a detector that itself waits for a missed installment."""


@dataclass(slots=True)
class Record:
    """The alerts and outcomes of one detector, taken up one by one in any order."""

    detector: str
    _opened: dict[str, tuple[datetime, str]] = field(default_factory=dict)
    """Live episodes: when they were first told, and the borrower."""
    _missed: dict[str, set[date]] = field(default_factory=dict)
    _outcomes: dict[str, AlertOutcome] = field(default_factory=dict)

    def alert(self, raw: dict[str, Any]) -> None:
        """Take up an alert, as parsed JSON."""
        data = raw["data"]
        if data["detector"] in MISSES and data["status"] != "withdrawn":
            self._missed.setdefault(data["borrower"], set()).add(date.fromisoformat(data["onset"]))
        if data["detector"] == self.detector and data["mode"] == "live":
            at = datetime.fromisoformat(raw["time"])
            known = self._opened.get(data["episode_id"])
            if known is None or at < known[0]:
                self._opened[data["episode_id"]] = (at, data["borrower"])

    def outcome(self, outcome: AlertOutcome) -> None:
        """Take up an outcome. Of those of one episode that were decided at the same time the last one counts."""
        data = outcome.data
        if data.detector == self.detector:
            known = self._outcomes.get(str(data.episode_id))
            if known is None or data.decided_at >= known.data.decided_at:
                self._outcomes[str(data.episode_id)] = outcome

    def precision(self) -> Precision:
        """What all of it says."""
        judged = {episode: x.data.outcome for episode, x in self._outcomes.items() if episode in self._opened}
        verdicts = sorted(judged.values())
        true = [episode for episode, verdict in judged.items() if verdict.true]
        leads = [] if self.detector in MISSES else [x for x in map(self._lead, true) if x is not None]
        return Precision(
            detector=self.detector,
            episodes=len(self._opened),
            judged=len(judged),
            true=len(true),
            by_verdict={verdict.value: verdicts.count(verdict) for verdict in dict.fromkeys(verdicts)},
            share=len(true) / len(judged) if judged else None,
            interval=wilson(len(true), len(judged)) if judged else None,
            elsewhere=len(self._outcomes) - len(judged),
            led=len(leads),
            lead_days=median(leads) if leads else None,
        )

    def _lead(self, episode: str) -> int | None:
        opened, borrower = self._opened[episode]
        dues = sorted(self._missed.get(borrower, ()))
        next_ = bisect_left(dues, opened.date())
        return (dues[next_] - opened.date()).days if next_ < len(dues) else None


def wilson(true: int, of: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share: its lower and upper bound."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = true / of
    middle = share + z * z / (2 * of)
    reach = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    whole = 1 + z * z / of
    return max(0.0, (middle - reach) / whole), min(1.0, (middle + reach) / whole)


def from_files(detector: str, alerts: Path, outcomes: Path) -> Precision:
    """A detector's precision by files of JSON lines. Raises Misconfigured, naming the line that is none."""
    record = Record(detector)
    for number, value in read_lines(alerts):
        if value:
            _take(record, value, f"{alerts} line {number}")
    for outcome in _outcomes_in(outcomes):
        record.outcome(outcome)
    return record.precision()


def _take(record: Record, value: bytes, place: str) -> None:
    try:
        record.alert(orjson.loads(value))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise Misconfigured(f"{place} is no alert") from None


def _outcomes_in(file: Path) -> Iterable[AlertOutcome]:
    for number, value in read_lines(file):
        if value:
            try:
                yield decode_outcome(value)
            except InvalidEvent as fault:
                raise Misconfigured(f"{file} line {number} is no outcome: {fault.detail or fault.reason}") from None


async def from_topics(detector: str, settings: Settings) -> Precision:
    """A detector's precision by the topics of a cluster. What nobody can read there is passed over.

    Raises Unavailable, Misconfigured.
    """
    record = Record(detector)
    async for outcome in read_outcomes(settings):
        record.outcome(outcome)
    name = detector.encode()
    async for value in _values(settings, ALERTS):
        if name in value or any(miss.encode() in value for miss in MISSES):
            with suppress(Misconfigured):
                _take(record, value, ALERTS)
    return record.precision()


async def read_outcomes(settings: Settings) -> AsyncIterator[AlertOutcome]:
    """Every outcome of the topic that can be read, in its order. Raises Unavailable, Misconfigured."""
    async for value in _values(settings, ALERT_OUTCOMES):
        try:
            yield decode_outcome(value)
        except InvalidEvent:
            continue  # Written by somebody else; who reads outcomes to act on them makes dead letters of such.


async def _values(settings: Settings, bare: str) -> AsyncIterator[bytes]:
    count = (await partition_counts(settings, [bare]))[bare]
    async with reading(settings, bare) as reader:
        for number in range(count):
            async for record in (await reader.open(number)).records():
                if record.value is not None:
                    yield record.value
