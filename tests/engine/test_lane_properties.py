from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import Topic
from streams.engine.drain import LANE_KEY
from streams.engine.policy import Limits, Policy
from tests.builders import World, engine_of, known_ms, repeat
from tests.engine.lives import LAST_DAY, lives

if TYPE_CHECKING:
    from schemas.events import Event

ENGINE = engine_of()
PATIENT = engine_of(policy=Policy(limits=Limits(closed_loan_days=400)))
END = LAST_DAY + 40
modest = settings(max_examples=120, deadline=None)


@given(lives())
@modest
def test_a_lane_goes_on_from_what_is_kept(facts: list[Event]) -> None:
    """Made anew from its states after every commit, it tells the same bytes and keeps the same bytes."""
    whole = World(ENGINE).play(*facts, until=END)
    reborn = World(ENGINE, reborn=True).play(*facts, until=END)
    assert whole.alert_bytes == reborn.alert_bytes
    assert whole.states == reborn.states
    assert whole.letters == reborn.letters


@given(lives(most=14), st.lists(st.tuples(st.integers(0, 60), st.integers(0, 25 * 24)), max_size=5))
@modest
def test_a_duplicate_changes_nothing(facts: list[Event], again: list[tuple[int, int]]) -> None:
    """Events delivered once more within weeks: no other alert, no other state."""
    keyed = [fact for fact in facts if fact.topic != Topic.FEEDS]
    deliveries = [(known_ms(fact), fact.source, fact.id, fact) for fact in keyed]
    twice = [
        (known_ms(fact) + hours * 3_600_000, fact.source, fact.id, fact)
        for fact, hours in ((keyed[n % len(keyed)], hours) for n, hours in again if keyed)
    ]
    once, doubled = World(PATIENT), World(PATIENT)
    for world, rows in ((once, deliveries), (doubled, deliveries + twice)):
        for when_ms, _, _, fact in sorted(rows, key=lambda row: row[:3]):
            world.deliver(fact, when_ms)
        world.play(until=END + 30)
    assert once.alert_bytes == doubled.alert_bytes
    assert once.borrowers() == doubled.borrowers()


@given(lives(), st.data())
@modest
def test_how_a_backlog_is_cut_into_drains_changes_nothing(facts: list[Event], data: st.DataObject) -> None:
    """One drain, many small ones with the rest waited for, and a replay of the file tell the same."""
    whole = World(ENGINE).load(*facts).drain(until=END)
    played = World(ENGINE).play(*facts, until=END)
    pieces = World(ENGINE).load(*facts)
    for _ in range(200):
        if all(
            pieces.lane.positions.get(topic, 0) == len(log) for topic, log in pieces.log.items() if topic != "feeds"
        ):
            break
        pieces.drain({topic: data.draw(st.integers(0, 6)) for topic in pieces.log})
    pieces.drain(until=END)
    for other in (played, pieces):
        assert whole.alert_bytes == other.alert_bytes
        assert whole.states == other.states
        assert whole.letters == other.letters


@given(lives(), st.booleans())
@modest
def test_repeating_the_order_tells_the_same_bytes(facts: list[Event], reborn: bool) -> None:  # noqa: FBT001 - drawn
    """What the order records say is enough to do all of it again."""
    world = World(ENGINE, reborn=reborn).play(*facts, until=END)
    again = repeat(world, ENGINE)
    assert world.alert_bytes == again.alert_bytes
    assert world.states == again.states
    assert world.letters == again.letters
    assert world.orders == again.orders
    assert LANE_KEY in again.states or not facts


@given(lives(most=15))
@settings(max_examples=40, deadline=None)
def test_by_the_wall_clock_too_a_lane_goes_on_and_repeats(facts: list[Event]) -> None:
    """With quiet sources, ticks of a minute and restarts everywhere, the bytes are the same."""
    wall = {"clock": "wall", "step_ms": 60_000}
    whole = World(ENGINE, **wall).play(*facts, until=END)
    reborn = World(ENGINE, reborn=True, **wall).play(*facts, until=END)
    again = repeat(whole, ENGINE)
    for other in (reborn, again):
        assert whole.alert_bytes == other.alert_bytes
        assert whole.states == other.states
