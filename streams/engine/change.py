"""What a change of the policy asks of a lane: whom to judge anew, and which measures are not full yet. Pure.

What both policies keep goes on. A measure that the old one did not keep, or for a shorter time, is warming: what is
read from it is too little until its window is full. That is told once for all lanes, by lane 0.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from schemas.alerts import Alert, AlertData, AlertStatus, Measure, Mode, Severity, alert_id, episode_id
from streams.engine.calendar import DAY_MS, moment_of
from streams.engine.drain import LANE_KEY
from streams.engine.portfolio.detector import PortfolioDetector

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from streams.engine.detector import Detector
    from streams.engine.engine import Engine

DETECTOR = "measure_warming"
SWEEP_MAX = 500
"""Borrowers that a change judges anew in one tick. The rest follows, a tick of its own in each drain."""
FIRST_STEP = "Read what depends on this measure with care until its window is full; nothing else is to be done."
WARMING = "A policy asks for more of this measure than is kept yet: what depends on it may say too little."
FULL = "The window of this measure is full."
DROPPED = "The policy no longer asks for this measure."


class Sweep(msgspec.Struct, array_like=True, gc=False):
    """A change on its way through the borrowers of a lane, in the order of their tokens."""

    keys: list[str]
    """The detectors whose judgement may be another one."""
    after: bytes = b""
    """The last borrower that was judged anew."""


class WarmUp(msgspec.Struct, array_like=True, gc=False):
    """A measure that is kept for too short a time yet: for how long it is asked for, and since when it is kept."""

    name: str
    days: int
    since_ms: int

    @property
    def full_ms(self) -> int:
        """When its window is full."""
        return self.since_ms + self.days * DAY_MS


class Told(msgspec.Struct, array_like=True, gc=False):
    """What was told of measures of one name: other filters make another measure, and people know it by its name."""

    day: int = 0
    revision: int = 0
    is_open: bool = False


class WarmUps(msgspec.Struct, array_like=True, gc=False):
    """The measures that are not full, by `Measure.key`, and what was told of them, by name."""

    kept: dict[int, WarmUp] = {}
    told: dict[str, Told] = {}


class Roll:
    """The borrowers of a lane in the order of their tokens: the same one whenever it is made from the same states."""

    def __init__(self, states: Iterable[bytes]) -> None:
        self._tokens = sorted(token for token in states if token != LANE_KEY)

    def after(self, token: bytes, count: int) -> list[bytes]:
        """The next so many after a token; fewer at the end."""
        first = bisect_right(self._tokens, token)
        return self._tokens[first : first + count]

    def took(self, states: Mapping[bytes, bytes | None]) -> None:
        """Enter those who came with committed states, and strike out those who went."""
        for token in states.keys() - {LANE_KEY}:
            at = bisect_left(self._tokens, token)
            is_there = at < len(self._tokens) and self._tokens[at] == token
            if states[token] is None and is_there:
                del self._tokens[at]
            elif states[token] is not None and not is_there:
                self._tokens.insert(at, token)


def changed(old: Engine | None, new: Engine) -> set[str]:
    """The detectors that may judge otherwise than before: other settings, on, off. All if the old one is unknown."""
    before = {} if old is None else _of_one_borrower(old)
    after = _of_one_borrower(new)
    if old is None:
        return {*after, *new.idle}
    keys = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    if any(getattr(old.policy, name) != getattr(new.policy, name) for name in _read_by_composites(new)):
        keys |= {detector.key for detector in new.detectors if detector.composite}
    return keys


def _of_one_borrower(engine: Engine) -> dict[str, Detector]:
    """Its detectors but those that look across borrowers, which are judged elsewhere."""
    return {one.key: one for one in engine.detectors if not isinstance(one, PortfolioDetector)}


def _read_by_composites(engine: Engine) -> set[str]:
    return set(type(engine.policy).model_fields) - {"version", "detectors", "servicing", "feeds", "limits"}


def warm_up(known: WarmUps, old: Engine, new: Engine, now_ms: int) -> None:
    """Bring what is known of measures that are not full in line with what a new policy asks for."""
    windows = {measure.key: measure.window_days for measure in old.measures}
    before, known.kept = known.kept, {}
    for measure in new.measures:
        since = now_ms
        if measure.key in windows:
            warming = before.get(measure.key)
            since = max(0 if warming is None else warming.since_ms, now_ms - windows[measure.key] * DAY_MS)
        now = WarmUp(measure.name, measure.window_days, since)
        if measure.key in before or now.full_ms > now_ms:
            known.kept[measure.key] = now


def next_full_ms(known: WarmUps) -> int | None:
    """When the next window is full."""
    return min((warming.full_ms for warming in known.kept.values()), default=None)


def tell(known: WarmUps, now_ms: int, policy_version: str, mode: Mode) -> Iterator[Alert]:
    """An operator alert for each name of which a measure has begun to warm up, or none does any more."""
    if not known.kept and not known.told:
        return
    today = now_ms // DAY_MS
    last = {warming.name: warming for warming in sorted(known.kept.values(), key=_by_end)}
    for name in sorted(last.keys() | known.told.keys()):
        warming, told = last.get(name), known.told.setdefault(name, Told())
        is_warming = warming is not None and warming.full_ms > now_ms
        if is_warming and not told.is_open and told.day != today:
            told.day, told.revision = today, 0
        if is_warming != told.is_open:
            told.revision, told.is_open = told.revision + 1, is_warming
            yield _alert(name, told, warming, now_ms, policy_version=policy_version, mode=mode)
        if not is_warming and told.day < today:
            del known.told[name]
    known.kept = {key: warming for key, warming in known.kept.items() if warming.full_ms > now_ms}


def _by_end(warming: WarmUp) -> int:
    return warming.full_ms


def _alert(name: str, told: Told, warming: WarmUp | None, now_ms: int, *, policy_version: str, mode: Mode) -> Alert:
    onset = date(1970, 1, 1) + timedelta(days=told.day)
    status = AlertStatus.OPENED if told.is_open else AlertStatus.RESOLVED
    episode = episode_id(DETECTOR, name, None, onset)
    identity = alert_id(episode, told.revision, status, 1)
    data = AlertData(
        alert_id=identity, episode_id=episode, revision=told.revision, status=status, step=1,
        severity=Severity.INFO, mode=mode, detector=DETECTOR, detector_version=1, policy_version=policy_version,
        scope="measure", borrower=name, onset=onset, first_step=FIRST_STEP,
        resolution=None if told.is_open else "expired" if warming is None else "recovered",
        reason=WARMING if told.is_open else DROPPED if warming is None else FULL,
        measures=() if warming is None else (_days(warming, now_ms),),
    )  # fmt: skip
    return Alert(id=identity, type=f"ews.alert.{status.value}.v1", subject=name, time=moment_of(now_ms), data=data)


def _days(warming: WarmUp, now_ms: int) -> Measure:
    kept = (now_ms - warming.since_ms) // DAY_MS
    return Measure(name="days_kept", value=kept, threshold=warming.days, window=f"P{warming.days}D")
