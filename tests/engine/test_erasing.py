"""A borrower is erased: what is left, what is told, and what becomes of events that still arrive."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from schemas import events
from schemas.portfolio import CohortChanged, LinkChanged
from streams.engine.borrower import restore
from tests.builders import World, at, engine_of, event, opened, paid, repeat
from tests.engine.hops import Told1, told_of

if TYPE_CHECKING:
    from streams.engine.drain import Outbound

MISSED = "missed_installment"


def erased(day: float, **data: Any) -> events.Event:
    """Somebody decided so on a day."""
    return event(events.BorrowerErased, at(day), by="staff-1", **data)


def counted(outbound: list[Outbound]) -> Counter[str]:
    """How many loans each cohort counts, summed over all that was told."""
    total: Counter[str] = Counter()
    for told in told_of(outbound):
        if isinstance(told, CohortChanged):
            total[told.cohort] += sum(told.loans)
    return total


def kept(world: World) -> Any:
    """The one borrower's state."""
    (value,) = [value for key, value in world.states.items() if not key.startswith(b"\x00")]
    return restore(value)


@pytest.mark.parametrize("reborn", [False, True])
def test_nothing_is_left_but_the_mark(reborn: bool) -> None:  # noqa: FBT001 - a parameter of the test
    """Loans, measures, episodes and ids of events are gone at once, the shells of counted loans by the next day."""
    world = World(engine_of(MISSED), reborn=reborn).play(opened([5, 10]), paid(4), erased(20), until=22)
    left = kept(world)
    assert left.erased_ms
    assert ([], [], [], [], []) == (left.loans, left.measured, left.episodes, left.waiting, left.past)
    assert 1 == len(left.ids), "the event that said so"
    (key,) = [key for key in world.states if not key.startswith(b"\x00")]
    assert len(world.states[key]) < 100


def test_open_episodes_are_resolved_and_nothing_opens_any_more() -> None:
    """Subscribers hear that what they know is over, and why; no due date of the erased borrower fires."""
    world = World(engine_of(MISSED)).play(opened([5, 10, 40]), paid(4), erased(20), until=90)
    assert ["opened", "escalated", "resolved"] == [status for _, status, _ in world.told(MISSED)]
    assert "The borrower was erased." == world.alerts[-1].data.reason


def test_what_still_arrives_is_passed_over() -> None:
    """Late and later events of the erased token leave no trace but a count, whatever their time."""
    world = World(engine_of(MISSED)).play(opened([5, 10]), erased(20), until=22)
    before = kept(world)
    world.play(paid(19), paid(25), until=40)
    assert before == kept(world)
    assert 2 == world.counts["event", "repayments", "erased"]
    assert [] == world.dead_letters


def test_erased_twice_is_erased() -> None:
    """The same event again changes nothing; another one moves the mark."""
    once = erased(20)
    world = World(engine_of(MISSED)).play(opened([5, 10]), once, once, until=22)
    first = kept(world).erased_ms
    world.play(erased(30), until=31)
    assert first < kept(world).erased_ms


def test_one_who_was_never_seen_can_be_erased() -> None:
    """Then there is the mark alone, so that what is on its way finds nobody."""
    world = World(engine_of(MISSED)).play(erased(20), opened([15, 30], day=10), until=50)
    assert ([], []) == (kept(world).loans, world.alerts)


def test_a_loan_opened_later_makes_a_customer_again() -> None:
    """The mark ends with a loan that is opened after it, and due dates count again."""
    world = World(engine_of(MISSED)).play(
        opened([5, 10]), paid(4), erased(20), opened([35], day=30, loan="l-2"), until=50
    )
    assert 0 == kept(world).erased_ms
    assert ["l-2"] == [alert.data.loan for alert in world.alerts if alert.data.status == "opened"][-1:]


def test_a_refused_loan_leaves_the_mark() -> None:
    """A loan under the id of another event becomes a dead letter, and makes nobody a customer again."""
    mark = erased(20, identity="e-same")
    world = World(engine_of(MISSED)).play(opened([5, 10]), mark, opened([35], day=30, loan="l-2", identity="e-same"))
    assert ["id_conflict"] == [letter["reason"] for letter in world.dead_letters]
    world.play(paid(31, loan="l-2"), until=32)
    assert kept(world).erased_ms


def test_the_mark_is_forgotten_after_the_horizon() -> None:
    """A token is not kept for ever for having been erased."""
    world = World(engine_of(MISSED)).play(opened([5, 10]), erased(20), until=20 + 402)
    assert [] == [key for key in world.states if not key.startswith(b"\x00")]


def test_cohorts_and_links_lose_the_borrower() -> None:
    """What the second hop counts of a borrower adds up to nothing after the day of the erasure."""
    lane = Told1(engine_of(MISSED)).play(opened([5, 10], phone_token="p-77", employer_token="mill"), paid(4), until=8)
    assert any(counted(lane.outbound).values())
    lane.play(erased(9), until=11)
    assert not any(counted(lane.outbound).values())
    members = {told.link: told.bucket for told in told_of(lane.outbound) if isinstance(told, LinkChanged)}
    assert {None} == set(members.values()), "the last word on each link is that the borrower has left it"


def test_the_order_repeats_an_erasure_byte_for_byte() -> None:
    """It stands in the order like any other event."""
    world = World(engine_of(MISSED)).play(opened([5, 10]), paid(4), erased(20), paid(25), until=40)
    assert world.alert_bytes == repeat(world, world.engine).alert_bytes
