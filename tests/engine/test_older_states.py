"""A state that the release before wrote is read, and goes on as if this one had written it."""

from __future__ import annotations

import base64
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from schemas.codec import decode
from streams.engine.borrower import STATE_VERSION, restore, snapshot, version_of, wakeups_of
from streams.engine.drain import LANE_KEY
from streams.errors import Misconfigured
from tests.builders import World, booked, engine_of, paid

if TYPE_CHECKING:
    from streams.engine.borrower import Borrower

GOLDEN = Path(__file__).parent / "golden" / "state-v2.json"
"""A life, and the state of version 2 that came of it."""


@cache
def golden() -> dict[str, Any]:
    """The events of the life, until when it was played, and the states."""
    found: dict[str, Any] = orjson.loads(GOLDEN.read_bytes())
    return found


def old_value() -> bytes:
    """The state as version 2 kept it."""
    return base64.b64decode(golden()["states"]["b-1"])


def played() -> World:
    """The same life, played by this release."""
    facts = [decode(orjson.dumps(event)) for event in golden()["events"]]
    return World(engine_of()).play(*facts, until=golden()["until"])


def content(borrower: Borrower) -> dict[str, object]:
    """All that is kept, whatever number the buckets are counted from."""
    stores = {
        key: {part: (store.numbers, *vars_of(store)) for part, store in borrower.parts(key).items()}
        for key in borrower.measured
    }
    return borrower.content() | {"stores": stores, "ids": borrower.ids}


def vars_of(store: Any) -> list[object]:
    """All but the numbers of the buckets."""
    return [getattr(store, name) for name in store.__struct_fields__ if name not in {"base", "ats"}]


def test_a_state_of_version_2_says_the_same_as_one_of_this_release() -> None:
    """Loans, measures, episodes, ids and wake-ups: all as this release keeps them after the same events."""
    assert 2 == version_of(old_value())
    assert content(played().borrower()) == content(restore(old_value()))
    assert wakeups_of(played().states[b"b-1"]) == wakeups_of(old_value())


def test_a_state_of_version_2_goes_on_like_one_of_this_release() -> None:
    """What comes after the upgrade raises the same alerts, byte for byte."""
    new = played()
    old = World(new.engine)
    old.states.update({b"b-1": old_value(), LANE_KEY: new.states[LANE_KEY]})
    old.lane = old.start()
    before = len(new.alert_bytes)
    after = [booked(71, 5_000), paid(72, loan="l-1", amount=600), paid(80, loan="l-2", amount=2_000), booked(90, -9)]
    assert old.play(*after, until=130).alert_bytes == new.play(*after, until=130).alert_bytes[before:]
    assert old.alert_bytes
    assert STATE_VERSION == version_of(old.states[b"b-1"])


def test_an_id_of_version_2_is_still_a_duplicate() -> None:
    """The memory of ids survives the upgrade."""
    old = World(engine_of())
    old.states.update({b"b-1": old_value(), LANE_KEY: played().states[LANE_KEY]})
    old.lane = old.start()
    late = next(event for event in reversed(golden()["events"]) if event["type"] == "ews.transaction.booked.v1")
    old.play(decode(orjson.dumps(late)))
    assert 1 == old.counts["event", "transactions", "duplicate"]


def test_parts_that_nobody_looked_at_are_kept_as_they_were() -> None:
    """To read a state and write it again changes no byte, whichever of its parts were looked at."""
    value = played().states[b"b-1"]
    looked = restore(value)
    assert looked.content()
    assert value == snapshot(looked) == snapshot(restore(value))


def test_a_state_of_another_release_is_refused() -> None:
    """It is not guessed at: the worker says which versions it reads."""
    strange = bytearray(old_value())
    strange[strange.index(2)] = 9
    with pytest.raises(Misconfigured, match="version 9"):
        restore(bytes(strange))
