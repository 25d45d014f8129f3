from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pytest

from streams.bootstrap.policy import detector_keys
from streams.engine import work as work_module
from streams.engine.drain import LANE_KEY, Inbox
from streams.engine.policy import Policy
from tests.builders import World, at, engine_of, inquired, ms_of, opened, paid, repeat

if TYPE_CHECKING:
    from streams.engine.engine import Engine

SPIKE, MISSED = "multi_lending_spike", "missed_installment"
STRICTER = {"levels": ((2, 7, "high"),)}
LONGER = {"levels": ((5, 200, "high"),)}


def policy(version: str, **detectors: dict[str, Any]) -> Policy:
    """A policy with these detectors alone; the others are off."""
    off = {key: {"enabled": False} for key in detector_keys() if key not in detectors}
    return Policy(version=version, detectors={**off, **detectors})


def engine(version: str, **detectors: dict[str, Any]) -> Engine:
    """Its engine."""
    return engine_of(policy=policy(version, **detectors))


def world(*engines: Engine, **settings: Any) -> World:
    """A world that begins with the first policy and may change to the others."""
    return World(engines[0], policies=engines[1:], **settings)


def ticks(world: World) -> list[list[Any]]:
    """All ticks of the order: instant and version."""
    return [step[1:] for order in world.orders for step in orjson.loads(order)["steps"] if step[0] == "tick"]


def versions(world: World) -> list[str]:
    """The policy versions of the alerts."""
    return [alert.data.policy_version for alert in world.alerts]


def assert_repeats(world: World) -> None:
    """The order alone gives the same alerts and states."""
    again = repeat(world, world.engine)
    assert world.alert_bytes == again.alert_bytes
    assert world.states == again.states
    assert world.orders == again.orders


def test_a_change_is_in_force_from_a_tick_of_its_own_on() -> None:
    """The lane ticks at its present time with the new version; alerts before and after carry the right one."""
    # 1 2 3 three lenders: watch   4 change   5 a second borrower asks two
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER))
    one.play(*(inquired(day, f"x{day}") for day in (1, 2, 3)))
    now_ms, one.policy = one.lane.now_ms, "v2"
    one.play(*(inquired(5, f"y{n}", subject="b-2", hour=11 + n) for n in range(2)))
    assert [now_ms, "v2"] in ticks(one)
    assert ["v1", "v2", "v2"] == versions(one)
    assert [(3, "opened", 1), (3, "escalated", 2), (5, "opened", 2)] == one.told(SPIKE)
    assert "v2" == one.lane.policy
    assert_repeats(one)


def test_whoever_is_past_a_new_threshold_is_told_at_the_change() -> None:
    """Nobody waits for an event of his own: all borrowers are judged anew by what has changed."""
    # 1 two lenders: nothing   2 the change asks for two only
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER))
    one.play(*(inquired(1, f"x{n}", subject=f"b-{b}", hour=2 + n) for b in range(3) for n in range(2)), until=2)
    assert not one.alerts
    one.policy = "v2"
    one.drain()
    assert ["b-0", "b-1", "b-2"] == [alert.data.borrower for alert in one.alerts]
    assert {ms_of(at(2, 0))} == {ms_of(alert.time) for alert in one.alerts}
    assert 3 == one.counts["judged_anew",]
    assert_repeats(one)


def test_wakeups_follow_the_new_settings() -> None:
    """A due date that passes unpaid is told after the new grace days, though no event came since the change."""
    # 30 due   (grace 0: 31)   change on day 20 to grace 5: 36
    one = world(engine("v1", missed_installment={"grace_days": 0}), engine("v2", missed_installment={"grace_days": 5}))
    one.play(opened([30]), until=20)
    before = one.borrower().wakeups[MISSED]
    one.policy = "v2"
    one.drain()
    assert before != one.borrower().wakeups[MISSED]
    one.play(until=40)
    straight = world(engine("v2", missed_installment={"grace_days": 5})).play(opened([30]), until=40)
    assert straight.told(MISSED) == one.told(MISSED)
    assert_repeats(one)


def test_a_detector_that_is_turned_off_ends_its_episodes() -> None:
    """They are resolved with the reason, and nothing wakes the borrower for it any more; on again, it judges anew."""
    on = {"missed_installment": {}}
    one = world(engine("v1", **on), engine("v2", multi_lending_spike={}), engine("v3", **on))
    one.play(opened([30], day=0), until=32)
    one.policy = "v2"
    one.drain()
    last = one.alerts[-1].data
    assert ("resolved", "expired", "v2") == (last.status.value, last.resolution, last.policy_version)
    assert "The policy v2 turned this detector off." == last.reason
    assert MISSED not in one.borrower().wakeups
    one.policy = "v3"
    one.drain()
    assert [(31, "opened", 1), (32, "resolved", 1), (32, "opened", 1)] == one.told(MISSED)
    assert [1, 2, 3] == [alert.data.revision for alert in one.alerts if alert.data.detector == MISSED]
    assert_repeats(one)


def test_a_trial_that_begins_or_ends_is_told_to_those_who_listen() -> None:
    """Live episodes are resolved live and opened in shadow, and the other way round: nobody waits for an end."""
    live, trial = {"missed_installment": {}}, {"missed_installment": {"shadow": True}}
    one = world(engine("v1", **live), engine("v2", **trial), engine("v3", **live))
    one.play(opened([30]), until=32)
    for version in ("v2", "v3"):
        one.policy = version
        one.drain()
    assert [
        ("opened", "live"),
        ("resolved", "live"),
        ("opened", "shadow"),
        ("resolved", "shadow"),
        ("opened", "live"),
    ] == [(alert.data.status.value, alert.data.mode.value) for alert in one.alerts]
    assert_repeats(one)


def test_an_episode_is_told_in_the_mode_in_which_it_was_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """An event of a borrower whom the change has not reached yet does not end a live episode in shadow."""
    monkeypatch.setattr(work_module, "SWEEP_MAX", 1)
    one = world(engine("v1", missed_installment={}), engine("v2", missed_installment={"shadow": True}))
    one.play(*(opened([30], subject=f"b-{n}", loan=f"l-{n}") for n in range(4)), until=32)
    one.load(paid(32.5, subject="b-3", loan="l-3"))
    one.policy = "v2"
    one.drain(until=33)
    (cured,) = [a.data for a in one.alerts if a.data.borrower == "b-3" and a.data.status.is_over]
    assert ("resolved", "cured", "live") == (cured.status.value, cured.resolution, cured.mode.value)


@pytest.mark.parametrize("reborn", [False, True])
def test_a_change_goes_through_the_borrowers_over_several_drains(
    monkeypatch: pytest.MonkeyPatch, *, reborn: bool
) -> None:
    """Each drain judges a bounded number anew; events in between go by the new policy; a crash changes nothing."""
    # 1 two lenders each: nothing   2 change to two   3 somebody new asks two
    monkeypatch.setattr(work_module, "SWEEP_MAX", 3)
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER), reborn=reborn)
    one.play(*(inquired(1, f"x{n}", subject=f"b-{b}", hour=2 + n) for b in range(10) for n in range(2)), until=2)
    one.policy = "v2"
    one.load(*(inquired(3, f"y{n}", subject="a-new", hour=11 + n) for n in range(2)))
    told = []
    for _ in range(4):
        one.drain(take={"bureau": 1})
        told.append(len(one.alerts))
    assert one.lane._work.position.sweep is None
    assert [3, 7, 10, 11] == told
    assert {"v2"} == set(versions(one))
    assert_repeats(one)


def test_another_change_on_the_way_begins_anew_with_both(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the first change had not reached is reached with the second."""
    monkeypatch.setattr(work_module, "SWEEP_MAX", 2)
    both = {"multi_lending_spike": STRICTER, "missed_installment": {}}
    one = world(
        engine("v1", multi_lending_spike={}, missed_installment={}),
        engine("v2", **both),
        engine("v3", multi_lending_spike=STRICTER),
    )
    one.play(*(inquired(1, f"x{n}", subject=f"b-{b}", hour=2 + n) for b in range(6) for n in range(2)))
    one.play(*(opened([30], subject=f"b-{b}", loan=f"l-{b}") for b in range(6)), until=32)
    for version in ("v2", "v3"):
        one.policy = version
        one.drain()
    while one.lane._work.must_tick:
        one.drain()
    assert not any(episode.is_open for b in range(6) for episode in one.borrower(f"b-{b}").episodes)
    assert_repeats(one)


def test_a_longer_window_keeps_what_there_is_and_warms_up() -> None:
    """The lenders of before the change count on; the measure is announced until its window is full, by lane 0."""
    # 1 3 lenders   15 calm   80 change from 90 to 200 days   81 2 lenders more: 5 within 200 days   190 full
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=LONGER))
    one.play(*(inquired(1, f"x{n}", hour=2 + n) for n in range(3)), until=80)
    one.policy = "v2"
    one.play(*(inquired(81, f"y{n}", hour=2 + n) for n in range(2)), until=230)
    assert [(1, "opened", 1), (15, "resolved", 1), (81, "opened", 2)] == one.told(SPIKE)[:3]
    assert [(80, "opened", 1), (190, "resolved", 1)] == one.told("measure_warming")
    opening, ending = (a.data for a in one.alerts if a.data.detector == "measure_warming")
    assert ("measure", "info", "v2") == (opening.scope, opening.severity.value, opening.policy_version)
    assert ("days_kept", 90, 200) == tuple(getattr(opening.measures[0], x) for x in ("name", "value", "threshold"))
    assert "recovered" == ending.resolution
    assert not one.lane._work.position.warming.kept
    assert not one.lane._work.position.warming.told
    assert_repeats(one)


def test_a_new_measure_begins_at_the_change_and_others_go_on() -> None:
    """Only what was not kept is announced; what is no longer asked for is dropped, and then not announced any more."""
    some = {"missed_installment": {}}
    one = world(engine("v1", **some), engine("v2", multi_lending_spike={}, **some), engine("v3", **some))
    one.play(opened([300]), *(inquired(1, f"x{n}", hour=2 + n) for n in range(3)), until=10)
    assert not one.borrower().measured
    one.policy = "v2"
    one.play(*(inquired(11, f"x{n}", hour=2 + n) for n in range(3)), until=20)
    assert [(10, "opened", 1)] == one.told("measure_warming")
    assert [(11, "opened", 1)] == one.told(SPIKE)
    one.policy = "v3"
    one.drain()
    ending = one.alerts[-1].data if one.alerts[-1].data.detector == "measure_warming" else one.alerts[-2].data
    assert ("resolved", "expired") == (ending.status.value, ending.resolution)
    assert not one.borrower().measured
    assert_repeats(one)


def test_a_measure_that_warms_up_twice_in_a_day_never_tells_an_alert_twice() -> None:
    """Revisions go on where the day's last one ended."""
    on, off = {"multi_lending_spike": {}, "missed_installment": {}}, {"missed_installment": {}}
    one = world(engine("v1", **off), engine("v2", **on), engine("v3", **off), engine("v4", **on))
    one.play(opened([300]), until=10)
    for version in ("v2", "v3", "v4"):
        one.policy = version
        one.drain()
    assert [("opened", 1), ("resolved", 2), ("opened", 3)] == [
        (a.data.status.value, a.data.revision) for a in one.alerts if a.data.detector == "measure_warming"
    ]
    assert_repeats(one)


def test_nothing_warms_up_under_the_first_policy_or_in_other_lanes() -> None:
    """The first policy's windows begin with the data, and lane 0 speaks for all lanes."""
    first = world(engine("v1", multi_lending_spike={})).play(inquired(1, "x"), until=5)
    assert not first.alerts
    other = world(
        engine("v1", missed_installment={}),
        engine("v2", multi_lending_spike={}, missed_installment={}),
        partition=1,
        partitions=2,
    ).play(until=5)
    other.policy = "v2"
    other.play(until=6)
    assert "v2" == other.lane.policy
    assert not other.alerts


def test_a_lane_goes_on_with_the_policy_of_its_position() -> None:
    """After a recovery no tick of its own is needed: the position record knows the version."""
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER)).play(until=1)
    one.policy = "v2"
    one.play(until=2)
    one.lane = one.start()
    assert "v2" == one.lane.policy
    before = len(one.orders)
    one.drain()
    assert before == len(one.orders)
    one.play(*(inquired(3, f"x{n}", hour=2 + n) for n in range(2)))
    assert ["v2"] == versions(one)
    assert_repeats(one)


def test_a_policy_that_is_not_known_changes_nothing() -> None:
    """A version without an engine is not taken up."""
    one = world(engine("v1", multi_lending_spike={})).play(until=1)
    one.policy = "v9"
    one.play(until=2)
    assert {"v1"} == {version for _, version in ticks(one)}


def test_a_policy_file_that_is_gone_gives_way_to_the_one_in_force() -> None:
    """Where the position's version is not known any more all detectors judge anew, before any event is applied."""
    old = world(engine("v1", missed_installment={}))
    old.play(opened([30]), until=32)
    new = world(engine("v2", multi_lending_spike={}))
    new.states.update(old.states)
    new.lane = new.start()
    new.drain()
    assert [("missed_installment", 32, "resolved", 1)] == new.said()


def test_a_change_before_the_first_tick_is_no_change() -> None:
    """A new lane begins with the policy in force."""
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER))
    one.policy = "v2"
    one.play(*(inquired(1, f"x{n}", hour=2 + n) for n in range(2)))
    assert {"v2"} == {version for _, version in ticks(one)}
    assert ["v2"] == versions(one)
    assert_repeats(one)


def test_staleness_follows_the_new_settings() -> None:
    """A source without events is told stale by the new limit at the change."""
    calm, strict = Policy(version="v1"), Policy(version="v2", feeds={"quiet_hours": 2})
    one = world(engine_of(MISSED, policy=calm), engine_of(MISSED, policy=strict), clock="wall")
    one.play(opened([30]), until=0.6)
    one.policy = "v2"
    one.play(until=0.7)
    assert [("feed_stale", 0, "opened", 1)] == one.said()
    assert_repeats(one)


def test_a_borrower_on_whom_our_code_fails_stops_no_change(monkeypatch: pytest.MonkeyPatch) -> None:
    """He is left as he was, which is counted; the change goes on."""
    one = world(engine("v1", multi_lending_spike={}), engine("v2", multi_lending_spike=STRICTER))
    one.play(*(inquired(1, f"x{n}", subject=f"b-{b}", hour=2 + n) for b in range(3) for n in range(2)), until=2)
    judge = one.engines["v2"].on_policy

    def fails(token: str, *args: Any) -> Any:
        if token == "b-1":
            raise ZeroDivisionError
        return judge(token, *args)

    monkeypatch.setattr(one.engines["v2"], "on_policy", fails)
    one.policy = "v2"
    one.drain()
    assert ["b-0", "b-2"] == [alert.data.borrower for alert in one.alerts]
    assert 1 == one.counts["crashed", "tick"]


def test_unchanged_borrowers_are_not_written_again() -> None:
    """A change that concerns nobody writes no state but the lane's own."""
    one = world(engine("v1", missed_installment={}), engine("v2", missed_installment={}, multi_lending_spike={}))
    one.play(*(opened([300], subject=f"b-{n}", loan=f"l-{n}") for n in range(5)), until=10)
    one.policy = "v2"
    effects = one.lane.drain(Inbox({}, frozenset(), None, policy="v2"))
    assert effects is not None
    assert {LANE_KEY} == effects.states.keys()
    assert 5 == (effects.counts or {})["judged_anew",]


def test_a_change_of_nothing_that_is_judged_here_judges_nobody() -> None:
    """Another version with the same detectors, or others of cohorts, is carried by a tick and is all."""
    some = {"missed_installment": {}}
    one = world(engine("v1", **some), engine("v2", **some), engine("v3", cohort_drift={}, **some))
    one.play(opened([30]), until=32)
    told = list(one.alerts)
    for version in ("v2", "v3"):
        one.policy = version
        one.drain()
        assert version == one.lane.policy
    assert told == one.alerts
    assert not one.counts["judged_anew",]
    assert_repeats(one)


def test_another_scorecard_judges_the_composite_anew() -> None:
    """What is read from the policy beside the detectors' own settings is a reason as well."""
    points = {"missed_installment": {}, "borrower_risk": {}}
    first = policy("v1", **points)
    card = first.scorecard.model_copy(update={"base": first.scorecard.base + 100})
    second = policy("v2", **points).model_copy(update={"scorecard": card})
    one = world(engine_of(policy=first), engine_of(policy=second))
    one.play(opened([30]), until=32)
    before = one.told("borrower_risk")
    one.policy = "v2"
    one.drain()
    assert before != one.told("borrower_risk")
    assert "v2" == one.alerts[-1].data.policy_version
    assert_repeats(one)


def test_other_filters_make_another_measure_of_the_same_name() -> None:
    """It begins anew; people hear of the name once while any of its measures is warming, and no alert id twice."""
    # 10 on: warms up   10 other lenders are our own: begins anew on the same day   100 full
    off, on = {"missed_installment": {}}, {"missed_installment": {}, "multi_lending_spike": {}}
    other = {"missed_installment": {}, "multi_lending_spike": {"own_lenders": ("me",)}}
    one = world(engine("v1", **off), engine("v2", **on), engine("v3", **other), engine("v4", **off))
    one.play(opened([300]), until=10)
    for version in ("v2", "v3"):
        one.policy = version
        one.drain()
    one.play(until=101)
    assert [(10, "opened", 1), (100, "resolved", 1)] == one.told("measure_warming")
    assert_repeats(one)


def test_every_measure_can_be_told_of() -> None:
    """The names of all measures can stand as an alert's subject: a change would stop the worker otherwise."""
    everything, nothing = engine_of(), engine("v1", missed_installment={})
    one = World(nothing, policies=[everything])
    one.play(opened([300]), until=10)
    one.policy = everything.policy.version
    one.drain()
    told = {alert.data.borrower for alert in one.alerts if alert.data.detector == "measure_warming"}
    assert {measure.name for measure in everything.measures} == told
