"""From what the lanes do to the metrics that show it."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from schemas.alerts import AlertStatus, Mode, Severity
from schemas.codec import Reason
from streams import clock
from streams.engine.feeds import DETECTOR as FEED_STALE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from prometheus_client import Gauge

    from streams.agents.owned import OwnedLane
    from streams.engine.drain import CohortFigures, Effects, Inbox
    from streams.metrics import Metrics


class Gauges:
    """The worker's metrics: counters move when a transaction is committed, gauges once a second."""

    def __init__(self, metrics: Metrics, *, wall: bool) -> None:
        self._metrics = metrics
        self._wall = wall
        self._counters = {
            "event": metrics.events,
            "alert": metrics.alerts,
            "dead_letter": metrics.dead_letters,
            "tick": metrics.ticks,
            "timer": metrics.timers_due,
            "crashed": metrics.engine_failures,
            "judged_anew": metrics.judged_anew,
        }
        self._policies: dict[int, str] = {}
        """The version that each lane goes by."""
        self._cohorts: dict[int, tuple[int, dict[Gauge, set[tuple[str, ...]]]]] = {}
        """By lane the time of the figures of its cohorts that are shown, and under which labels."""
        for where in ("record", "tick"):  # So that none can be told from not measured.
            metrics.engine_failures.labels(where)
        for reason in Reason:
            metrics.dead_letters.labels(reason.value)
        for severity in Severity:  # An alert rule asks for its increase, which a counter born at 1 would not show.
            metrics.alerts.labels(FEED_STALE, severity.value, AlertStatus.OPENED.value, Mode.LIVE.value)

    def drained(self, inbox: Inbox, seconds: float) -> int | None:
        """The time of the oldest record that the drain saw, for `committed`."""
        self._metrics.drain_seconds.observe(seconds)
        return min((records[0].timestamp for records in inbox.records.values()), default=None)

    def committed(self, lane: OwnedLane, effects: Effects, records: int, seconds: float) -> None:
        """A drain's transaction is committed."""
        metrics = self._metrics
        metrics.transactions.labels("committed").inc()
        metrics.transaction_seconds.observe(seconds)
        metrics.transaction_records.observe(records)
        self._count(effects)
        if effects.policy != self._policies.get(lane.partition):
            self._goes_by(lane.partition, effects.policy)
        if effects.states:
            metrics.state_bytes.observe(len(next(iter(effects.states.values())) or b""))
        metrics.lane_timestamp_seconds.labels(lane.partition).set(effects.now_ms / 1000)
        due_ms = lane.logic.due_ms()
        overdue_ms = 0 if due_ms is None else max(0, effects.now_ms - due_ms)
        metrics.timer_overdue_seconds.labels(lane.partition).set(overdue_ms / 1000)
        if self._wall and lane.oldest_ms is not None:
            metrics.latency_seconds.observe(max(0.0, (clock.now_ms() - lane.oldest_ms) / 1000))
        elif lane.fetched is not None:
            metrics.latency_seconds.observe(clock.monotonic() - lane.fetched)

    def _goes_by(self, partition: int, policy: str) -> None:
        """A lane goes by another policy, or ('') is here no more. A version that no lane has left goes too."""
        before = self._policies.pop(partition, "")
        if policy:
            self._policies[partition] = policy
        held = Counter(self._policies.values())
        for version in {before, policy} - {""}:
            if held[version]:
                self._metrics.policy_lanes.labels(version).set(held[version])
            else:
                self._metrics.policy_lanes.remove(version)

    def _count(self, effects: Effects) -> None:
        applied = 0
        for (what, *labels), count in (effects.counts or {}).items():
            counter = self._counters.get(what)
            if counter is not None:
                (counter.labels(*labels) if labels else counter).inc(count)
            if what == "event":
                applied += count
        self._metrics.drain_records.observe(applied)
        for late_ms in effects.lateness_ms:
            self._metrics.lateness_seconds.observe(late_ms / 1000)

    def stands(self, lane: OwnedLane, until_ms: int | None) -> None:
        """Where a lane stands, once a second."""
        now_ms = clock.now_ms() if self._wall or until_ms is None else until_ms
        metrics = self._metrics
        for topic, source in lane.buffer.sources.items():
            metrics.lag_records.labels(topic, lane.partition).set(source.lag)
            metrics.unstable_records.labels(topic, lane.partition).set(source.unstable)
            behind_ms = now_ms - source.records[0].timestamp if source.records else 0
            metrics.event_lag_seconds.labels(topic, lane.partition).set(max(0, behind_ms) / 1000)
        metrics.state_keys.labels(lane.partition).set(max(0, len(lane.states) - 1))
        metrics.held_timers.labels(lane.partition).set(lane.logic.held())
        self._show_cohorts(lane)

    def _show_cohorts(self, lane: OwnedLane) -> None:
        """The figures of a lane's cohorts, which change once a day; after a start they come from the states."""
        at_ms, before = self._cohorts.get(lane.partition, (-1, {}))
        if at_ms == lane.now_ms:
            return
        shown = self._set_cohorts(lane.logic.figures())
        for gauge, labels in before.items():
            for gone in labels - shown[gauge]:
                gauge.remove(*gone)
        self._cohorts[lane.partition] = lane.now_ms, shown

    def _set_cohorts(self, figures: Sequence[CohortFigures]) -> dict[Gauge, set[tuple[str, ...]]]:
        metrics = self._metrics
        gauges = (metrics.cohort_overdue, metrics.cohort_loans, metrics.cohort_outstanding, metrics.cohort_roll)
        shown: dict[Gauge, set[tuple[str, ...]]] = {gauge: set() for gauge in gauges}
        for gauge, labels, value in _series(metrics, figures):
            gauge.labels(*labels).set(value)
            shown[gauge].add(labels)
        return shown

    def progress(self, ratio: float) -> None:
        """How far the lanes have come to the end that was set."""
        self._metrics.progress_ratio.set(ratio)

    def recovering(self, lanes: int) -> None:
        """Recovery begins."""
        self._metrics.recovery_lanes.set(lanes)

    def read_back(self, records: int, left: int) -> None:
        """Recovery read so many records of the changelog, and has so many offsets before it."""
        self._metrics.recovery_records.inc(records)
        self._metrics.recovery_left_records.set(left)

    def recovered(self, seconds: float) -> None:
        """Recovery is done."""
        self._metrics.recovery_lanes.set(0)
        self._metrics.recovery_left_records.set(0)
        self._metrics.recovery_seconds.set(seconds)

    def revoked(self, lanes: Mapping[int, OwnedLane]) -> None:
        """These lanes are somebody else's now: they must not go on standing in our metrics."""
        metrics = self._metrics
        for partition, lane in lanes.items():
            self._goes_by(partition, "")
            for topic in lane.buffer.sources:
                for gauge in (metrics.lag_records, metrics.unstable_records, metrics.event_lag_seconds):
                    gauge.remove(topic, partition)
            own = (
                metrics.state_keys,
                metrics.lane_timestamp_seconds,
                metrics.timer_overdue_seconds,
                metrics.held_timers,
            )
            for gauge in own:
                gauge.remove(partition)
            for cohorts, labels in self._cohorts.pop(partition, (0, {}))[1].items():
                for gone in labels:
                    cohorts.remove(*gone)


def _series(metrics: Metrics, figures: Sequence[CohortFigures]) -> Iterator[tuple[Gauge, tuple[str, ...], float]]:
    for cohort in figures:
        own = (cohort.kind, cohort.name)
        yield metrics.cohort_overdue, own, cohort.overdue
        for bucket, (loans, minor) in enumerate(zip(cohort.loans, cohort.minor, strict=True)):
            yield metrics.cohort_loans, (*own, f"M{bucket}"), loans
            yield metrics.cohort_outstanding, (*own, f"M{bucket}"), minor
        for bucket, roll in enumerate(cohort.rolls):
            if roll is not None:
                yield metrics.cohort_roll, (*own, f"M{bucket}-M{bucket + 1}"), roll
