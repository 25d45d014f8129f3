from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from schemas.alerts import Severity
from streams.casework.ladder import Ladder
from streams.detectors.broken_promise import BrokenPromise
from streams.detectors.mandate_broken import DECEASED, MandateBroken
from streams.stores.case import Stage
from tests.casework.builders import RULES


def test_the_ladder_and_the_detectors_agree() -> None:
    """Days of grace, the share that keeps a promise, and which step tells of a death are those of the detectors."""
    detector = BrokenPromise()

    assert (detector.grace_days, detector.kept_share) == (RULES.promises.grace_days, RULES.promises.kept_share)
    assert BrokenPromise.key == RULES.promises.detector
    assert (MandateBroken.key, DECEASED) == (RULES.deceased.detector, RULES.deceased.step)


@pytest.mark.parametrize(
    ("stance", "tier", "stage"),
    [
        (None, None, Stage.LITIGATION),
        ("unwilling", "critical", Stage.LITIGATION),
        ("undetermined", None, Stage.LITIGATION),
        ("unable", None, Stage.COLLECTOR),
    ],
)
def test_the_stance_caps_the_ladder(stance: str | None, tier: str | None, stage: Stage) -> None:
    """Only who seems unable to pay is spared the hard stages."""
    assert stage is RULES.stage(120, Severity.HIGH, tier=tier, stance=stance)


def test_the_tier_is_a_floor() -> None:
    """However few days past due; a tier that says nothing changes nothing."""
    assert Stage.COLLECTOR is RULES.stage(0, Severity.WATCH, tier="critical")
    assert Stage.REMINDER is RULES.stage(0, Severity.WATCH, tier="watch")


@pytest.mark.parametrize(
    "bad",
    [
        {"stages": {"reminder": 0, "call": 5}},
        {"stages": {"reminder": 0, "call": 15, "collector": 5, "lawyers_letter": 61, "litigation": 91}},
        {"stages": {"reminder": 3, "call": 5, "collector": 15, "lawyers_letter": 61, "litigation": 91}},
        {"due_hours": {"high": 4}},
        {"hard_steps": {"on": ["beating"]}},
        {"opens_from": "never"},
        {"more": 1},
    ],
)
def test_a_ladder_that_is_none_is_refused(bad: dict[str, Any]) -> None:
    """Every stage in its order, every severity with its hours, known steps, nothing more."""
    with pytest.raises(ValidationError):
        Ladder.model_validate(RULES.model_dump(mode="json") | bad)
