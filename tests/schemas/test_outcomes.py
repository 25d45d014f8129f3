from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest
from jsonschema import Draft202012Validator

from schemas.codec import InvalidEvent, Reason, decode_outcome, encode
from schemas.generate import outcome_schema
from schemas.outcomes import OUTCOME_TYPE, Verdict
from tests.schemas.compatibility import breaks, fields, lost
from tests.schemas.goldens import GOLDEN, files, load

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

FILES = files("outcomes")
SNAPSHOT = load(GOLDEN / "schemas" / f"{OUTCOME_TYPE}.json")


def _paths(value: Any, path: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, part in value.items():
            yield f"{path}.{name}"
            yield from _paths(part, f"{path}.{name}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_outcome_is_read_and_fits_its_schema(path: Path) -> None:
    """What a released case system writes is read, again after it was written anew, and fits the JSON Schema."""
    outcome = decode_outcome(path.read_bytes())
    assert outcome == decode_outcome(encode(outcome))
    assert outcome == decode_outcome(orjson.dumps(load(path) | {"brand_new": [1]}))
    assert [] == list(Draft202012Validator(outcome_schema()).iter_errors(load(path)))


def test_the_golden_outcomes_name_every_field_and_verdict() -> None:
    """No field and no verdict goes untested."""
    assert fields(outcome_schema()) == {name for path in FILES for name in _paths(load(path))}
    assert set(Verdict) == {decode_outcome(path.read_bytes()).data.outcome for path in FILES}


def test_an_outcome_of_a_released_version_is_still_read() -> None:
    """The schema may only widen."""
    assert [] == breaks(SNAPSHOT, outcome_schema())
    assert [] == lost(SNAPSHOT, outcome_schema())


def test_two_verdicts_say_that_an_alert_was_true() -> None:
    """A valuable alert counts as true even where no loss came of it."""
    assert [True, True, False] == [verdict.true for verdict in Verdict]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"subject": "b-other"}, "subject is not the borrower"),
        ({"id": None}, "id: must be text"),
        ({"data": {}}, "data.alert_id: is required"),
    ],
)
def test_a_wrong_outcome_is_refused_with_its_field(change: dict[str, Any], said: str) -> None:
    """A case system is told what is wrong, and never what it sent."""
    with pytest.raises(InvalidEvent) as refused:
        decode_outcome(orjson.dumps(load(FILES[0]) | change))
    assert refused.value.reason is Reason.INVALID
    assert said in refused.value.detail
