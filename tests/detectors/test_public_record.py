from __future__ import annotations

import pytest

from streams.engine.policy import Policy
from tests.builders import World, at, engine_of, filed

KEY = "public_record"


def world(**settings: object) -> World:
    """A world with the one detector."""
    return World(engine_of(KEY, policy=None if not settings else Policy(detectors={KEY: settings})))


@pytest.mark.parametrize(
    ("kind", "severity", "step"),
    [("judgment", "high", 1), ("lien", "high", 1), ("other", "high", 1), ("bankruptcy", "critical", 2)],
)
def test_any_record_is_told(kind: str, severity: str, step: int) -> None:
    """One record is enough; a bankruptcy is critical."""
    # 5: filed
    told = world().play(filed(5, kind), until=6)
    assert [(5, "opened", step)] == told.told(KEY)
    assert [severity] == [alert.data.severity.value for alert in told.alerts]


def test_an_enforcement_after_a_judgment_escalates() -> None:
    """The judgment comes first, then the listing."""
    # 5 judgment   40 enforcement
    told = world().play(filed(5), filed(40, "enforcement", "r-2"), until=41)
    assert [(5, "opened", 1), (40, "escalated", 2)] == told.told(KEY)
    assert 2 == len(told.alerts[-1].data.evidence)


def test_without_a_record_it_is_silent() -> None:
    """Kinds that the policy leaves out do not count."""
    # 5 lien
    assert [] == world(kinds=["judgment"]).play(filed(5, "lien"), until=9).said()


@pytest.mark.parametrize(("told_on", "alerts"), [(394.99, 1), (395, 0)])
def test_the_window_is_a_year(told_on: float, alerts: int) -> None:
    """Told late, a record of exactly a year ago is outside."""
    # 30 filed   394 / 395 told
    assert alerts == len(world().play(filed(30, recorded=at(told_on))).alerts)


def test_it_expires_after_a_year() -> None:
    """A year after the last one it is over."""
    # 5 filed   20 another   385 over
    told = world().play(filed(5), filed(20, reference="r-2"), until=390)
    assert [(5, "opened", 1), (385, "resolved", 1)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution
