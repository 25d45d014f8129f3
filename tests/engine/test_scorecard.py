from __future__ import annotations

import pytest
from pydantic import ValidationError

from schemas.alerts import Risk
from streams.bootstrap.policy import detector_keys
from streams.engine.borrower import Borrower, Episode
from streams.engine.calendar import ms_of
from streams.engine.detector import BorrowerView
from streams.engine.policy import Policy
from streams.engine.scorecard import (
    Band,
    Banded,
    Scorecard,
    Severities,
    Tiers,
    recovery,
    risk,
    score,
    stance,
    tier_of,
)
from tests import builders as b


def episode(detector: str, severity: str, *, loan: str = "", is_open: bool = True) -> Episode:
    """An episode of a detector."""
    return Episode(detector, loan, 0, 1, is_open=is_open, step=0, severity=severity, changed_ms=0)


def seen(*episodes: Episode, silent: frozenset[str] = frozenset()) -> BorrowerView:
    """A borrower of whom only these episodes are known."""
    return BorrowerView(Borrower(episodes=list(episodes)), 0, lambda _source: 0, Policy(), silent)


def world(*facts: object, day: float) -> BorrowerView:
    """A borrower after these facts, looked at on a day of the timeline."""
    played = b.World(b.engine_of("returned_payment")).play(*facts, until=day)  # type: ignore[arg-type]
    return BorrowerView(played.borrower(), ms_of(b.at(day, 0)), lambda _source: ms_of(b.at(day, 0)), Policy())


def test_points_add_up() -> None:
    """A score is the base and the points of each open episode, told with their reasons, the weightiest first."""
    card = Scorecard(base=3, episodes={"a": Severities(watch=7)}, severities=Severities(high=20))
    said = score(card, seen(episode("a", "watch"), episode("b", "high")))
    assert 30 == said.points
    assert "watch" == said.tier
    assert [("episode.b", "high", 20), ("episode.a", "watch", 7), ("base", None, 3)] == said.reasons


def test_a_detector_counts_once() -> None:
    """Of several open episodes of a detector the gravest counts; one that is over does not."""
    view = seen(
        episode("a", "watch", loan="1"),
        episode("a", "high", loan="2"),
        episode("a", "critical", loan="3", is_open=False),
    )
    assert [("episode.a", "high", 25)] == score(Scorecard(), view).reasons


def test_shadows_and_the_composite_count_nothing() -> None:
    """A detector on trial adds no points, nor does the one that says what the score says."""
    view = seen(episode("a", "critical"), episode("borrower_risk", "critical"), silent=frozenset({"a"}))
    assert 0 == score(Scorecard(), view).points


@pytest.mark.parametrize(
    ("points", "tier"),
    [(19, "none"), (20, "watch"), (44, "watch"), (45, "high"), (69, "high"), (70, "critical")],
)
def test_a_tier_begins_at_its_points(points: int, tier: str) -> None:
    """A tier holds from its number of points on."""
    assert tier == tier_of(Scorecard(), points)


@pytest.mark.parametrize(("value", "points"), [(-1, -5), (0, -5), (0.1, 2), (7, 2), (7.5, 9), (None, 4)])
def test_a_band_holds_its_upper_bound(value: float | None, points: int) -> None:
    """A value belongs to the first band whose bound it does not pass; above the last and not known have their own."""
    banded = Banded(bands=(Band(up_to=0, points=-5), Band(up_to=7, points=2)), above=9, missing=4)
    assert points == banded.points_of(value)


def test_a_characteristic_adds_points() -> None:
    """The points of a characteristic come with its value as the reason."""
    card = Scorecard(characteristics={"days_past_due": Banded(bands=(Band(up_to=0, points=0),), above=30)})
    said = score(card, world(b.opened([10]), day=14))
    assert ("days_past_due", 4, 30) in said.reasons


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"characteristics": {"shoe_size": {}}}, "no characteristic shoe_size"),
        ({"characteristics": {"term_days": {"bands": [{"up_to": 2, "points": 0}, {"up_to": 1, "points": 0}]}}}, "rise"),
        ({"tiers": {"watch": 50}}, "watch, high and critical must rise"),
        ({"tires": {}}, "Extra inputs"),
    ],
)
def test_a_wrong_scorecard_is_refused(settings: dict[str, object], why: str) -> None:
    """What cannot be meant is refused with its place."""
    with pytest.raises(ValidationError, match=why):
        Scorecard.model_validate(settings)


def test_stance_follows_the_greater_number() -> None:
    """More signs of one who cannot pay make him unable; as many of either kind leave it open."""
    card = Scorecard()
    poor = (episode("income_drop", "watch"), episode("negative_balance", "high"))
    assert ("unable", ("income_drop", "negative_balance")) == stance(card, seen(*poor, episode("gone_dark", "high")))
    assert ("unwilling", ("drain_after_miss",)) == stance(card, seen(episode("drain_after_miss", "high")))
    assert "undetermined" == stance(card, seen(poor[0], episode("gone_dark", "high"))).kind
    assert ("undetermined", ()) == stance(card, seen(episode("income_drop", "info")))


def test_recovery_falls_with_days_past_due() -> None:
    """What may come back is that of the bucket: M0 on the due day, M1 from the day after, M2 from the 31st."""
    card = Scorecard()
    facts = b.opened([10])
    shares = [recovery(card, world(facts, day=day)).share for day in (10, 11, 40, 41)]
    assert [0.98, 0.92, 0.92, 0.75] == shares


def test_recovery_knows_stance_record_and_collateral() -> None:
    """A stance and a poor record lower it; what a sale of the collateral brings is the least."""
    card = Scorecard()
    late = world(b.opened([10, 20, 30, 40]), day=75)
    assert [("bucket M3", 0.55), ("poor record", -0.1)] == recovery(card, late).reasons
    assert 0.45 == recovery(card, late).share
    secured = world(b.opened([10, 20, 30, 40], collateral={"kind": "car", "value_minor": 4_000}), day=75)
    assert 0.7 == recovery(card, secured).share


def test_nothing_owed_has_no_recovery() -> None:
    """Without a loan that runs there is nothing to come back."""
    assert recovery(Scorecard(), seen()).share is None
    assert recovery(Scorecard(), world(b.opened([10]), b.paid(5), b.closed(6), day=7)).share is None


def test_a_risk_is_what_an_alert_carries() -> None:
    """Score, tier, reasons, stance and recovery fit the alert's schema."""
    said = risk(Scorecard(), seen(episode("missed_installment", "high"), episode("income_drop", "watch")))
    assert isinstance(said, Risk)
    assert (50, "high", "unable") == (said.score, said.tier, said.stance)


def test_the_expert_names_detectors_that_there_are() -> None:
    """Each detector that the default scorecard speaks of exists."""
    card = Scorecard()
    assert {*card.episodes, *card.stances.unable, *card.stances.unwilling} <= set(detector_keys())
    assert not card.stances.unable & card.stances.unwilling


def test_a_scorecard_is_part_of_the_policy() -> None:
    """A policy file may change it in part; the rest keeps its defaults."""
    policy = Policy.model_validate({"scorecard": {"tiers": {"watch": 10}}})
    assert Tiers(watch=10) == policy.scorecard.tiers
    assert Scorecard().severities == policy.scorecard.severities
