"""What the fields of events and alerts are made of: tokens, money, times, days, codes.

Each type says the same twice: to pydantic, which reads events, and in JSON Schema, which producers validate against.
`tests/schemas` holds a table of values that both must judge alike. The sentences of refusals stand here too, because
pydantic's own would list all 178 currencies, or quote what was sent.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any

import pycountry
from pydantic import Field, Strict
from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler

CURRENCIES = frozenset(currency.alpha_3 for currency in pycountry.currencies)
ZONES = frozenset((resources.files("tzdata") / "zones").read_text(encoding="utf-8").split())
"""The zones of the `tzdata` package, not of the machine: every worker must judge an event alike."""

EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)
YEAR = "(?:19[7-9][0-9]|2[01][0-9][0-9])"
DAY = f"{YEAR}-[0-9]{{2}}-[0-9]{{2}}"
DAY_PATTERN = f"^{DAY}$"
TIME_PATTERN = rf"^{DAY}[Tt][0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}(?:\.[0-9]{{1,9}})?(?:[Zz]|[+-][0-9]{{2}}:[0-9]{{2}})$"


class OneOf:
    """A string out of a fixed set: pydantic-core's literal, a hash look-up without a call into Python."""

    def __init__(self, values: frozenset[str], kind: str, meaning: str) -> None:
        self.values = sorted(values)
        self.kind = kind
        self.meaning = meaning

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """The literal, with one sentence for whatever is not in the set."""
        return core_schema.custom_error_schema(
            core_schema.literal_schema(self.values), self.kind, custom_error_message=f"is not {self.meaning}"
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The set as an enumeration."""
        return {"type": "string", "enum": self.values, "description": self.meaning}


class Written:
    """A time or day as text of one shape.

    Ready-made `datetime` and `date` objects pass too, for events built in Python. Left to itself pydantic also reads
    numbers, as seconds or milliseconds by their size, and times without an offset.
    """

    def __init__(self, kind: type[date], pattern: str, json_format: str, sentence: str) -> None:
        self.kind = kind
        self.pattern = pattern
        self.json_format = json_format
        self.sentence = sentence

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """First the shape, then what the calendar knows and the bounds."""
        text = core_schema.str_schema(pattern=self.pattern, strict=True)
        shape = core_schema.json_or_python_schema(
            text, core_schema.union_schema([text, core_schema.is_instance_schema(self.kind)], mode="left_to_right")
        )
        said = core_schema.custom_error_schema(shape, self.json_format, custom_error_message=self.sentence)
        return core_schema.chain_schema([said, self._value()])

    def _value(self) -> core_schema.CoreSchema:
        if issubclass(self.kind, datetime):
            return core_schema.datetime_schema(tz_constraint="aware", ge=EARLIEST, lt=LATEST)
        return core_schema.date_schema(ge=EARLIEST.date(), lt=LATEST.date())

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """Text of the format, and the pattern for validators that do not check formats."""
        return {"type": "string", "format": self.json_format, "pattern": self.pattern}


Token = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
"""A pseudonym: printable ASCII without spaces. Never a name or a number of a person."""
Id = Annotated[str, Field(min_length=1, max_length=256)]
Label = Annotated[str, Field(min_length=1, max_length=64)]
Currency = Annotated[str, OneOf(CURRENCIES, "currency", "an ISO 4217 currency code")]
Zone = Annotated[str, OneOf(ZONES, "zone", "an IANA time zone name")]
Minor = Annotated[int, Strict(), Field(ge=0, le=10**15)]
"""An amount in minor units of its currency (cents, fen)."""
SignedMinor = Annotated[int, Strict(), Field(ge=-(10**15), le=10**15)]
Count = Annotated[int, Strict(), Field(ge=0, le=10**6)]
Time = Annotated[
    datetime,
    Written(
        datetime,
        TIME_PATTERN,
        "date-time",
        "must be an RFC 3339 time with its offset, such as 2026-03-01T09:30:00+08:00, from 1970 to 2199",
    ),
]
Day = Annotated[date, Written(date, DAY_PATTERN, "date", "must be a date such as 2026-03-01, from 1970 to 2199")]
