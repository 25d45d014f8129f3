from __future__ import annotations

import copy
from datetime import datetime
from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from schemas import generate
from schemas.codec import InvalidEvent, decode
from schemas.events import EVENTS
from tests.schemas.goldens import GOLDEN, files, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FORMATS = FormatChecker(["date"])
BEYOND_SCHEMA = (
    "penalty, fee and interest exceed amount_minor",
    "numbers must increase",
    "due dates must not decrease",
    "allocation exceeds amount_minor",
    "paid names an installment",
    "a schedule is required unless",
)
"""Rules between fields, which JSON Schema cannot state: only the worker and `ews validate` see these."""
ABSENT = object()
WRONG: tuple[Any, ...] = (
    ABSENT,
    None,
    True,
    False,
    0,
    1,
    -1,
    5.5,
    10**16,
    -(10**16),
    2**63,
    "",
    "x",
    "5",
    "a b",
    "é",
    "x" * 300,
    [],
    ["x"],
    [1],
    {},
    {"x": 1},
    "2026-02-30",
    "2026-13-01T00:00:00Z",
    "2026-03-01",
    "2026-03-01T00:00:00",
    "2026-03-01 00:00:00Z",
    "2026-03-01T00:00:00Z",
    "2026-03-01T25:00:00Z",
    "1969-12-31T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "0000-01-01",
    "usd",
    "USX",
    "USD",
    "Mars/Olympus",
    "BOOK",
    "PDNG",
    "hard",
    "R01",
    "ews.unknown.v1",
    [{"number": 1}],
    "1.0",
)
"""Values put in the place of every field of every event in turn."""


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value) is not None


def _validator(kind: str) -> Draft202012Validator:
    return Draft202012Validator(load(generate.HERE / "json" / f"{kind}.json"), format_checker=FORMATS)


def _places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if path:
        yield path
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        yield from _places(part, (*path, name))


def _changed(event: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(event)
    holder: Any = changed
    for name in path[:-1]:
        holder = holder[name]
    if value is ABSENT:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return changed


def _refusal(event: dict[str, Any]) -> str | None:
    try:
        decode(orjson.dumps(event))
    except InvalidEvent as fault:
        return fault.detail
    return None


def test_the_written_schemas_are_what_the_models_say() -> None:
    """`poe schemas` was run after the last change of a model, and no file of a former event is left."""
    written = {f"json/{path.name}" for path in (generate.HERE / "json").iterdir()} | {"asyncapi.json"}
    wanted = generate.documents()
    assert set(wanted) == written
    stale = [name for name, text in wanted.items() if (generate.HERE / name).read_text(encoding="utf-8") != text]
    assert stale == [], "run `uv run poe schemas`"


def test_writing_removes_the_schema_of_an_event_that_is_no_more(tmp_path: Path) -> None:
    """Generation leaves exactly the documents of today."""
    (tmp_path / "json").mkdir()
    (tmp_path / "json" / "ews.gone.v1.json").write_text("{}", encoding="utf-8")
    generate.write(tmp_path)
    found = {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.json")}
    assert set(generate.documents()) == found


@pytest.mark.parametrize("path", sorted((generate.HERE / "json").glob("*.json")), ids=lambda path: path.stem)
def test_a_written_schema_is_valid_draft_2020_12(path: Path) -> None:
    """Each file is a schema of the dialect that it names, with an id of its own."""
    schema = load(path)
    Draft202012Validator.check_schema(schema)
    assert f"urn:ews:{path.stem}" == schema["$id"]


@pytest.mark.parametrize("path", files("events"), ids=lambda path: path.stem)
def test_golden_events_satisfy_their_json_schema(path: Path) -> None:
    """What pydantic reads, the JSON Schema accepts, unknown fields included."""
    event = load(path)
    validator = _validator(event["type"])
    validator.validate(event)
    validator.validate(event | {"anything": {"else": 1}})
    assert _refusal(event | {"anything": {"else": 1}}) is None


@pytest.mark.parametrize("path", files("alerts"), ids=lambda path: path.stem)
def test_golden_alerts_satisfy_their_json_schema(path: Path) -> None:
    """What a subscriber validates with is what the worker writes."""
    _validator(generate.ALERT_SCHEMA).validate(load(path))


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_pydantic_and_json_schema_judge_alike(kind: str) -> None:
    """Every field replaced by every bad value in turn: both refuse or both accept, save for rules between fields."""
    validator = _validator(kind)
    event = load(GOLDEN / "events" / f"{kind}.full.json")
    differ = []
    for path in _places(event):
        for value in WRONG:
            if path == ("type",) and value is not ABSENT:
                continue  # Another type is another schema.
            changed = _changed(event, path, value)
            refusal, accepted = _refusal(changed), validator.is_valid(changed)
            if (refusal is None) != accepted and not (refusal and any(rule in refusal for rule in BEYOND_SCHEMA)):
                differ.append((path, value, refusal))
    assert differ == []


@pytest.mark.parametrize("rule", BEYOND_SCHEMA)
def test_the_rules_beyond_json_schema_are_few_and_real(rule: str) -> None:
    """Each listed exception is met by a case that the JSON Schema accepts and the worker refuses."""
    opened = load(GOLDEN / "events" / "ews.loan.opened.v1.full.json")
    snapshot = load(GOLDEN / "events" / "ews.loan.snapshot.v1.full.json")
    received = load(GOLDEN / "events" / "ews.repayment.received.v1.full.json")
    replanned = load(GOLDEN / "events" / "ews.loan.schedule_changed.v1.full.json")
    cases = [
        _changed(opened, ("data", "schedule", 0, "amount_minor"), 0),
        _changed(opened, ("data", "schedule", 1, "number"), 1),
        _changed(opened, ("data", "schedule", 1, "due_on"), "2020-01-01"),
        _changed(received, ("data", "amount_minor"), 1),
        _changed(snapshot, ("data", "paid", 0, "number"), 7),
        _changed(replanned, ("data", "schedule"), []),
    ]
    met = [case for case in cases if rule in (_refusal(case) or "")]
    assert met
    assert all(_validator(case["type"]).is_valid(case) for case in met)


def test_a_float_is_never_money() -> None:
    """JSON Schema counts 5.0 as an integer; we do not, since a producer who has floats has rounding errors too."""
    event = load(GOLDEN / "events" / "ews.promise.made.v1.minimal.json")
    assert _refusal(_changed(event, ("data", "amount_minor"), 5.0)) == "data.amount_minor: must be an integer"
