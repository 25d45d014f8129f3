"""Calm: snoozes, alerts held by stronger ones, and what is said afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from schemas import events
from schemas.alerts import Severity
from streams.engine.detector import Detector, Finding
from streams.engine.engine import Engine
from streams.engine.policy import Policy
from tests.builders import World, at, closed, engine_of, event, opened, paid, repeat

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.engine.detector import BorrowerView

MISSED = "missed_installment"


def snoozed(day: float, until: float, detector: str | None = None) -> events.Event:
    """Somebody asks for calm until a day."""
    data: dict[str, Any] = {"until": at(until, 0).isoformat(), "by": "staff-1"}
    return event(events.BorrowerSnoozed, at(day), **data | ({"detector": detector} if detector else {}))


def test_a_snooze_holds_what_would_open_until_it_is_over() -> None:
    """The installment due on day 10 is missed on day 11 and told on day 20, when the calm ends."""
    world = World(engine_of(MISSED)).play(opened([5, 10]), paid(4), snoozed(6, 20), until=30)
    assert [(20, "opened", 5), (25, "escalated", 15)] == world.told(MISSED)


def test_a_snooze_holds_escalations_and_lets_the_end_through() -> None:
    """What is open goes on in silence, and ends aloud."""
    facts = [opened([5, 10]), paid(4), snoozed(12, 40), paid(30), closed(30)]
    assert [(11, "opened", 1), (30, "resolved", 1)] == [
        (day, status, 1) for day, status, _ in World(engine_of(MISSED)).play(*facts, until=60).told(MISSED)
    ]


def test_a_snooze_of_one_detector_leaves_the_others_awake() -> None:
    """Only the named detector is quiet."""
    facts = [opened([5, 10]), paid(4), paid(9, 500), snoozed(6, 20, "partial_payment")]
    world = World(engine_of(MISSED, "partial_payment")).play(*facts, until=30)
    assert 11 == world.told(MISSED)[0][0]
    assert 20 == world.told("partial_payment")[0][0]


def test_a_snooze_that_ends_at_once_ends_the_former_one() -> None:
    """Calm can be taken back: what is true by then opens there and then."""
    world = World(engine_of(MISSED)).play(opened([5, 10]), paid(4), snoozed(6, 40), snoozed(15, 15), until=16)
    assert (15, "opened", 5) == world.told(MISSED)[0]


@pytest.mark.parametrize("reborn", [False, True])
def test_a_snooze_outlives_a_restart_and_a_repeat(reborn: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """It is state, and part of the order like any other event."""
    engine = engine_of()
    facts = [opened([5, 10]), paid(4), snoozed(6, 20)]
    world = World(engine, reborn=reborn).play(*facts, until=30)
    assert (20, "opened", 5) == world.told(MISSED)[0]
    assert world.alert_bytes == repeat(world, engine).alert_bytes
    assert [] == world.borrower().snoozes


class Twice(Detector):
    """Two payments were made."""

    key = "twice"
    listens = frozenset({"ews.repayment.received.v1"})
    first_step = "Count."

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Whether a loan has two payments."""
        for loan in view.loans:
            if len(loan.payments) > 1:
                yield Finding(loan.id, None, 1, Severity.INFO, "Twice.", ())


def test_a_detector_is_held_while_another_says_as_much() -> None:
    """Held while the miss is open; when that is over, what is still true is told in the same moment."""
    others = engine_of(MISSED).detectors
    facts = [opened([5, 10]), paid(4), paid(12, 100), paid(14, 900)]
    free = World(Engine(Policy(), [Twice(), *others])).play(*facts, until=20)
    held = World(Engine(Policy(), [Twice(held_while=frozenset({MISSED})), *others])).play(*facts, until=20)
    assert [(12, "opened", 1)] == free.told("twice")
    assert [(14, "opened", 1)] == held.told("twice")
    assert free.told(MISSED) == held.told(MISSED)


class Counting(Detector):
    """How many others are open."""

    key = "counting"
    listens = frozenset()
    first_step = "Count."
    composite = True

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """As many steps as there are others."""
        others = [e.detector for e in view.open_episodes() if e.detector != self.key]
        if others:
            yield Finding("", None, len(others), Severity.INFO, ", ".join(others), ())


def test_a_composite_sees_what_the_others_said_in_the_same_moment() -> None:
    """It is judged last, whenever an episode has changed, and does not see who is on trial."""
    plain = [*engine_of(MISSED, "partial_payment").detectors]
    facts = [opened([5, 10]), paid(4), paid(9, 500), paid(14, 500)]
    world = World(Engine(Policy(), [Counting(), *plain])).play(*facts, until=20)
    assert [(11, "opened", 2), (14, "resolved", 2)] == world.told("counting")
    trial = [*engine_of(MISSED).detectors, *engine_of("partial_payment", policy=_on_trial()).detectors]
    world = World(Engine(Policy(), [Counting(), *trial])).play(*facts, until=20)
    assert [(11, "opened", 1), (14, "resolved", 1)] == world.told("counting")


def _on_trial() -> Policy:
    return Policy(detectors={"partial_payment": {"shadow": True}})
