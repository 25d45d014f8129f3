from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest

from schemas.events import EVENTS
from schemas.generate import ALERT_SCHEMA, DEAD_LETTER_SCHEMA, alert_schema, documents, event_schema
from tests.schemas.compatibility import breaks, fields, lost
from tests.schemas.goldens import GOLDEN, files, load

if TYPE_CHECKING:
    from collections.abc import Callable

SNAPSHOTS = {path.stem: load(path) for path in files("schemas")}
OBJECT: dict[str, Any] = {
    "type": "object",
    "required": ["a"],
    "properties": {
        "a": {"anyOf": [{"type": "string", "maxLength": 8, "pattern": "^x"}, {"type": "null"}]},
        "b": {"type": "integer", "minimum": 0},
        "c": {"type": "array", "items": {"$ref": "#/$defs/Kind"}},
    },
    "$defs": {"Kind": {"type": "string", "enum": ["one", "two"]}},
}


@pytest.mark.parametrize("kind", sorted(set(SNAPSHOTS) & set(EVENTS)))
def test_what_producers_of_a_released_version_write_is_still_read(kind: str) -> None:
    """An event schema may only widen: nothing that its golden snapshot permits is refused, and no field is dropped."""
    assert [] == breaks(SNAPSHOTS[kind], event_schema(kind))
    assert [] == lost(SNAPSHOTS[kind], event_schema(kind))


def test_what_we_write_is_read_by_subscribers_of_a_released_version() -> None:
    """Alerts may only gain fields: all that is written now satisfies the golden snapshot, and no field is dropped."""
    assert [] == breaks(alert_schema(), SNAPSHOTS[ALERT_SCHEMA])
    assert [] == lost(SNAPSHOTS[ALERT_SCHEMA], alert_schema())


def test_old_dead_letters_are_still_read() -> None:
    """A reason once written stays readable, since dead letters outlive the worker that wrote them."""
    current = load(GOLDEN.parents[2] / "schemas" / "json" / f"{DEAD_LETTER_SCHEMA}.json")
    assert [] == breaks(SNAPSHOTS[DEAD_LETTER_SCHEMA], current)


def test_every_schema_has_a_snapshot() -> None:
    """A new event version cannot be released without freezing its schema, and none can go away."""
    generated = {name.removeprefix("json/").removesuffix(".json") for name in documents() if name.startswith("json/")}
    assert generated == set(SNAPSHOTS)


def _require_b(schema: dict[str, Any]) -> None:
    schema["required"].append("b")


def _narrow_enum(schema: dict[str, Any]) -> None:
    schema["$defs"]["Kind"]["enum"].remove("two")


def _raise_minimum(schema: dict[str, Any]) -> None:
    schema["properties"]["b"]["minimum"] = 1


def _add_maximum(schema: dict[str, Any]) -> None:
    schema["properties"]["b"]["maximum"] = 10


def _forbid_null(schema: dict[str, Any]) -> None:
    schema["properties"]["a"]["anyOf"].pop()


def _other_pattern(schema: dict[str, Any]) -> None:
    schema["properties"]["a"]["anyOf"][0]["pattern"] = "^y"


def _other_type(schema: dict[str, Any]) -> None:
    schema["properties"]["b"]["type"] = "string"


def _limit_values(schema: dict[str, Any]) -> None:
    schema["properties"]["b"] = {"enum": [1, 2]}


def _limit_items(schema: dict[str, Any]) -> None:
    schema["properties"]["c"]["maxItems"] = 3


NARROWED = [
    (_require_b, ".b: is required"),
    (_narrow_enum, ".c[]: 'two' is refused"),
    (_raise_minimum, ".b: minimum 1"),
    (_add_maximum, ".b: maximum 10"),
    (_forbid_null, ".a: type null is refused"),
    (_other_pattern, ".a: pattern differs"),
    (_other_type, ".b: type integer is refused"),
    (_limit_values, ".b: values are limited"),
    (_limit_items, ".c: maxItems 3"),
]


@pytest.mark.parametrize(("narrow", "said"), NARROWED, ids=[narrow.__name__ for narrow, _ in NARROWED])
def test_a_narrower_reader_is_noticed_and_a_wider_one_is_not(
    narrow: Callable[[dict[str, Any]], None], said: str
) -> None:
    """Each way to refuse what was once accepted is named with its place; the way back is compatible."""
    narrower = copy.deepcopy(OBJECT)
    narrow(narrower)
    assert said in breaks(OBJECT, narrower)
    if narrow not in (_other_pattern, _other_type):
        assert [] == breaks(narrower, OBJECT)


def test_a_dropped_field_is_noticed() -> None:
    """A field that is no longer read is named, although JSON Schema would let it pass as unknown."""
    smaller = copy.deepcopy(OBJECT)
    del smaller["properties"]["c"]
    assert [] == breaks(OBJECT, smaller)
    assert [".c"] == lost(OBJECT, smaller)
    assert {".a", ".b", ".c"} == fields(OBJECT)


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_a_new_required_field_in_an_event_would_be_noticed(kind: str) -> None:
    """The check bites on the real schemas: require one more field of `data`, and old producers are reported broken."""
    changed = event_schema(kind)
    name = changed["properties"]["data"]["$ref"].removeprefix("#/$defs/")
    changed["$defs"][name]["properties"]["brand_new"] = {"type": "string"}
    changed["$defs"][name]["required"].append("brand_new")
    assert [".data.brand_new: is required"] == breaks(SNAPSHOTS[kind], changed)
