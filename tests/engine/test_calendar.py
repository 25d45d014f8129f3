from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.engine.calendar import (
    DAY_MS,
    HOUR_MS,
    business_day,
    date_of,
    date_text,
    day_of,
    local_day,
    midnight_ms,
    moment_of,
    ms_of,
)

ZONES = [
    "UTC",
    "Asia/Shanghai",
    "Asia/Kathmandu",
    "America/New_York",
    "America/Sao_Paulo",
    "Pacific/Apia",
    "Asia/Tehran",
]
moments = st.datetimes(datetime(1990, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - Hypothesis adds the zone


@given(moments, st.sampled_from(ZONES))
def test_the_local_day_is_that_of_the_zone(moment: datetime, zone: str) -> None:
    """The day of an instant is what a wall calendar there shows."""
    assert day_of(moment.astimezone(ZoneInfo(zone)).date()) == local_day(ms_of(moment), zone)


@given(moments)
def test_milliseconds_are_rounded_down_and_come_back(moment: datetime) -> None:
    """No fraction of a float decides a millisecond."""
    ms = ms_of(moment)
    assert moment.replace(microsecond=moment.microsecond // 1000 * 1000) == moment_of(ms)
    assert ms == ms_of(moment_of(ms))


@given(
    st.dates(date(1990, 1, 1), date(2060, 1, 1)),
    st.sampled_from(["America/New_York", "America/Sao_Paulo", "Asia/Kathmandu"]),
)
def test_a_day_begins_with_its_first_instant(day: date, zone: str) -> None:
    """The instant is of that day and the millisecond before it is not, whatever the clocks do that night."""
    begin = midnight_ms(day_of(day), zone)
    assert day_of(day) == local_day(begin, zone)
    assert day_of(day) - 1 == local_day(begin - 1, zone)


@pytest.mark.parametrize(
    ("zone", "day", "utc"),
    [
        ("America/New_York", date(2025, 3, 9), datetime(2025, 3, 9, 5, tzinfo=UTC)),
        ("America/New_York", date(2025, 3, 10), datetime(2025, 3, 10, 4, tzinfo=UTC)),
        ("America/New_York", date(2025, 11, 3), datetime(2025, 11, 3, 5, tzinfo=UTC)),
        ("America/Sao_Paulo", date(2017, 10, 15), datetime(2017, 10, 15, 3, tzinfo=UTC)),
        ("Asia/Kathmandu", date(2025, 6, 1), datetime(2025, 5, 31, 18, 15, tzinfo=UTC)),
    ],
)
def test_midnights(zone: str, day: date, utc: datetime) -> None:
    """Short and long days, a midnight that does not exist, an offset of three quarters."""
    assert ms_of(utc) == midnight_ms(day_of(day), zone)


def test_the_days_of_a_clock_change_have_23_and_25_hours() -> None:
    """A day is a day, however long."""
    spring, autumn = day_of(date(2025, 3, 9)), day_of(date(2025, 11, 2))
    zone = "America/New_York"
    assert 23 * HOUR_MS == midnight_ms(spring + 1, zone) - midnight_ms(spring, zone)
    assert 25 * HOUR_MS == midnight_ms(autumn + 1, zone) - midnight_ms(autumn, zone)
    assert DAY_MS == midnight_ms(autumn + 2, zone) - midnight_ms(autumn + 1, zone)


def test_business_days_follow_a_weekend() -> None:
    """Saturday and Sunday become Monday, the others stay."""
    monday = day_of(date(2025, 2, 3))
    assert [monday - 3, monday, monday, monday, monday + 1] == [business_day(monday + d) for d in (-3, -2, -1, 0, 1)]


def test_days_and_dates() -> None:
    """An integer day and its date are the same."""
    assert date(2025, 2, 28) + timedelta(days=1) == date_of(day_of(date(2025, 2, 28)) + 1)
    assert "2025-03-01" == date_text(day_of(date(2025, 3, 1)))
