"""How the console says things: amounts, days, how long ago, and the names of states as people speak them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation

from babel.numbers import format_currency

from schemas.currencies import exponent
from streams.casework.timeline import Standing

MINUTE, HOUR, DAY = 60, 3_600, 86_400
HOURS_SHOWN_MAX = 48 * HOUR
"""From here on a distance is told in days."""
AMOUNT_DIGITS_MAX = 15
_GROUPED = re.compile(r"\d{1,3}(?:,\d{2,3})*,\d{3}(?:\.\d*)?")
"""Commas between groups of digits, by threes or as in India."""
SPOKEN_STANDING = {
    Standing.PAID: "paid in time",
    Standing.LATE: "paid",
    Standing.UNPAID: "unpaid",
    Standing.AHEAD: "not yet due",
}
_NAMES = {
    "lawyers_letter": "lawyer's letter",
    "promise_to_pay": "promise to pay",
    "re_age": "re-age",
    "dpd": "DPD",
    "sms": "SMS",
    "email": "e-mail",
    "false_positive": "false alarm",
}


def spoken(name: object) -> str:
    """A name of ours as people say it: `multi_lending_spike` is `multi lending spike`."""
    text = str(name)
    return _NAMES.get(text, text.replace("_", " "))


def titled(name: object) -> str:
    """The same with a capital."""
    text = spoken(name)
    return text[:1].upper() + text[1:]


def money(minor: int, currency: str, *, plain: bool = False) -> str:
    """An amount with its currency; plain: the number alone, as a form takes it."""
    major = Decimal(minor).scaleb(-exponent(currency))
    if plain:
        return f"{major:f}"
    return str(format_currency(major, currency, locale="en", currency_digits=True))


def minor_of(text: str, currency: str) -> int:
    """The minor units of an amount that a person typed. Raises ValueError with a sentence."""
    written = text.strip()
    if "," in written and not _GROUPED.fullmatch(written):  # 12,50 is twelve and a half to some: never 1250.
        raise ValueError("write the amount with a point before the decimals, such as 1250.00")
    cleaned = written.replace(",", "").replace(" ", "")
    try:
        major = Decimal(cleaned)
    except InvalidOperation:
        raise ValueError("write the amount as a number, such as 1250.00") from None
    if not major.is_finite() or abs(major.adjusted()) > AMOUNT_DIGITS_MAX or len(cleaned) > 2 * AMOUNT_DIGITS_MAX:
        raise ValueError("write the amount as a number, such as 1250.00")
    minor = major.scaleb(exponent(currency))
    if minor != minor.to_integral_value():
        raise ValueError(f"{currency} has {exponent(currency)} decimals: write the amount with no more")
    if minor <= 0:
        raise ValueError("the amount must be more than 0")
    return int(minor)


def day(at: date | datetime) -> str:
    """A day: 3 Jun 2025."""
    return f"{at.day} {at:%b %Y}"


def moment(at: datetime) -> str:
    """An instant in UTC."""
    at = at.astimezone(UTC)
    return f"{day(at)} {at:%H:%M}"


def distance(at: datetime, now: datetime) -> str:
    """How far away an instant is: `in 3 h`, `2 days ago`."""
    seconds = (at - now).total_seconds()
    far = length(abs(seconds))
    return f"in {far}" if seconds >= 0 else f"{far} ago"


def length(seconds: float) -> str:
    """How long something is."""
    if seconds < HOUR:
        return f"{max(1, int(seconds // MINUTE))} min"
    if seconds < HOURS_SHOWN_MAX:
        return f"{int(seconds // HOUR)} h"
    return f"{int(seconds // DAY)} days"


_WINDOW = re.compile(
    r"P(?:(?P<month>\d+)M)?(?:(?P<week>\d+)W)?(?:(?P<day>\d+)D)?(?:T(?:(?P<hour>\d+)H)?(?:(?P<minute>\d+)M)?)?"
)


def window(duration: str | None) -> str:
    """An ISO 8601 duration in words: P30D is `30 days`. What is none stays as it is."""
    match = _WINDOW.fullmatch(duration or "")
    parts = [(int(n), unit) for unit, n in match.groupdict().items() if n] if match else []
    return " ".join(f"{n} {unit}{'' if n == 1 else 's'}" for n, unit in parts) or duration or ""


def number(value: float | str | None) -> str:
    """A measure's value: thousands set apart, others as short as they are exact enough."""
    if value is None or isinstance(value, str):
        return value or ""
    return f"{value:,}" if isinstance(value, int) else f"{value:,.4g}"


def end_of_day(on: date) -> datetime:
    """The last second of a day, UTC."""
    return datetime(on.year, on.month, on.day, tzinfo=UTC) + timedelta(days=1, seconds=-1)
