from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import events
from schemas.alerts import AlertStatus, Mode
from schemas.topics import partition_of
from streams.engine.feeds import FOREVER, Feed, Feeds
from streams.engine.policy import Feeds as Rules
from streams.engine.policy import Policy, Source
from tests.builders import SERVICING, World, at, engine_of, event, heartbeat, opened, paid

OTHER = "servicing/other"


def beats(first: int, last: int, source: str = SERVICING) -> list:
    """Heartbeats each hour through the days [first, last]."""
    return [heartbeat(day, source, hour=hour) for day in range(first, last + 1) for hour in range(24)]


def borrowers(number: int, source: str = SERVICING) -> list:
    """As many loans, each due on day 30 only, each of its own borrower."""
    return [opened([30], subject=f"b-{n}", loan=f"l-{n}", source=source) for n in range(number)]


def payments(number: int, day: float, valued: float, source: str = SERVICING) -> list:
    """The payment of each of them."""
    return [
        paid(day, subject=f"b-{n}", loan=f"l-{n}", payment=f"p-{n}", valued=valued, source=source)
        for n in range(number)
    ]


def test_a_dead_feed_is_not_taken_for_silence() -> None:
    """Stopped for 24 h over 1,000 due dates: one feed alert and no other; back with payments valued in time: none."""
    # 29 beats   30 10:00 last beat ..... due 30 ..... 31 10:00 back: payments valued 30, beats again   35
    facts = [*borrowers(1_000), *beats(28, 29), *(heartbeat(30, hour=hour) for hour in range(11))]
    world = World(engine_of("missed_installment")).play(*facts, until=31.4)
    assert [("feed_stale", 30, "opened", 1)] == world.said()
    assert 1_000 == world.lane.held()
    back = [*payments(1_000, 31.01, 30), *(heartbeat(31, hour=hour) for hour in range(11, 24)), *beats(32, 34)]
    world.play(*back, until=35)
    assert [("feed_stale", 30, "opened", 1), ("feed_stale", 31, "resolved", 1)] == world.said()
    assert 1 == len({alert.data.episode_id for alert in world.alerts})


def test_what_is_late_fires_when_the_feed_is_back() -> None:
    """Of those held, the one that did not pay is told, as of the day through which the feed is complete."""
    # 29 last beat   30 due   31 10:15 back: one of three did not pay   31 11:00 beats again
    back = [*payments(2, 31.01, 30), *(heartbeat(31, hour=hour) for hour in range(11, 24)), *beats(32, 34)]
    world = World(engine_of("missed_installment")).play(*borrowers(3), *beats(28, 29), *back, until=35)
    assert [(31, "opened", 1)] == world.told("missed_installment")
    assert "b-2" == next(a for a in world.alerts if a.data.detector == "missed_installment").data.borrower


def test_a_stale_feed_is_told_again_the_next_time() -> None:
    """Two outages are two episodes, without an alert id twice."""
    # 0-2 beats ... 5-6 beats ... 9
    world = World(engine_of("missed_installment")).play(
        *borrowers(1), *beats(0, 2), *beats(5, 6), *beats(9, 9), until=9.9
    )
    assert [(3, "opened", 1), (5, "resolved", 1), (7, "opened", 1), (9, "resolved", 1)] == world.told("feed_stale")
    assert 2 == len({alert.data.episode_id for alert in world.alerts})


def test_the_alarms_of_another_source_are_not_held() -> None:
    """Only the borrowers of the dead feed wait."""
    # both due 30; servicing/core stops on 29, servicing/other goes on
    facts = [*borrowers(1), opened([30], subject="x", loan="x", source=OTHER), *beats(27, 29), *beats(27, 40, OTHER)]
    world = World(engine_of("missed_installment")).play(*facts, until=32)
    assert ["x"] == [a.data.borrower for a in world.alerts if a.data.detector == "missed_installment"]
    assert {SERVICING} == {a.data.borrower for a in world.alerts if a.data.detector == "feed_stale"}


def test_a_quiet_source_without_heartbeats_is_not_complete() -> None:
    """By the wall clock nothing for more than 26 h holds its alarms and tells one staleness; an event ends both."""
    # 28 10:00 last event of the source   29 12:00 quiet   30 due   33 10:00 another event: complete again
    world = World(engine_of("missed_installment"), clock="wall", step_ms=60_000)
    world.play(opened([30], day=27), opened([90], loan="l-2", day=28), until=32)
    assert [("feed_stale", 29, "opened", 1)] == world.said()
    assert at(29, 12).timestamp() < world.alerts[0].time.timestamp() <= at(29, 12.1).timestamp()
    world.play(
        event(
            events.PromiseMade,
            at(33),
            loan="l-2",
            promise_id="x",
            amount_minor=1,
            currency="CNY",
            promised_on="2025-03-01",
        )
    )
    world.play(until=33.5)
    expected = [
        ("feed_stale", 29, "opened", 1),
        ("feed_stale", 33, "resolved", 1),
        ("missed_installment", 33, "opened", 1),
    ]
    assert expected == world.said()


def test_a_source_within_its_quiet_limit_is_complete() -> None:
    """Exactly 26 h of silence is not yet quiet."""
    # 29 22:00 last event   31 00:00 is 26 h later: the alarm of day 30 fires
    facts = [opened([30], day=29), opened([90], loan="l-2", day=29.5)]
    world = World(engine_of("missed_installment"), clock="wall", step_ms=60_000).play(*facts, until=31)
    assert [("missed_installment", 31, "opened", 1)] == world.said()


def test_a_source_of_a_plain_file_is_complete() -> None:
    """With the clock of events what is not in the file never was."""
    # 0 opened ........ 30 due   31 alert
    assert [("missed_installment", 31, "opened", 1)] == World(engine_of("missed_installment")).play(
        opened([30]), until=32
    ).said()


def test_a_source_may_be_quiet_for_longer_by_policy() -> None:
    """Its own limit stands in place of the general one."""
    rules = Rules(sources={SERVICING: Source(quiet_hours=24 * 60)})
    world = World(engine_of("missed_installment", policy=Policy(feeds=rules)), clock="wall", step_ms=60_000)
    assert [(31, "opened", 1)] == world.play(opened([30]), until=32).told("missed_installment")


def test_a_broken_or_future_heartbeat_is_a_dead_letter() -> None:
    """Bytes that are no heartbeat, an event of another kind, and one that promises the future."""
    world = World(engine_of("missed_installment"))
    ahead = heartbeat(1, through=50)
    world.append("feeds", int(at(1).timestamp() * 1000), None, b"{")
    world.append("feeds", int(at(1).timestamp() * 1000), b"b-1", opened([30]).model_dump_json().encode())
    world.play(ahead, until=3)
    assert ["not_json", "wrong_topic", "future_dated"] == world.reasons()
    assert {"feeds"} == {letter["topic"] for letter in world.dead_letters}


def promised(day: float, source: str, *, loan: str = "l-2") -> events.Event:
    """A promise of a borrower."""
    data = {"promise_id": f"{source}-{day}", "amount_minor": 1, "currency": "CNY", "promised_on": "2025-03-01"}
    return event(events.PromiseMade, at(day), source=source, loan=loan, **data)


def test_what_we_write_ourselves_is_no_feed() -> None:
    """A promise from our own cases, and months without another: no feed_stale; from anybody else it is one."""
    # 27 loan, beats all the time   28 promise   29 06:00 quiet (26 h) .... 40
    for source, told in (("ews/cases", []), ("branch/desk", ["branch/desk"])):
        world = World(engine_of("missed_installment"), clock="wall", step_ms=3_600_000)
        world.play(opened([90], loan="l-2", day=27), promised(28, source), *beats(27, 40), until=40)
        assert told == [a.data.borrower for a in world.alerts if a.data.detector == "feed_stale"]


def test_our_own_promise_does_not_complete_the_source_of_the_loan() -> None:
    """The loan's source is silent: a promise that we write of it holds nothing less and lets nothing go."""
    # 28 10:00 last event of the source   29 12:00 quiet   30 due   31, 32 promises of ours   33: still held
    world = World(engine_of("missed_installment"), clock="wall", step_ms=60_000)
    facts = [opened([30], day=27), opened([90], loan="l-2", day=28), *(promised(day, "ews/cases") for day in (31, 32))]
    world.play(*facts, until=33)
    assert [("feed_stale", 29, "opened", 1)] == world.said()
    assert 1 == world.lane.held()


def test_a_source_of_ours_that_an_earlier_release_called_stale_recovers() -> None:
    """What was kept of it then is let go of with the next tick, once."""
    day_ms = 86_400_000
    known = {"ews/snooze": Feed(complete_ms=day_ms, seen_ms=day_ms, revision=1, stale_since_ms=day_ms, stale_day=1)}
    feeds = Feeds(known, Rules(), from_file=False)
    now = 40 * day_ms
    assert now == feeds.next_change_ms(["ews/snooze"], now)
    [told] = feeds.alerts(["ews/snooze"], now, "x", Mode.LIVE)
    assert AlertStatus.RESOLVED is told.data.status
    assert feeds.next_change_ms(["ews/snooze"], now) is None
    assert FOREVER == feeds.through("ews/snooze")


steps = st.lists(
    st.one_of(
        st.tuples(st.just("saw"), st.sampled_from(["a", "b"]), st.integers(0, 10**9)),
        st.tuples(st.just("beat"), st.sampled_from(["a", "b"]), st.integers(0, 10**9)),
        st.tuples(st.just("advance"), st.just(""), st.integers(0, 10**9)),
    ),
    max_size=30,
)


@given(steps, st.booleans())
@settings(deadline=None)
def test_completeness_never_goes_back(moves: list[tuple[str, str, int]], plain: bool) -> None:  # noqa: FBT001 - drawn
    """Whatever a source says, and in whatever order, it is never less complete than before."""
    feeds = Feeds({}, Rules(), from_file=plain)
    now = 0
    known: dict[str, int] = {}
    for kind, source, value in moves:
        if kind == "saw":
            feeds.saw(source, value)
        elif kind == "beat":
            feeds.beat(source, value)
        else:
            now = max(now, value)
            feeds.advance(now)
        for name, feed in feeds.known.items():
            assert feed.complete_ms >= known.get(name, 0)
            known[name] = feed.complete_ms


def test_a_source_never_heard_of_is_complete() -> None:
    """Nothing is held for it."""
    assert FOREVER == Feeds({}, Rules(), from_file=False).through("nobody")
    assert 7 == Feeds({"x": Feed(beats=True, complete_ms=7)}, Rules(), from_file=False).through("x")


def test_what_was_held_for_a_quiet_source_is_told_with_the_first_tick_after_it_is_back() -> None:
    """Also where time makes a leap afterwards, and whichever lane tells of the source."""
    # 28 last event   30 due   33 10:00 back   33 10:01 told ...... 60
    facts = [opened([30], day=27), opened([90], loan="l-2", day=28), opened([91], loan="l-3", day=33)]
    lane = next(n for n in range(8) if partition_of(b"b-1", 8) == n)
    world = World(engine_of("missed_installment"), clock="wall", step_ms=60_000, partition=lane, partitions=8)
    world.play(*facts, until=34)
    assert [(33, "opened", 1)] == world.told("missed_installment")
