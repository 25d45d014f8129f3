"""The outcome keeper: what anybody says of alerts on `alert-outcomes`, kept beside what our own cases say.

So the precision that is shown is that of all case systems, and of `ews outcomes record`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from schemas.codec import InvalidEvent, Reason, decode_outcome
from schemas.outcomes import Verdict
from streams.stores.outcomes import CONSUMER
from streams.stores.work import Judgement

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.outcomes import AlertOutcome
    from streams.consumers.loop import Batch
    from streams.metrics import Metrics
    from streams.stores.outcomes import OutcomeStore


def read_outcome(key: bytes | None, value: bytes | None) -> AlertOutcome:
    """The outcome in a record. Raises InvalidEvent: nobody else makes a dead letter of it."""
    outcome = decode_outcome(value)
    if key is not None and key != outcome.subject.encode():
        raise InvalidEvent(Reason.WRONG_KEY, "the record's key is not the subject")
    return outcome


class OutcomeKeeper:
    """A subscriber of `alert-outcomes` (`streams.consumers.loop`)."""

    name = CONSUMER

    def __init__(self, store: OutcomeStore, metrics: Metrics) -> None:
        self._store = store
        self._metrics = metrics

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition. Raises Unavailable."""
        return self._store.positions(topic)

    def take(self, batch: Batch[AlertOutcome]) -> None:
        """Keep the outcomes and move the offset in one transaction. Raises Unavailable or OffsetMovedError."""
        with self._store.begin() as transaction:
            transaction.advance(batch.topic, batch.partition, start=batch.start, end=batch.end)
            transaction.keep([judgement_of(outcome) for outcome in batch.facts])

    def refresh(self) -> None:
        """Bring the gauges of precision up to date. Raises Unavailable."""
        counts = self._store.counts()
        self._metrics.outcome_share.clear()
        self._metrics.outcomes_judged.clear()
        for detector, verdicts in counts.items():
            judged = sum(verdicts.values())
            true = sum(number for verdict, number in verdicts.items() if Verdict(verdict).true)
            self._metrics.outcomes_judged.labels(detector).set(judged)
            self._metrics.outcome_share.labels(detector).set(true / judged)


def judgement_of(outcome: AlertOutcome) -> Judgement:
    """An outcome as the database keeps it. Its note stays on the topic."""
    data = outcome.data
    return Judgement(
        episode_id=str(data.episode_id),
        alert_id=str(data.alert_id),
        detector=data.detector,
        borrower=data.borrower,
        case_id=None,
        verdict=data.outcome.value,
        decided_at=data.decided_at,
        decided_by=data.by,
    )
