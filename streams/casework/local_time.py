"""The debtor's wall clock: when it next shows something, across the hours it skips and those it repeats.

A wall clock runs evenly between two changes of its offset. So a rule about local time is a function from what the
clock shows to what it must show next, and the first moment at which it holds is found piece by piece: exact in gaps,
folds, zones of half hours, and where a whole day is left out.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_STEP = timedelta(hours=6)
"""No zone has changed its offset twice, and back, in less."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NO_PLACE = frozenset({"Factory", "localtime", "posixrules"})


@lru_cache(maxsize=1_024)
def zone_named(name: str) -> ZoneInfo | None:
    """The time zone of a name, or None if there is none such."""
    if name in _NO_PLACE:
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None


def wall(moment: datetime, zone: ZoneInfo) -> datetime:
    """What the clock shows, without a zone."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def first_when(moment: datetime, zone: ZoneInfo, ahead: Callable[[datetime], datetime | None]) -> datetime | None:
    """The first moment, not before this one, whose local time is as it must be.

    `ahead` gives for a local time the first one from it on that will do: itself, a later one, or None for none.
    """
    while True:
        shown = wall(moment, zone)
        wanted = ahead(shown)
        if wanted is None or wanted == shown:
            return None if wanted is None else moment
        reached = moment + (wanted - shown)
        changed = _next_change(zone.key, moment, reached)
        if changed is None:
            return reached
        moment = changed


def within(start: time, until: time) -> Callable[[datetime], datetime]:
    """Local hours from `start` until just before `until`, over midnight where that lies before."""
    over_midnight = until <= start

    def ahead(shown: datetime) -> datetime:
        now = shown.time()
        if (start <= now or now < until) if over_midnight else start <= now < until:
            return shown
        day = shown if now < start else shown + _DAY
        return datetime.combine(day.date(), start)

    return ahead


def midnight(shown: datetime, days: int = 0) -> datetime:
    """The beginning of the local day, or of one so many days later."""
    return datetime.combine(shown.date() + timedelta(days=days), time())


def _next_change(name: str, after: datetime, until: datetime) -> datetime | None:
    """The first moment after one, and not after the other, at which the zone's offset changes."""
    last = (until - _EPOCH) // _DAY
    for day in range((after - _EPOCH) // _DAY, last + 1):
        for change in _changes(name, day):
            if after < change <= until:
                return change
    return None


@lru_cache(maxsize=65_536)
def _changes(name: str, day: int) -> tuple[datetime, ...]:
    """The moments of a UTC day from which the zone's offset is another one. The day's first moment is the day's own."""
    zone = ZoneInfo(name)
    start = _EPOCH + day * _DAY - _SECOND
    end = _EPOCH + (day + 1) * _DAY - _SECOND
    found = []
    while start < end:
        step = min(start + _STEP, end)
        if start.astimezone(zone).utcoffset() != step.astimezone(zone).utcoffset():
            found.append(_change_between(zone, start, step))
        start = step
    return tuple(found)


def _change_between(zone: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """The second from which the offset of `after` holds."""
    old = before.astimezone(zone).utcoffset()
    while after - before > _SECOND:
        middle = before + ((after - before) // _SECOND // 2) * _SECOND
        if middle.astimezone(zone).utcoffset() == old:
            before = middle
        else:
            after = middle
    return after
