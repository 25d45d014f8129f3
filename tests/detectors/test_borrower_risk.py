from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings

from streams.engine.policy import Policy
from tests.builders import World, at, charged_off, engine_of, filed, inquired, opened, paid, scored, tradeline
from tests.engine.lives import LAST_DAY, lives

if TYPE_CHECKING:
    from schemas.alerts import Alert
    from schemas.events import Event

KEY = "borrower_risk"
DUES = [10, 30, 60, 90]
SIGNS = ("external_delinquency", "score_drop", "public_record", "missed_installment", "multi_lending_spike")


def world(*keys: str, scorecard: dict | None = None, reborn: bool = False, **own: object) -> World:
    """A world with the composite and the detectors it adds up."""
    detectors = {
        KEY: {"watch_signs_min": 1} | own,
        "score_drop": {"cooldown_days": 0},
        "multi_lending_spike": {"cooldown_days": 0},
    }
    policy = Policy(detectors=detectors, scorecard=scorecard or {})
    return World(engine_of(KEY, *(keys or SIGNS), policy=policy), reborn=reborn)


def risks(told: World) -> list[Alert]:
    """What the composite told."""
    return [alert for alert in told.alerts if alert.data.detector == KEY]


def lenders(*days: float) -> list:
    """Each day another lender asks."""
    return [inquired(day, f"lender-{n}") for n, day in enumerate(days)]


def test_two_signs_make_a_tier() -> None:
    """15 points of an account past due elsewhere and 10 of a score that fell: above the 20 of the watch list."""
    # 5 external, watch   9 score, watch: 25 points
    told = world().play(tradeline(5, behind=30), scored(1, 735), scored(9, 685), until=10)
    assert [(9, "opened", 1)] == told.told(KEY)
    data = risks(told)[0].data
    assert "The risk is watch: 25 points, from external delinquency 15, score drop 10." == data.reason
    assert data.risk is not None
    assert ("watch", 25, "undetermined", None) == (
        data.risk.tier, data.risk.score, data.risk.stance, data.risk.recovery,
    )  # fmt: skip
    assert [("episode.external_delinquency", "watch", 15), ("episode.score_drop", "watch", 10)] == [
        (reason.name, reason.value, reason.points) for reason in data.risk.reasons
    ]


def test_on_the_watch_list_one_sign_is_not_repeated() -> None:
    """A record alone has 30 points and has been told; with a second sign the risk is told, and stays with one left."""
    # 5 record: 30   9 three lenders: 40, told   16 the spike is over: 30, goes on
    told = world(watch_signs_min=2).play(filed(5), *lenders(7, 8, 9), until=40)
    assert [(9, "opened", 1)] == told.told(KEY)
    # 5 record: 30   9 external 60 days: 60, high   30 paid: 30, one sign left
    told = world(watch_signs_min=2).play(filed(5), tradeline(9, behind=60), tradeline(30, behind=0), until=40)
    assert [(9, "opened", 2), (30, "resolved", 2)] == told.told(KEY)


def test_one_small_sign_makes_none() -> None:
    """15 points are below the watch list."""
    # 5 external, watch: 15 points
    assert [] == world().play(tradeline(5, behind=30), until=10).told(KEY)


@pytest.mark.parametrize(("watch", "alerts"), [(15, 1), (16, 0)])
def test_exactly_at_the_threshold(watch: int, alerts: int) -> None:
    """15 points reach a tier that begins at 15, and not one that begins at 16."""
    # 5 external, watch: 15 points
    told = world(scorecard={"tiers": {"watch": watch}}).play(tradeline(5, behind=30), until=6)
    assert alerts == len(risks(told))


def test_it_is_judged_after_the_others_at_the_same_moment() -> None:
    """The alert that changed the score stands before it, and has the same time."""
    # 5 public record, high: 30 points
    told = world().play(filed(5), until=6)
    assert [("public_record", 5, "opened", 1), (KEY, 5, "opened", 1)] == told.said()
    assert told.alerts[0].time == told.alerts[1].time


def test_silence_raises_it_too() -> None:
    """Days past due pass: the missed installment escalates, and the risk with it."""
    # 30 due   31 watch: 15 points   45 (15 days) high: 40, watch list   91 (61 days) critical: 70
    told = world("missed_installment").play(opened(DUES), paid(9), until=95)
    assert ["opened", "escalated"] == [status for _, status, _ in told.told(KEY)][:2]
    assert [1, 3] == [step for *_, step in told.told(KEY)][:2]
    assert "critical" == risks(told)[-1].data.severity.value
    assert risks(told)[-1].data.risk.recovery is not None


def test_a_lower_tier_is_another_episode() -> None:
    """When the score falls the higher episode is resolved and a lower one opens, with one open at any time."""
    # 5 external 60 days, high: 30   6 7 8 lenders, watch: 10   9 score, watch: 10 = 50 high
    # 10 a record: 80 critical   15 the spike is over: 70   36 external cured: 40: not high, watch
    facts = [tradeline(5, behind=60), *lenders(6, 7, 8), scored(1, 735), scored(9, 685), filed(10)]
    told = world().play(*facts, tradeline(36, behind=0), until=37)
    assert [
        (5, "opened", 1), (9, "escalated", 2), (10, "escalated", 3), (36, "resolved", 3), (36, "opened", 1),
    ] == told.told(KEY)  # fmt: skip
    first, second = risks(told)[0].data.episode_id, risks(told)[-1].data.episode_id
    assert first != second
    assert "The risk has fallen to watch: 40 points." == risks(told)[3].data.reason
    assert all(
        alert.data.risk.score >= alert.data.measures[0].threshold for alert in risks(told) if alert.data.measures
    )
    assert {None} == {alert.data.loan for alert in risks(told)}


@pytest.mark.parametrize(("ease", "resolved"), [(10, 0), (4, 1)])
def test_a_tier_is_left_only_by_a_margin(ease: int, resolved: int) -> None:
    """40 points are within 10 of the high tier's 45, and not within 4."""
    # 5 external 60 days: 30   6 7 8 lenders: 10   9 score: 10 = 50 high   15 the spike is over: 40
    facts = [tradeline(5, behind=60), *lenders(6, 7, 8), scored(1, 735), scored(9, 685)]
    told = world(ease_points=ease).play(*facts, until=20)
    assert resolved == sum(status == "resolved" for _, status, _ in told.told(KEY))


def test_a_tier_that_falls_and_rises_on_one_day_goes_on() -> None:
    """What is lower on the day on which it opened has the same id and goes on with its revisions."""
    # 5 a record, high: 30   6 external 90 days, critical: 50 = 80   6 paid: 30
    facts = [filed(5), tradeline(6, behind=90), tradeline(6.1, behind=0)]
    told = world(ease_points=0).play(*facts, until=8)
    assert [(5, "opened", 1), (6, "escalated", 3), (6, "resolved", 3), (6, "opened", 1)] == told.told(KEY)


def test_trials_and_its_own_episode_add_nothing() -> None:
    """A detector on trial has an episode that counts for nothing; neither does the composite's own."""
    policy = Policy(detectors={"public_record": {"shadow": True}})
    told = World(engine_of(KEY, *SIGNS, policy=policy)).play(filed(5), tradeline(6, behind=30), until=9)
    assert [] == told.told(KEY)
    # 5 record: 30   6 external, watch: 45, and no point more by itself
    told = world().play(filed(5), tradeline(6, behind=30), until=9)
    assert [30, 45] == [alert.data.risk.score for alert in risks(told)]


def test_what_is_withdrawn_withdraws_the_risk() -> None:
    """A payment valued in time disproves the miss, and with it the risk that it made: at once."""
    # 30 due   45 15 days: high, 40   47 paid, valued 30: withdrawn
    told = world("missed_installment").play(opened(DUES), paid(9), paid(47, valued=30), until=55)
    assert [(45, "opened", 1), (47, "withdrawn", 1)] == told.told(KEY)
    assert "The alerts behind the risk were withdrawn." == risks(told)[-1].data.reason


def test_what_was_true_is_resolved() -> None:
    """A payment valued late cures the miss; one alert withdrawn beside one cured leaves the risk true."""
    # 30 due   45 15 days: high, 40   47 paid: cured
    told = world("missed_installment").play(opened(DUES), paid(9), paid(47), until=55)
    assert [(45, "opened", 1), (47, "resolved", 1)] == told.told(KEY)
    assert "The risk has passed: 0 points." == risks(told)[-1].data.reason
    # 5 three months past due elsewhere: 50   5 6 7 lenders: 60   8 corrected: 10, held   14 the spike is over
    facts = [tradeline(5, behind=90), tradeline(5, behind=0, recorded=at(8)), *lenders(5.2, 6, 7)]
    assert "resolved" == world(ease_points=40).play(*facts, until=30).told(KEY)[-1][1]


def test_a_charge_off_is_no_recovery() -> None:
    """A loan that is given up ends the risk as what it was, and not as passed."""
    told = world("missed_installment").play(opened(DUES), paid(9), charged_off(60), until=62)
    assert "charged_off" == risks(told)[-1].data.resolution
    assert "A loan was charged off: the risk came true." == risks(told)[-1].data.reason


def test_the_stance_decides_the_first_step() -> None:
    """Signs of inability ask for a plan."""
    # 29 the score, watch   30 half of an installment, watch: 20 points
    facts = [opened(DUES), paid(9), paid(30, 500), scored(1, 735), scored(29, 685)]
    told = world("partial_payment", "score_drop").play(*facts, until=32)
    [data] = [alert.data for alert in risks(told)]
    assert data.risk is not None
    assert ("unable", ("partial_payment",)) == (data.risk.stance, data.risk.stance_evidence)
    assert "plan" in data.first_step
    assert "The borrower seems unable to pay." in data.reason


def test_numbers_that_grow_by_silence_are_looked_at_each_day() -> None:
    """A scorecard with days in it is asked each day while a loan is past due, and not at all otherwise."""
    banded = {"bands": [{"up_to": 9, "points": 0}], "above": 50}
    card = {"characteristics": {"days_past_due": banded}}
    told = world("score_drop", scorecard=card).play(opened(DUES), until=45)
    assert [(20, "opened", 2)] == told.told(KEY)
    # 10 due   20 ten days: 50 points
    assert [] == world("score_drop").play(opened(DUES), until=45).borrower().wakeups.get(KEY, [])


def test_it_is_the_same_after_a_crash_at_any_moment() -> None:
    """Lanes made anew after every commit tell the same."""
    facts = [tradeline(5, behind=60), *lenders(6, 7, 8), scored(1, 735), scored(9, 685), tradeline(36, behind=0)]
    assert world().play(*facts, until=60).alert_bytes == world(reborn=True).play(*facts, until=60).alert_bytes


@given(facts=lives())
@settings(max_examples=40, deadline=None)
def test_with_all_detectors_there_is_one_open_tier_at_a_time(facts: list[Event]) -> None:
    """Whatever happens, one episode is open at most, its severity is its tier, and its reasons add up to its score."""
    open_ones: dict[str, set] = {}
    for alert in risks(World(engine_of()).play(*facts, until=LAST_DAY + 40)):
        data = alert.data
        ones = open_ones.setdefault(data.borrower, set())
        (ones.discard if data.status.is_over else ones.add)(data.episode_id)
        assert len(ones) <= 1
        assert data.risk is not None
        assert data.risk.score == sum(reason.points for reason in data.risk.reasons)
        assert not any(reason.name == "episode.borrower_risk" for reason in data.risk.reasons)
        assert data.status.is_over or data.severity.value == data.risk.tier
