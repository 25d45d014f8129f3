"""Public holidays of countries and their parts, from the `holidays` library, a year at a time."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import holidays
from babel.core import get_global
from holidays.constants import BANK, GOVERNMENT, PUBLIC

if TYPE_CHECKING:
    from datetime import date

_KINDS = (PUBLIC, GOVERNMENT, BANK)
"""What the library calls public, and days on which offices or banks are closed: the stricter reading of a holiday."""


@lru_cache(maxsize=1)
def _known() -> dict[str, list[str]]:
    """The countries there are calendars for, with their parts."""
    return holidays.list_supported_countries(include_aliases=True)


def has_calendar(country: str) -> bool:
    """Whether holidays of a country (`ID`, or with a part of it: `US-CA`) are known."""
    return country.partition("-")[0] in _known()


@lru_cache(maxsize=1_024)
def country_of(zone: str) -> str | None:
    """The country that a time zone lies in; None for those that lie in none, such as UTC."""
    name = get_global("zone_aliases").get(zone, zone)
    country: str | None = get_global("zone_territories").get(name)
    return country if country is not None and has_calendar(country) else None


def is_off(day: date, countries: tuple[str, ...]) -> bool:
    """Whether a day is a public holiday in one of these countries."""
    return any(day in days_off(country, day.year) for country in countries)


@lru_cache(maxsize=4_096)
def days_off(country: str, year: int) -> frozenset[date]:
    """The holidays of a year, observed days included. A part that the library does not know counts as every part.

    A set of its own and not the library's object, which fills itself while it is asked: threads share this.
    """
    code, _, part = country.partition("-")
    parts = _known()[code]
    days = set(_days(code, None, year))
    for one in () if not part else (part,) if part in parts else parts:
        days |= _days(code, one, year)
    return frozenset(days)


def _days(code: str, part: str | None, year: int) -> set[date]:
    everywhere = holidays.country_holidays(code, subdiv=part)
    kinds = [kind for kind in _KINDS if kind in everywhere.supported_categories]
    return set(holidays.country_holidays(code, subdiv=part, years=year, categories=kinds))
