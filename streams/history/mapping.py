"""The mapping file of an import: which row of a lender's export becomes which event, and which column which field."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    field_validator,
    model_validator,
)

from schemas.codec import describe
from schemas.events import EVENTS
from schemas.fields import ZONES
from streams.errors import Misconfigured

if TYPE_CHECKING:
    from pathlib import Path

OUTSTANDING = "outstanding"


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""One name, or a list of names."""
Constant = str | int | bool | list[str]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ScheduleMapping(_Strict):
    """A list of due dates in a column, as a schedule. The amounts are a list too, or a total that is spread evenly."""

    due_on: str
    total: str | None = None
    amounts: str | None = None
    separator: str = ";"

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.total is None) == (self.amounts is None):
            raise ValueError("give either total or amounts")
        return self


class RowMapping(_Strict):
    """One kind of row. Field names are those of the event's `data`, column names those of the export."""

    when: Names = ()
    """Values of the `kind` column that this is for; empty for every row."""
    type: str
    subject: str
    time: str
    recorded: str | None = None
    id: Names = ()
    """Columns that together identify the fact; without them the whole row does."""
    skip: dict[str, Names] = {}
    """Rows with one of these values in a column are left out, and counted."""
    constants: dict[str, Constant] = {}
    columns: dict[str, str] = {}
    numbers: dict[str, str] = {}
    amounts: dict[str, str] = {}
    times: dict[str, str] = {}
    days: dict[str, str] = {}
    values: dict[str, dict[str, str]] = {}
    """For a field filled from a column: what each value of the export is called here."""
    derived: Names = ()
    """Fields that get the event's id, such as a payment id that the export does not have."""
    schedule: ScheduleMapping | None = None
    amount: Literal["outstanding"] | None = None
    """`outstanding`: the export does not say how much; the payment settles all that is owed on its loan."""

    @field_validator("type")
    @classmethod
    def _is_known(cls, value: str) -> str:
        if value not in EVENTS:
            raise ValueError("is not an event type that is known")
        return value

    def filled(self) -> list[str]:
        """The fields of `data` that this fills, those filled twice twice."""
        tables = (self.constants, self.columns, self.numbers, self.amounts, self.times, self.days)
        names = [name for table in tables for name in table]
        return [*names, *self.derived, *(["schedule"] * bool(self.schedule)), *(["amount_minor"] * bool(self.amount))]


class Mapping(_Strict):
    """A lender's export, told once."""

    source: str
    """The `source` of the events: it and the event's id are unique together."""
    format: Literal["jsonl", "csv"] | None = None
    """Without it the file's name says."""
    kind: str | None = None
    """The column whose value says what a row is."""
    zone: str
    """Where times without an offset are local."""
    currency: str
    encoding: str = "utf-8"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    constants: dict[str, Constant] = {}
    """Fields that every event has which knows them, such as currency or servicing_zone."""
    tokens: dict[str, Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,31}$")]] = {}
    """Fields (and `subject`) whose columns hold natural ids, and their kind: they become tokens by a keyed hash."""
    rows: Annotated[tuple[RowMapping, ...], Field(min_length=1)]

    @field_validator("zone")
    @classmethod
    def _zone_exists(cls, value: str) -> str:
        if value not in ZONES:
            raise ValueError("is not an IANA time zone name")
        return value

    @field_validator("encoding")
    @classmethod
    def _encoding_exists(cls, value: str) -> str:
        try:
            "".encode(value)
        except LookupError:
            raise ValueError("is not an encoding that is known") from None
        return value

    def constants_of(self, row: RowMapping) -> dict[str, Constant]:
        """The constants for a kind of row: its own, and those of the file that its event has a field for."""
        known = fields_of(row.type)
        filled = set(row.filled())
        shared = {"currency": self.currency, **self.constants}
        return {name: v for name, v in shared.items() if name in known and name not in filled} | row.constants


def fields_of(event_type: str) -> dict[str, Any]:
    """The fields of an event's data, by name."""
    data: Any = EVENTS[event_type].model_fields["data"].annotation
    return dict(data.model_fields)


def load_mapping(path: Path) -> Mapping:
    """Read and check a mapping. Raises Misconfigured with one line that names the key."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"cannot read {path}: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not TOML: {error}") from error
    try:
        mapping = Mapping.model_validate(raw)
    except ValidationError as error:
        raise Misconfigured(f"{path}: {describe(error)}") from None
    for mistake in _mistakes(mapping):
        raise Misconfigured(f"{path}: {mistake}")
    return mapping


def _mistakes(mapping: Mapping) -> list[str]:
    """What is wrong with fields: unknown, filled twice, not filled."""
    columns = {"subject", *(name for row in mapping.rows for name in row.columns)}
    found = [f"tokens.{name}: is no field filled from a column" for name in sorted(mapping.tokens.keys() - columns)]
    for index, row in enumerate(mapping.rows):
        where = f"rows.{index}"
        known = fields_of(row.type)
        filled = row.filled()
        if mapping.kind is None and row.when:
            found.append(f"{where}.when: needs `kind`, the column that it is compared with")
        found += [f"{where}: {name}: {row.type} has no such field" for name in filled if name not in known]
        found += [f"{where}: {name}: is filled twice" for name in sorted({n for n in filled if filled.count(n) > 1})]
        found += [
            f"{where}.values.{name}: is no field filled from a column" for name in row.values.keys() - set(row.columns)
        ]
        has = {*filled, *mapping.constants_of(row)}
        found += [f"{where}: {name}: is required" for name, f in known.items() if f.is_required() and name not in has]
    return found
