"""Days and zones. Inside the engine a day is an integer and an instant is milliseconds, both since 1970-01-01.

Integers keep states small and comparisons cheap; `date` and `datetime` appear only where an event comes in or an alert
goes out.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

HOUR_MS = 3_600_000
DAY_MS = 86_400_000
_EPOCH = date(1970, 1, 1).toordinal()
_START = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_SATURDAY = 5


def day_of(day: date) -> int:
    """The integer of a calendar date."""
    return day.toordinal() - _EPOCH


def date_of(day: int) -> date:
    """The calendar date of an integer day."""
    return date.fromordinal(day + _EPOCH)


def ms_of(moment: datetime) -> int:
    """Milliseconds since the epoch of an aware datetime, rounded down."""
    return (moment - _START) // _MILLISECOND


def moment_of(ms: int) -> datetime:
    """The UTC datetime of milliseconds since the epoch."""
    return datetime.fromtimestamp(ms / 1000, UTC)


@lru_cache(maxsize=700)
def zone_of(name: str) -> ZoneInfo:
    """The time zone of a name."""
    return ZoneInfo(name)


@lru_cache(maxsize=65_536)
def midnight_ms(day: int, zone: str) -> int:
    """When a local day begins. Where a clock change skips midnight it is the first instant of that day."""
    start = date_of(day)
    return ms_of(datetime(start.year, start.month, start.day, tzinfo=zone_of(zone)))


@lru_cache(maxsize=65_536)
def _day_of_hour(quarter: int, zone: str) -> int:
    local = datetime.fromtimestamp(quarter * 900, zone_of(zone))
    return day_of(local.date())


def local_day(ms: int, zone: str) -> int:
    """The local day of an instant. Offsets are whole quarters of an hour since 1972, so a quarter decides the day."""
    return _day_of_hour(ms // 900_000, zone)


@lru_cache(maxsize=4_096)
def business_day(day: int) -> int:
    """The day itself, or the Monday after a Saturday or Sunday."""
    weekday = date_of(day).weekday()
    return day + (7 - weekday) if weekday >= _SATURDAY else day


def month_of(ms: int) -> int:
    """The number of the calendar month (UTC) of an instant."""
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.year * 12 + moment.month - 1


@lru_cache(maxsize=4_096)
def month_starts_ms(number: int) -> int:
    """When a calendar month (UTC) begins."""
    return int(datetime(number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp() * 1000)


def iso_days(days: int) -> str:
    """An ISO 8601 duration of whole days."""
    return f"P{days}D"


def date_text(day: int) -> str:
    """The ISO date of an integer day."""
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()
