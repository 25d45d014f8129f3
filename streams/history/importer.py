"""A lender's own export, by its mapping, to events: every row becomes an event or is refused with a reason."""

from __future__ import annotations

import hashlib
import hmac
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple
from zoneinfo import ZoneInfo

import orjson

from schemas.codec import InvalidEvent, decode_mapping
from schemas.currencies import exponent
from schemas.tokens import token
from streams.errors import Misconfigured
from streams.history.exports import as_text, read_rows
from streams.history.files import available_ms
from streams.history.ordering import Pieces, merged, replacing
from streams.history.positions import Positions

if TYPE_CHECKING:
    from collections.abc import Callable

    from schemas.tokens import TokenKey
    from streams.history.exports import Row
    from streams.history.mapping import Mapping, RowMapping, ScheduleMapping

SKIPPED = "skipped"
ID_HEX = 20
"""80 bits of a hash: no two rows of a lender share an id by chance."""


class RefusedRow(Exception):  # noqa: N818 - it names what the row is, not a failure of ours
    """The row becomes no event. `reason` is what it is counted under, `detail` names columns and rules."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason = reason
        self.detail = detail


class Refusal(NamedTuple):
    """A refused row, for the report."""

    file: str
    line: int
    reason: str
    detail: str

    def __str__(self) -> str:
        """As a compiler would say it."""
        return f"{self.file}:{self.line}: {self.reason}: {self.detail}"


@dataclass(slots=True)
class Imported:
    """What came of an import."""

    rows: int = 0
    types: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def events(self) -> int:
        """Rows that became events."""
        return sum(self.types.values())

    @property
    def refused(self) -> int:
        """Rows that did not, other than those that the mapping skips."""
        return sum(n for reason, n in self.reasons.items() if reason != SKIPPED)

    def as_dict(self) -> dict[str, Any]:
        """For machines."""
        return {
            "rows": self.rows,
            "events": self.events,
            "refused": self.refused,
            "types": dict(sorted(self.types.items())),
            "reasons": dict(sorted(self.reasons.items())),
        }


def import_file(
    path: Path,
    mapping: Mapping,
    out: Path,
    refused: Callable[[Refusal], None] | None = None,
    key: TokenKey | None = None,
) -> Imported:
    """Write the export's events to `out` in order of available time; `refused` hears of each row that became none.

    `key` makes the tokens that the mapping asks for. Raises Misconfigured if a file cannot be read or written.
    """
    result = Imported()
    importer = Importer(mapping, key)
    with replacing(out) as stream, TemporaryDirectory(prefix=".ews-import-", dir=out.parent) as folder:
        pieces = Pieces(Path(folder))
        for row in read_rows(path, mapping):
            result.rows += 1
            try:
                event = importer.event(row)
            except RefusedRow as fault:
                result.reasons[fault.reason] += 1
                if refused and fault.reason != SKIPPED:
                    refused(Refusal(str(path), row.line, fault.reason, fault.detail))
                continue
            result.types[event["type"]] += 1
            at = available_ms(event)
            assert at is not None, "the event was validated"
            pieces.add((at, event["source"], event["id"], orjson.dumps(event)))
        pieces.flush()
        with merged(pieces.paths) as lines:
            stream.writelines(lines)
    return result


class Importer:
    """Turns rows into events, in the order of the export: what is outstanding follows from the rows before."""

    def __init__(self, mapping: Mapping, key: TokenKey | None = None) -> None:
        """Raises Misconfigured without a key where the mapping asks for tokens."""
        if mapping.tokens and key is None:
            raise Misconfigured(
                "the mapping makes tokens: set EWS_TOKEN_KEYS or EWS_TOKEN_KEYS_FILE (`ews tokens key`)"
            )
        self._mapping = mapping
        self._key = key
        self._zone = ZoneInfo(mapping.zone)
        self._rows = [(row, frozenset(row.when), mapping.constants_of(row)) for row in mapping.rows]
        self._positions = Positions()

    def event(self, row: Row) -> dict[str, Any]:
        """The event of a row, checked against the schema. Raises RefusedRow."""
        if row.fault:
            raise RefusedRow("unreadable", row.fault)
        kind, constants = self._kind_of(row)
        for column, values in kind.skip.items():
            if as_text(_get(row, column)) in values:
                raise RefusedRow(SKIPPED, f"{column} is one that the mapping skips")
        event = self._envelope(kind, row)
        data = {
            **constants,
            **self._data(kind, row, event["id"], str(constants.get("currency", self._mapping.currency))),
        }
        event["data"] = data
        if kind.amount:
            data["amount_minor"] = self._outstanding(data)
        try:
            decode_mapping(event)
        except InvalidEvent as fault:
            raise RefusedRow(str(fault.reason), fault.detail) from None
        self._positions.follow(kind.type, data)
        return event

    def _kind_of(self, row: Row) -> tuple[RowMapping, dict[str, Any]]:
        value = as_text(_get(row, self._mapping.kind)) if self._mapping.kind else None
        for kind, when, constants in self._rows:
            if not when or value in when:
                return kind, constants
        raise RefusedRow("unknown_kind", f"no row of the mapping is for this {self._mapping.kind}")

    def _envelope(self, kind: RowMapping, row: Row) -> dict[str, Any]:
        event: dict[str, Any] = {
            "specversion": "1.0",
            "id": _id(kind, row, self._key if self._mapping.tokens else None),
            "source": self._mapping.source,
            "type": kind.type,
            "subject": self._token("subject", as_text(_get(row, kind.subject))),
            "time": self._time(row, kind.time),
        }
        if kind.recorded and _has(row, kind.recorded):
            event["recordedtime"] = self._time(row, kind.recorded)
        return event

    def _data(self, kind: RowMapping, row: Row, name: str, currency: str) -> dict[str, Any]:
        """The fields that come from columns. A column that is empty leaves its field out."""
        data: dict[str, Any] = dict.fromkeys(kind.derived, name)
        for target, column in kind.columns.items():
            if _has(row, column):
                data[target] = self._token(target, _called(kind.values.get(target), row, column))
        currency = data.get("currency", currency)
        fillers: tuple[tuple[dict[str, str], Callable[[str], Any]], ...] = (
            (kind.numbers, lambda column: _number(row, column)),
            (kind.amounts, lambda column: _minor(_get(row, column), column, currency)),
            (kind.times, lambda column: self._time(row, column)),
            (kind.days, lambda column: _day(_get(row, column), column)),
        )
        for table, fill in fillers:
            data.update({target: fill(column) for target, column in table.items() if _has(row, column)})
        if kind.schedule:
            data["schedule"] = _schedule(kind.schedule, row, currency)
        return data

    def _token(self, target: str, natural: str) -> str:
        """The value as it is, or its token where the mapping asks for one."""
        kind = self._mapping.tokens.get(target)
        if kind is None:
            return natural
        assert self._key is not None, "checked at the start"
        if not natural.strip():
            raise RefusedRow("missing_column", f"{target}: is blank")
        return token(natural, self._key, kind)

    def _time(self, row: Row, column: str) -> str:
        value = _get(row, column)
        try:
            moment = datetime.fromisoformat(value)
        except (TypeError, ValueError):
            raise RefusedRow("bad_time", f"{column}: is not a time such as 2026-03-01T09:30:00") from None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=self._zone)
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def _outstanding(self, data: dict[str, Any]) -> int:
        owed = self._positions.outstanding(as_text(data.get("loan")))
        if owed is None:
            raise RefusedRow("unknown_loan", "amount: the loan was not opened in a row before this one")
        if owed == 0:
            raise RefusedRow("nothing_outstanding", "amount: nothing is outstanding on the loan any more")
        return owed


def _has(row: Row, column: str) -> bool:
    return row.columns.get(column) not in (None, "")


def _get(row: Row, column: str) -> Any:
    value = row.columns.get(column)
    if value is None or value == "":
        raise RefusedRow("missing_column", f"{column}: is empty or not there")
    return value


def _id(kind: RowMapping, row: Row, key: TokenKey | None) -> str:
    """An id of the row's own content: the same row gives the same event, however often it is exported.

    Where natural ids are kept out of the events it is keyed too, or it would let them be guessed.
    """
    facts = {column: _get(row, column) for column in kind.id} or row.columns
    raw = orjson.dumps([kind.type, facts], option=orjson.OPT_SORT_KEYS)
    if key is not None:
        return hmac.new(key.secret, b"event:" + raw, hashlib.sha256).hexdigest()[:ID_HEX]
    return hashlib.sha256(raw).hexdigest()[:ID_HEX]


def _called(names: dict[str, str] | None, row: Row, column: str) -> str:
    value = as_text(_get(row, column))
    if names is None:
        return value
    if value not in names:
        raise RefusedRow("unknown_value", f"{column}: the mapping has no name for this value")
    return names[value]


def _number(row: Row, column: str) -> int:
    try:
        number = Decimal(as_text(_get(row, column)))
        whole = int(number)
    except (InvalidOperation, ValueError, OverflowError):
        raise RefusedRow("bad_number", f"{column}: is not a whole number") from None
    if whole != number:
        raise RefusedRow("bad_number", f"{column}: is not a whole number")
    return whole


def _minor(value: object, column: str, currency: str) -> int:
    """A decimal amount in minor units; one that is finer than the currency is refused, never rounded."""
    try:
        minor = Decimal(as_text(value)).scaleb(exponent(currency))
        whole = int(minor)
    except (InvalidOperation, ValueError, OverflowError):
        raise RefusedRow("bad_amount", f"{column}: is not a decimal number such as 1250.50") from None
    if whole != minor:
        raise RefusedRow("bad_amount", f"{column}: has more than the {exponent(currency)} decimals of {currency}")
    return whole


def _day(value: object, column: str) -> str:
    """A date, also out of a time: the local day it names."""
    try:
        if isinstance(value, str):
            return date.fromisoformat(value[:10]).isoformat()
    except ValueError:
        pass
    raise RefusedRow("bad_date", f"{column}: is not a date such as 2026-03-01")


def _items(value: object, separator: str) -> list[Any]:
    if isinstance(value, list):
        return value
    return [item.strip() for item in as_text(value).split(separator) if item.strip()]


def _schedule(mapping: ScheduleMapping, row: Row, currency: str) -> list[dict[str, Any]]:
    """Installments numbered from 1. A total is spread evenly, and the last one takes the rest."""
    dues = [_day(item, mapping.due_on) for item in _items(_get(row, mapping.due_on), mapping.separator)]
    if not dues:
        raise RefusedRow("bad_schedule", f"{mapping.due_on}: has no dates")
    if mapping.amounts:
        items = _items(_get(row, mapping.amounts), mapping.separator)
        amounts = [_minor(item, mapping.amounts, currency) for item in items]
    else:
        assert mapping.total is not None, "the mapping was checked"
        total = _minor(_get(row, mapping.total), mapping.total, currency)
        each = total // len(dues)
        amounts = [each] * (len(dues) - 1) + [total - each * (len(dues) - 1)]
    if len(amounts) != len(dues):
        raise RefusedRow("bad_schedule", f"{len(amounts)} amounts for {len(dues)} due dates")
    lines = zip(dues, amounts, strict=True)
    return [{"number": n, "due_on": due, "amount_minor": amount} for n, (due, amount) in enumerate(lines, 1)]
