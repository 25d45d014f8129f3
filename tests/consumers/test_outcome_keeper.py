"""What other case systems say of alerts counts beside what our own cases say."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING
from uuid import UUID

import pytest

from schemas.codec import InvalidEvent, Reason, encode
from schemas.outcomes import AlertOutcome, AlertOutcomeData, Verdict
from streams.consumers.loop import Batch
from streams.consumers.outcome_keeper import OutcomeKeeper, read_outcome
from streams.metrics import Metrics
from streams.stores.database import open_database
from streams.stores.outcomes import OutcomeStore
from tests.consumers.builders import START

if TYPE_CHECKING:
    from pathlib import Path


def outcome(
    verdict: Verdict, *, episode: int = 1, hours: float = 0, detector: str = "missed_installment"
) -> AlertOutcome:
    """A judgement by another system."""
    return AlertOutcome(
        specversion="1.0",
        id=f"o-{episode}-{verdict}-{hours}",
        source="other/cases",
        subject="b-1",
        time=START + timedelta(hours=hours),
        data=AlertOutcomeData(
            alert_id=UUID(int=episode),
            episode_id=UUID(int=episode),
            detector=detector,
            borrower="b-1",
            outcome=verdict,
            decided_at=START + timedelta(hours=hours),
            by="desk-9",
        ),
    )


def test_of_an_episode_the_latest_decision_counts(tmp_path: Path) -> None:
    """In whatever order they come, and however often; the gauges say what comes of it."""
    metrics = Metrics()
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        store = OutcomeStore(database)
        keeper = OutcomeKeeper(store, metrics)
        last = outcome(Verdict.FALSE_POSITIVE, hours=2)
        told = (outcome(Verdict.VALUABLE_ALERT, hours=1), last, outcome(Verdict.CONFIRMED_RISK), last)
        keeper.take(Batch("alert-outcomes", 0, 0, 4, told))
        more = (outcome(Verdict.CONFIRMED_RISK, episode=n, detector="gone_dark") for n in (2, 3, 4))
        keeper.take(
            Batch("alert-outcomes", 0, 4, 8, (*more, outcome(Verdict.FALSE_POSITIVE, episode=5, detector="gone_dark")))
        )
        keeper.refresh()

        assert {0: 8} == keeper.positions("alert-outcomes")
        assert {
            "gone_dark": {"confirmed_risk": 3, "false_positive": 1},
            "missed_installment": {"false_positive": 1},
        } == store.counts()
    value = metrics.registry.get_sample_value
    assert 0.75 == value("ews_detector_precision_ratio", {"detector": "gone_dark"})
    assert 0.0 == value("ews_detector_precision_ratio", {"detector": "missed_installment"})
    assert 4 == value("ews_judged_episodes", {"detector": "gone_dark"})


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        (b"b-1", b"{", Reason.NOT_JSON),
        (b"b-1", None, Reason.EMPTY),
        (b"b-2", encode(outcome(Verdict.CONFIRMED_RISK)), Reason.WRONG_KEY),
    ],
)
def test_what_is_no_outcome_is_a_dead_letter(key: bytes, value: bytes | None, reason: Reason) -> None:
    """With its reason: nobody else reads the topic to act on it."""
    with pytest.raises(InvalidEvent) as refused:
        read_outcome(key, value)
    assert reason is refused.value.reason
