from __future__ import annotations

import pytest

from schemas import events
from tests.builders import World, at, engine_of, event, opened, paid, tried

DETECTORS = ("missed_installment", "gone_dark")


def out_of(channel: str, day: float) -> events.Event:
    """The borrower opts out."""
    return event(events.ContactOptedOut, at(day), channel=channel, identity=f"out-{channel}")


@pytest.mark.parametrize("channel", ["all", "sms"])
def test_an_opt_out_is_taken_and_raises_nothing(channel: str) -> None:
    """It is no dead letter, once or twice, and what alerts tell is the same without it."""
    facts = (opened([5, 10]), paid(4), tried(12, "call"), tried(13, "sms"))
    without = World(engine_of(*DETECTORS)).play(*facts, until=30)

    world = World(engine_of(*DETECTORS)).play(*facts, out_of(channel, 12), out_of(channel, 12), until=30)

    assert [] == world.letters
    assert [world.told(key) for key in DETECTORS] == [without.told(key) for key in DETECTORS]
    assert world.told("missed_installment")
