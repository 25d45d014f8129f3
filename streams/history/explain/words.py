"""Numbers and windows as people say them."""

from __future__ import annotations

import re

_PARTS = re.compile(
    r"^P(?:(?P<months>\d+)M)?(?:(?P<weeks>\d+)W)?(?:(?P<days>\d+)D)?(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?)?$"
)
_DAYS = {"months": 30.44, "weeks": 7.0, "days": 1.0, "hours": 1 / 24, "minutes": 1 / 1440}


def window_days(window: str | None) -> float:
    """The length in days of an ISO 8601 duration, 0 for none and for what is not understood."""
    parts = _parts(window)
    return sum(number * _DAYS[name] for name, number in parts.items())


def window_text(window: str | None) -> str:
    """An ISO 8601 duration in words: P30D is `30 days`."""
    parts = _parts(window)
    if not parts:
        return window or ""
    return " ".join(f"{number} {name if number != 1 else name[:-1]}" for name, number in parts.items())


def _parts(window: str | None) -> dict[str, int]:
    match = _PARTS.match(window or "")
    return {name: int(number) for name, number in match.groupdict().items() if number} if match else {}


def number_text(value: float | str | None) -> str:
    """A measure's value: whole numbers with thousands set apart, others as short as they are exact enough."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def name_text(name: str) -> str:
    """A measure's name with its unit behind it: `balance_at_miss_minor` is `balance at miss (minor units)`."""
    spoken, minor = name.removesuffix("_minor"), name.endswith("_minor")
    return spoken.replace("_", " ") + (" (minor units)" if minor else "")
