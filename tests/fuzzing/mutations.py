"""Ways to spoil a record: bytes, structure, envelope. Every one is drawn from a seed."""

from __future__ import annotations

import gzip
import json
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.topics import topic_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

GOLDEN = Path(__file__).parents[1] / "schemas" / "golden" / "events"
SOURCE = "fuzz/source"
"""Not one of the neighbours' sources: what a source says of itself concerns all of its borrowers."""
DEEP = 2_000


class Raw(NamedTuple):
    """A record as a producer sends it."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp: int


NASTY: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 0.5, -0.0, 1e308, float("nan"), float("inf"), 2**31, 2**53 + 1, 2**63, -(2**63) - 1,
    2**64, 10**400, "", " ", "null", "0", "-1", "1e3", "NaN", [], {}, [[]], [None], {"": ""}, {"a": {"b": []}},
    "\u0000", "\ufeff", "\u202e\u0661\u0662", "\U0001f4b8" * 50, "\ud800", "e\u0301" * 20, "A" * 100_000,
    "b-1\n", "../..", "'; DROP TABLE", "$ref", "__proto__", "2025-13-01", "2025-02-30T10:00:00+08:00",
    "0001-01-01T00:00:00Z",
    "9999-12-31T23:59:59.999999+00:00", "2025-01-01T24:00:00Z", "2025-01-01T23:59:60Z", "2025-01-01T10:00:00",
    "2025-01-01T10:00:00+25:00", "2025-01-01", "10:00", "1735689600", 1735689600, 1735689600000,
    "-2025-01-01T00:00:00Z", "XXX", "usd", "CNY ", "CN\u00a5", "\u20ac", "XTS", "Mars/Olympus", "UTC",
    "ews.loan.opened.v2",
    "ews.loan.opened.v1", list(range(2_000)), [{"number": 1}] * 50,
)  # fmt: skip
"""Values that have broken something somewhere."""


@cache
def goldens() -> tuple[dict[str, Any], ...]:
    """The golden events as documents."""
    return tuple(json.loads(path.read_text("utf-8")) for path in sorted(GOLDEN.glob("*.json")))


def golden(dice: Random, subject: str, when: str) -> dict[str, Any]:
    """One of them, of this borrower, and of about this time."""
    document = json.loads(json.dumps(dice.choice(goldens())))
    document |= {"subject": subject, "source": SOURCE, "id": f"f-{dice.randrange(10**12)}"}
    if dice.random() < 0.8:
        document["time"] = when
        document.pop("recordedtime", None)
    if document["type"] == "ews.feed.heartbeat.v1":
        document["data"]["source"] = SOURCE
    return document


def spoiled(dice: Random, subject: str, when: str, timestamp: int) -> Raw:
    """A record made of a golden event by one to three mutations; now and then by none."""
    document = golden(dice, subject, when)
    topic = str(topic_of(document["type"]))
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3))):
        if dice.random() < 0.7:
            dice.choice(STRUCTURE)(dice, document)
    text = json.dumps(document, ensure_ascii=dice.random() < 0.5).encode("utf-8", "surrogatepass")
    raw = Raw(topic, subject.encode(), text, timestamp)
    if dice.random() < 0.3:
        raw = raw._replace(value=dice.choice(BYTES)(dice, text))
    if dice.random() < 0.15:
        raw = dice.choice(ENVELOPE)(dice, raw)
    return raw


# -- structure ---------------------------------------------------------------------------------------------------------


def _place(dice: Random, document: Any) -> tuple[Any, Any]:
    """A container somewhere in the document, and a key or index in it."""
    container = document
    while True:
        keys = list(container) if isinstance(container, dict) else list(range(len(container)))
        key = dice.choice(keys)
        inner = container[key]
        if not isinstance(inner, dict | list) or not inner or dice.random() < 0.25:
            return container, key
        container = inner


def _replace(dice: Random, document: dict[str, Any]) -> None:
    if document:
        container, key = _place(dice, document)
        container[key] = dice.choice(NASTY)


def _delete(dice: Random, document: dict[str, Any]) -> None:
    if document:
        container, key = _place(dice, document)
        del container[key]


def _add(dice: Random, document: dict[str, Any]) -> None:
    container = document.get("data")
    target = container if isinstance(container, dict) and dice.random() < 0.5 else document
    target[dice.choice(("extra", "", "type ", "Data", "\u0000", "x" * 1_000))] = dice.choice(NASTY)


def _rename(dice: Random, document: dict[str, Any]) -> None:
    if document:
        container, key = _place(dice, document)
        if isinstance(container, dict):
            container[dice.choice((key.upper(), key + " ", key[:-1], "\u0441" + key))] = container.pop(key)


def _scale(dice: Random, document: dict[str, Any]) -> None:
    """A number becomes another one: amounts of any size, days of any year."""
    if document:
        container, key = _place(dice, document)
        if isinstance(container[key], int | float):
            container[key] = container[key] * dice.choice((-1, 0, 10**6, 10**15, 0.1)) + dice.choice((0, 1, -1))


def _retype(dice: Random, document: dict[str, Any]) -> None:
    """The data of one type under the name of another."""
    document["type"] = dice.choice(goldens())["type"]


def _nest(dice: Random, document: dict[str, Any]) -> None:
    deep: Any = []
    for _ in range(dice.choice((50, 500))):
        deep = [deep] if dice.random() < 0.5 else {"a": deep}
    if document:
        container, key = _place(dice, document)
        container[key] = deep


def _repeat(dice: Random, document: dict[str, Any]) -> None:
    """A list many times over."""
    data = document.get("data")
    for value in data.values() if isinstance(data, dict) else ():
        if isinstance(value, list) and value:
            value.extend(value * dice.choice((1, 50)))


STRUCTURE: tuple[Callable[[Random, dict[str, Any]], None], ...] = (
    _replace, _replace, _replace, _delete, _add, _rename, _scale, _scale, _retype, _nest, _repeat,
)  # fmt: skip


# -- bytes -------------------------------------------------------------------------------------------------------------


def _flip(dice: Random, value: bytes) -> bytes:
    changed = bytearray(value)
    for _ in range(dice.choice((1, 1, 3, 20))):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return bytes(changed)


def _cut(dice: Random, value: bytes) -> bytes:
    return value[: dice.randrange(len(value))]


def _splice(dice: Random, value: bytes) -> bytes:
    other = json.dumps(dice.choice(goldens())).encode()
    return value[: dice.randrange(len(value))] + other[dice.randrange(len(other)) :]


def _insert(dice: Random, value: bytes) -> bytes:
    at = dice.randrange(len(value))
    return (
        value[:at] + dice.choice((b"\x00", b"\xff\xfe", b"\\ud800", b'"', b"{", b",", dice.randbytes(8))) + value[at:]
    )


def _twice(dice: Random, value: bytes) -> bytes:
    """A key stands twice."""
    key = dice.choice((b'"id": "other"', b'"subject": "b-other"', b'"type": 1', b'"data": {}', b'"data": null'))
    return b"{" + key + b"," + value[1:] if dice.random() < 0.5 else value[:-1] + b"," + key + b"}"


def _encoded(dice: Random, value: bytes) -> bytes:
    text = value.decode("utf-8", "replace")
    return dice.choice(
        (
            text.encode("utf-16"),
            text.encode("utf-32-le"),
            b"\xef\xbb\xbf" + value,
            gzip.compress(value, mtime=0),
            value[::-1],
        )
    )


def _deep(dice: Random, value: bytes) -> bytes:
    opening = dice.choice((b"[", b'{"a":'))
    return b'{"type":"ews.loan.opened.v1","data":' + opening * DEEP + value


def _huge(dice: Random, value: bytes) -> bytes:
    return value + b" " * (dice.choice((999_000, 1_040_000)) if dice.random() < 0.05 else 10_000)


def _number(dice: Random, value: bytes) -> bytes:
    """A number as no printer writes it."""
    digits = [at for at, byte in enumerate(value) if 48 <= byte <= 57]
    at = dice.choice(digits) if digits else 0
    return (
        value[:at]
        + dice.choice((b"NaN", b"-Infinity", b"1e999", b"0x10", b"1_000", b"9" * 500, b"-"))
        + value[at + 1 :]
    )


BYTES: tuple[Callable[[Random, bytes], bytes], ...] = (
    _flip, _flip, _flip, _cut, _splice, _insert, _twice, _encoded, _deep, _huge, _number,
)  # fmt: skip


# -- envelope ----------------------------------------------------------------------------------------------------------


def _other_key(dice: Random, raw: Raw) -> Raw:
    keys = (None, b"", b"\x00lane", b"\xff\xfe", b"b-nobody", (raw.key or b"").upper(), b"k" * 10_000)
    return raw._replace(key=dice.choice(keys))


def _other_value(dice: Random, raw: Raw) -> Raw:
    return raw._replace(value=dice.choice((None, b"", b"null", b"[]", b"0", b'""', b"{}", dice.randbytes(50))))


def _other_topic(dice: Random, raw: Raw) -> Raw:
    return raw._replace(topic=dice.choice(("repayments", "transactions", "bureau", "contacts")))


def _other_time(dice: Random, raw: Raw) -> Raw:
    # A broker takes none that are more than an hour ahead (message.timestamp.after.max.ms).
    return raw._replace(timestamp=dice.choice((-1, 0, 1, raw.timestamp - 10**10, raw.timestamp + 3_600_000)))


ENVELOPE: tuple[Callable[[Random, Raw], Raw], ...] = (_other_key, _other_value, _other_topic, _other_time)
