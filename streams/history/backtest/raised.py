"""The alerts of a run as episodes: what was raised, of whom, and when it reached each severity."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from schemas.alerts import Mode, Severity
from streams.history.files import available_ms

if TYPE_CHECKING:
    from collections.abc import Iterable

RAISING = {"opened", "escalated"}
SCOPE = "borrower"
"""Alerts about a source, a cohort or a measure are about no one borrower."""


class Raised(NamedTuple):
    """An episode. `reached_ms` says when it first had at least each severity, None where it never had."""

    detector: str
    borrower: str
    loan: str | None
    reached_ms: tuple[int | None, ...]
    withdrawn: bool = False

    def at_ms(self, severity: Severity) -> int | None:
        """When it first had at least a severity; None if it never had."""
        return self.reached_ms[severity.rank]


class Gathered:
    """Takes alerts as they are made, and keeps of each episode what is measured."""

    def __init__(self, mode: Mode = Mode.LIVE) -> None:
        self._mode = mode
        self._episodes: dict[str, Raised] = {}

    def alert(self, value: bytes) -> None:
        """Take up one revision of an episode."""
        raw = orjson.loads(value)
        data: dict[str, Any] = raw["data"]
        if data["mode"] != self._mode or (data.get("scope") or SCOPE) != SCOPE:
            return
        known = self._episodes.get(data["episode_id"])
        if data["status"] in RAISING:
            at_ms = available_ms(raw)
            assert at_ms is not None, "an alert has a time"
            self._episodes[data["episode_id"]] = _raised(known, data, at_ms)
        elif known is not None and data["status"] == "withdrawn":
            self._episodes[data["episode_id"]] = known._replace(withdrawn=True)

    def episodes(self) -> list[Raised]:
        """All episodes, in the order in which they opened."""
        return list(self._episodes.values())


def _raised(known: Raised | None, data: dict[str, Any], at_ms: int) -> Raised:
    rank = Severity(data["severity"]).rank
    before = known.reached_ms if known else (None,) * len(Severity)
    reached = tuple(at_ms if was is None and level <= rank else was for level, was in enumerate(before))
    return Raised(data["detector"], data["borrower"], data.get("loan"), reached)


def of_severity(episodes: Iterable[Raised], severity: Severity) -> list[tuple[int, Raised]]:
    """The episodes that reached a severity, with when they did."""
    return [(at, episode) for episode in episodes if (at := episode.at_ms(severity)) is not None]
