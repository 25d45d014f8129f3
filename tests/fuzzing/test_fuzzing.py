from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import hypothesis.strategies as some
from hypothesis import given, settings

from schemas.codec import InvalidEvent, Reason, decode
from streams.engine.engine import Engine
from tests.fuzzing.campaign import campaign
from tests.fuzzing.mutations import goldens

if TYPE_CHECKING:
    import pytest

JSON = some.recursive(
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(),
    lambda inner: some.lists(inner) | some.dictionaries(some.text(), inner),
    max_leaves=10,
)


def judged(value: bytes | None) -> bool:
    """Whether it is an event; if it is not, there must be a reason."""
    reason = None
    try:
        decode(value)
    except InvalidEvent as invalid:
        reason = invalid.reason
    assert reason is None or reason in set(Reason) - {Reason.CRASHED}
    return reason is None


def test_spoiled_records_have_reasons_and_their_neighbours_do_not_notice() -> None:
    """5,000 records of golden events spoiled in bytes, structure and envelope: `python -m tests.fuzzing` runs more."""
    outcome = campaign(seed=20, messages=5_000)
    assert outcome.wrong == []
    assert len(outcome.rejected) > 10
    assert outcome.applied["applied"] > 500


def test_an_engine_that_fails_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Poison is a dead letter to the product, and a finding here."""
    on_event = Engine.on_event

    def failing(self: Engine, token: str, *args: Any, **kwargs: Any) -> Any:
        if token.endswith("7"):
            raise ValueError
        return on_event(self, token, *args, **kwargs)

    monkeypatch.setattr(Engine, "on_event", failing)
    assert any("ValueError" in wrong for wrong in campaign(seed=20, messages=800).wrong)


@given(some.binary())
@settings(deadline=None, max_examples=300)
def test_any_bytes_are_an_event_or_have_a_reason(value: bytes) -> None:
    """There are no bytes on which decoding fails in another way."""
    assert not judged(value)


@given(some.integers(0, len(goldens()) - 1), some.data())
@settings(deadline=None, max_examples=300)
def test_any_value_in_any_place_of_a_golden_event_is_an_event_or_has_a_reason(
    number: int, data: some.DataObject
) -> None:
    """Wherever a producer's mistake is, decoding says so or takes it."""
    document = json.loads(json.dumps(goldens()[number]))
    inner = document if data.draw(some.booleans()) else document["data"]
    inner[data.draw(some.sampled_from(sorted(inner)))] = data.draw(JSON)
    judged(json.dumps(document).encode("utf-8", "surrogatepass"))
