"""Days and seconds of a simulated life, in the borrower's own zone, as epoch seconds and as text.

A life counts local days from 0 (the first day of the file); days before it are the past that nobody sees.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from zoneinfo import ZoneInfo

DAY_SECONDS = 86_400
EPOCH = date(1970, 1, 1)
MONTHS = 12
DECEMBER = 12


class Almanac:
    """Local days of one zone, from `first` to `last`, counted from `start`."""

    def __init__(self, zone: str, start: date, first: int, last: int) -> None:
        self.zone = zone
        self.start = start
        self._first = first
        info = ZoneInfo(zone)
        dates = [start + timedelta(days=day) for day in range(first, last + 1)]
        self._midnights = [int(datetime(d.year, d.month, d.day, tzinfo=info).timestamp()) for d in dates]
        self._dates = dates

    def at(self, day: int, second: int) -> int:
        """Epoch seconds of a local day's second."""
        return self._midnights[day - self._first] + second

    def date_of(self, day: int) -> date:
        """The local date of a day; days outside the almanac are counted on."""
        return self.start + timedelta(days=day)

    def day_of(self, value: date) -> int:
        """The number of a local date's day."""
        return (value - self.start).days


@lru_cache(maxsize=32)
def almanac(zone: str, start: date, first: int, last: int) -> Almanac:
    """The almanac of a zone, made once."""
    return Almanac(zone, start, first, last)


def months_later(value: date, months: int) -> date:
    """The same day of the month so many months later; the 31st becomes the last day of a shorter month."""
    year, month = divmod(value.year * MONTHS + value.month - 1 + months, MONTHS)
    return date(year, month + 1, min(value.day, month_length(year, month + 1)))


def month_length(year: int, month: int) -> int:
    """The number of days in a month."""
    after = date(year + 1, 1, 1) if month == DECEMBER else date(year, month + 1, 1)
    return (after - timedelta(days=1)).day


def next_monthday(today: date, monthday: int) -> date:
    """The next date after today that falls on a day of the month (or on the last one of a shorter month)."""
    for months in (0, 1, 2):
        first = months_later(today.replace(day=1), months)
        found = first.replace(day=min(monthday, month_length(first.year, first.month)))
        if found > today:
            return found
    raise AssertionError("one of three months has it")


def stamp(epoch: int) -> str:
    """Epoch seconds as RFC 3339 text in UTC."""
    day, second = divmod(epoch, DAY_SECONDS)
    return _day_text(day) + _second_texts()[second]


@lru_cache(maxsize=8192)
def _day_text(day: int) -> str:
    return (EPOCH + timedelta(days=day)).isoformat()


@cache
def _second_texts() -> tuple[str, ...]:
    return tuple(f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}Z" for s in range(DAY_SECONDS))


def utc_midnight(value: date) -> int:
    """Epoch seconds of a date's midnight in UTC."""
    return int(datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp())
