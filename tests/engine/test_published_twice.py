"""What the outbox may publish twice, the engine takes once."""

from __future__ import annotations

from schemas.events import PromiseMade, ScheduleChanged
from tests.builders import World, at, engine_of, event, on, opened, paid

CASES = "ews/cases"


def test_a_promise_that_is_published_twice_is_one() -> None:
    """The same bytes again, at once, later, and behind its own breach: the alerts are those of one."""
    made = event(
        PromiseMade, at(33), source=CASES, loan="l-1", promise_id="p-1", amount_minor=1_000, currency="CNY",
        promised_on=on(35),
    )  # fmt: skip
    loan = opened([30, 60])
    once = World(engine_of("broken_promise")).play(loan, made, until=45)
    twice = World(engine_of("broken_promise")).play(loan, made, made, until=40)
    twice.play(made, until=45)

    assert once.alerts == twice.alerts
    assert 1 == len(once.told("broken_promise"))
    assert (1, 2) == (
        twice.counts["event", "repayments", "duplicate"] - 1,
        twice.counts["event", "repayments", "applied"],
    )


def test_a_plan_that_is_published_twice_is_one() -> None:
    """A schedule that was changed and then paid is not changed again by the repeat."""
    lines = [{"number": 1, "due_on": on(50).isoformat(), "amount_minor": 1_000}]
    changed = event(
        ScheduleChanged, at(35), source=CASES, loan="l-1", reason="plan", effective_on=on(35), schedule=lines
    )
    facts = [opened([30]), changed, paid(49), changed]
    world = World(engine_of("missed_installment")).play(*facts, until=60)
    assert [] == [one for one in world.told("missed_installment") if one[0] > 35 and one[1] == "opened"]
    assert 1 == world.counts["event", "repayments", "duplicate"]
