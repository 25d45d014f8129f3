"""The case creator: alerts in, cases out. What an alert does is decided in `decisions`; here it is read and written.

A batch is one database transaction: the consumed offset, the cases, the audit lines and the ids of the alerts.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import structlog

from schemas import traces
from streams.casework.alerts import Outcome
from streams.casework.decisions import Decision, decide
from streams.casework.lead import leads
from streams.stores.case import Applied, Changes, Stage
from streams.stores.cases import CONSUMER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import timedelta

    from schemas.alerts import Alert
    from streams.casework.ladder import Ladder
    from streams.consumers.loop import Batch
    from streams.metrics import Metrics
    from streams.stores.cases import CaseStore, CaseTransaction

log = structlog.get_logger(__name__)

SLA = ("running", "breached", "paused")
"""How a case's time to act may stand."""


class CaseCreator:
    """A subscriber of alerts (`streams.consumers.loop`) that keeps the cases."""

    name = CONSUMER

    def __init__(self, store: CaseStore, rules: Ladder, metrics: Metrics, *, detectors: Iterable[str] = ()) -> None:
        """`detectors` are those that may warn: their lead is counted from 0 on, so that the first one shows."""
        for detector in detectors:
            metrics.lead_seconds.labels(detector)
        self._store = store
        self._rules = rules
        self._metrics = metrics

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition. Raises Unavailable."""
        return self._store.positions(topic)

    def take(self, batch: Batch[Alert]) -> None:
        """Apply the alerts and move the offset in one transaction. Raises Unavailable or OffsetMovedError."""
        with self._store.begin() as transaction:
            transaction.advance(batch.topic, batch.partition, start=batch.start, end=batch.end)
            decisions, warned = self._apply(transaction, batch.facts)
        self._count(decisions, duplicates=len(batch.facts) - len(decisions))
        for detector, lead in warned:
            self._metrics.lead_seconds.labels(detector).observe(lead.total_seconds())

    def refresh(self) -> None:
        """Bring the gauges of cases up to date."""
        counts = self._store.counts()
        self._metrics.cases.clear()
        for (state, stage), number in counts.items():
            self._metrics.cases.labels(state, stage).set(number)
        clocks = self._store.clocks()
        for stage in Stage:
            for sla in SLA:
                self._metrics.sla_cases.labels(stage, sla).set(clocks.get((stage, sla), 0))

    def _apply(
        self, transaction: CaseTransaction, alerts: tuple[Alert, ...]
    ) -> tuple[list[Decision], list[tuple[str, timedelta]]]:
        """The decisions, and how long before serious arrears which detector had warned."""
        seen = transaction.applied({str(alert.id) for alert in alerts})
        todo = _first_of_each(alerts, seen)
        episodes = {str(alert.data.episode_id) for alert in todo}
        books = transaction.books({alert.subject for alert in todo}, episodes)
        changes, decisions = Changes(), []
        warned: list[tuple[str, timedelta]] = []
        for alert in todo:
            decision = decide(books[alert.subject], alert, self._rules)
            warned += leads(books[alert.subject], decision).items()
            books[alert.subject] = decision.book
            _gather(changes, decision, alert)
            if decision.case is not None:
                log.debug(
                    "case.changed",
                    case_id=decision.case.case_id,
                    change=decision.change,
                    alert_id=str(alert.id),
                    trace_id=traces.trace_id(traces.of_alert(alert)),
                )
            decisions.append(decision)
        transaction.save(changes)
        return decisions, warned

    def _count(self, decisions: list[Decision], *, duplicates: int) -> None:
        outcomes = Counter(decision.outcome for decision in decisions)
        outcomes[Outcome.DUPLICATE] += duplicates
        for outcome, number in outcomes.items():
            self._metrics.consumer_alerts.labels(self.name, outcome).inc(number)
        for change, number in Counter(decision.change for decision in decisions if decision.change).items():
            self._metrics.case_changes.labels(change).inc(number)
        missed = sum(decision.revisions_missed for decision in decisions)
        if missed:
            log.warning("revisions_missed", number=missed)


def _first_of_each(alerts: tuple[Alert, ...], seen: set[str]) -> list[Alert]:
    """The alerts that are new, in order. Of two with one id the first counts, wherever a batch is cut."""
    todo: dict[str, Alert] = {}
    for alert in alerts:
        if str(alert.id) not in seen:
            todo.setdefault(str(alert.id), alert)
    return list(todo.values())


def _gather(changes: Changes, decision: Decision, alert: Alert) -> None:
    if decision.case is not None:
        changes.cases[decision.case.case_id] = decision.case
        changes.same_loans.discard(decision.case.case_id)
    for episode in decision.episodes:
        changes.add_episode(episode)
    changes.promises.update({promise.promise_id: promise for promise in decision.promises})
    changes.entries.extend(decision.entries)
    changes.applied.append(
        Applied(
            alert_id=str(alert.id),
            episode_id=str(alert.data.episode_id),
            revision=alert.data.revision,
            case_id=decision.case.case_id if decision.case else None,
            outcome=decision.outcome,
            at=alert.time,
        )
    )
