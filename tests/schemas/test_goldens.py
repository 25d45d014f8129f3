from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import orjson
import pytest

from schemas.alerts import AlertStatus, alert_id, episode_id
from schemas.codec import decode, decode_alert, encode
from schemas.deadletters import DeadLetterHeaders
from schemas.events import EVENTS
from schemas.generate import alert_schema, event_schema
from tests.schemas.compatibility import fields
from tests.schemas.goldens import GOLDEN, files, freeze, frozen, load, present

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

EVENT_FILES = files("events")
ALERT_FILES = files("alerts")


def _name(path: Path) -> str:
    return path.stem


def _meaning(value: Any) -> Any:
    """A JSON value with times as instants, since the same instant may be written in several ways."""
    if isinstance(value, dict):
        return {name: _meaning(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_meaning(part) for part in value]
    if isinstance(value, str) and "T" in value and value[:2] == "20":
        return datetime.fromisoformat(value)
    return value


def _with_golden_fields(rewritten: Any, golden: Any) -> Any:
    """What was written anew, without the defaults that the golden file leaves out."""
    if isinstance(golden, dict):
        return {name: _with_golden_fields(rewritten.get(name), part) for name, part in golden.items()}
    if isinstance(golden, list):
        assert len(rewritten) == len(golden)
        return [_with_golden_fields(*pair) for pair in zip(rewritten, golden, strict=True)]
    return rewritten


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{path}.{name}"
            yield from _paths(part, f"{path}.{name}")
    if isinstance(value, list):
        for part in value:
            yield from _paths(part, path + "[]")


@pytest.mark.parametrize("path", EVENT_FILES, ids=_name)
def test_a_golden_event_still_decodes_and_keeps_its_meaning(path: Path) -> None:
    """Bytes of a released producer decode to the class of their type; encoding them anew loses and alters nothing."""
    golden = load(path)
    event = decode(path.read_bytes())
    rewritten = orjson.loads(encode(event))
    assert EVENTS[golden["type"]] is type(event)
    assert _meaning(golden) == _with_golden_fields(_meaning(rewritten), _meaning(golden))
    assert event == decode(encode(event))


@pytest.mark.parametrize("path", ALERT_FILES, ids=_name)
def test_a_golden_alert_still_decodes_and_keeps_its_meaning(path: Path) -> None:
    """An alert of a released worker decodes, with fields yet unknown too; encoding it anew loses and alters nothing."""
    alert = decode_alert(path.read_bytes())
    assert alert == decode_alert(orjson.dumps(load(path) | {"brand_new": [1]}))
    golden = _meaning(load(path))
    assert golden == _with_golden_fields(_meaning(orjson.loads(encode(alert))), golden)


@pytest.mark.parametrize("path", ALERT_FILES, ids=_name)
def test_the_ids_of_golden_alerts_are_derived_as_ever(path: Path) -> None:
    """Episode and alert ids follow from the data: a change of the rule would make every old alert new."""
    data = decode_alert(path.read_bytes()).data
    episode = episode_id(data.detector, data.borrower, data.loan, data.onset)
    assert episode == data.episode_id
    assert alert_id(episode, data.revision, data.status, data.step) == data.alert_id


def test_ids_are_what_they_were_on_the_first_day() -> None:
    """The golden alerts' ids themselves were made by the same code; this one is written out."""
    data = decode_alert((GOLDEN / "alerts" / "opened.full.json").read_bytes()).data
    assert UUID("7ce132fe-6c8b-52df-9fbf-9675a3c5f258") == data.episode_id


@pytest.mark.parametrize("path", files("dead_letters"), ids=_name)
def test_a_golden_dead_letter_is_still_read(path: Path) -> None:
    """Headers of a released worker are read, and written anew they say the same."""
    headers = [(name, value.encode()) for name, value in load(path)]
    assert dict(headers).items() <= dict(DeadLetterHeaders.from_kafka(headers).to_kafka()).items()


@pytest.mark.parametrize("kind", sorted(EVENTS))
def test_the_golden_files_of_an_event_name_every_field(kind: str) -> None:
    """There is a minimal and a full file, the minimal one holds only what is required, and no field goes untested."""
    schema = event_schema(kind)
    mine = [load(path) for path in EVENT_FILES if path.name.startswith(f"{kind}.")]
    assert fields(schema) == {name for event in mine for name in _paths(event)}
    minimal = load(GOLDEN / "events" / f"{kind}.minimal.json")
    assert set(schema["required"]) == set(minimal)


def test_the_golden_alerts_name_every_field_and_status() -> None:
    """Each status has a minimal and a full file, and together they name every field."""
    expected = {f"{status}.{size}" for status in AlertStatus for size in ("minimal", "full")}
    assert expected <= {path.stem for path in ALERT_FILES}
    assert fields(alert_schema()) == {name for path in ALERT_FILES for name in _paths(load(path))}


def test_golden_files_are_never_changed_or_removed() -> None:
    """Every file has the hash that was written down when it was added, and none is missing or unlisted."""
    assert frozen() == present()


def test_freezing_refuses_a_changed_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing hashes down cannot be used to wave a change of a golden file through."""
    monkeypatch.setattr("tests.schemas.goldens.GOLDEN", tmp_path)
    monkeypatch.setattr("tests.schemas.goldens.HASHES", tmp_path / "SHA256SUMS")
    golden = tmp_path / "a.json"
    golden.write_text("{}", encoding="utf-8")
    assert freeze() is None
    golden.write_text("[]", encoding="utf-8")
    assert "changed or removed: a.json" in (freeze() or "")
    golden.unlink()
    assert "changed or removed: a.json" in (freeze() or "")
