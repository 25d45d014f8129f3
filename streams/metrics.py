"""Every Prometheus metric of the product, once: its name with its unit, what it means, its labels.

    metrics = Metrics()                                    # a registry of its own; hand one in to share it
    metrics.events.labels("repayments", "applied").inc(12)

Labels are bounded (`LABELS` says by what) and never hold a borrower, a loan or a person. `docs/metrics.md` is made from
this file, and the dashboards may only name what stands here. A process fills what it does and leaves the rest alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.gc_collector import GCCollector
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

Metric = TypeVar("Metric", bound=MetricWrapperBase)

LABELS = {
    "topic": "a topic of `schemas.topics`, without the prefix",
    "partition": "a partition number, so a lane",
    "outcome": "events: applied, late, waiting (for their loan), duplicate, erased (passed over), dead_letter; "
    "transactions: committed (one that fails ends the worker); "
    "notifications: sent, retried, refused, failed, duplicate, expired; "
    "alerts taken up: handled, duplicate, superseded, ignored",
    "detector": "a detector of the policy, or feed_stale, or measure_warming",
    "policy": "a version of the policy that a lane of the worker goes by: one, or two for a moment",
    "severity": "info, watch, high, critical",
    "status": "opened, escalated, withdrawn, resolved",
    "mode": "live, shadow, history",
    "reason": "a `schemas.codec.Reason`",
    "channel": "a channel that the notifier is set up with",
    "consumer": "a consumer's own name: the notifier or the case creator",
    "state": "the state of a case: open, in_progress, promise_to_pay, on_hold, ..., closed",
    "stage": "the rung of the ladder that a case is on: reminder, call, collector, lawyers_letter, litigation",
    "sla": "running, breached (it ran out and nobody has acted since), paused",
    "kind": "portfolio, product, channel, industry, region; never employer",
    "cohort": "a cohort's name with its currency, such as product:cash:CNY: the 100 largest of each lane",
    "bucket": "M0, M1 ... M6, which holds all later ones",
    "roll": "M0-M1, M1-M2 ... M5-M6",
    "rule": "a rule of the packs of contact rules or of the house",
    "where": "what our own code failed on: a record, a tick",
    "effect": "resumed, breached, assigned",
    "end": "kept, reopened (a payment was returned)",
    "route": "a path of the HTTP API or the console with placeholders for what varies, or none",
    "method": "GET, POST, PUT, DELETE, or other",
    "code": "an HTTP status",
    "fact": "what the topic contacts told: attempted, reached, undeliverable, opted_out",
    "change": "what was done to a case: opened, updated, escalated, de_escalated, withdrawn, resolved",
}
"""What bounds each label."""

_FAST = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_LATENCY = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
_LATENESS = (60.0, 600.0, 3600.0, 21_600.0, 86_400.0, 259_200.0, 604_800.0, 2_592_000.0, 7_776_000.0, 31_536_000.0)
_RECORDS = (1.0, 10.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 2_500.0, 5_000.0, 10_000.0, 25_000.0)
_LEADS = tuple(days * 86_400.0 for days in (1, 3, 7, 14, 21, 30, 45, 60, 90, 120, 180, 365))
_BYTES = (128.0, 256.0, 512.0, 1_024.0, 2_048.0, 4_096.0, 8_192.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0)


class Definition(Generic[Metric]):
    """One metric as it is declared; on an instance of `Metrics` it is the live one in that instance's registry."""

    def __init__(
        self, kind: Callable[..., Metric], name: str, meaning: str, labels: Sequence[str], **options: Any
    ) -> None:
        self.kind = kind
        self.name = name
        self.meaning = meaning
        self.labels = tuple(labels)
        self.options = options
        self.attribute = ""

    def __set_name__(self, owner: type[object], attribute: str) -> None:
        self.attribute = attribute

    @overload
    def __get__(self, instance: None, owner: type[object]) -> Definition[Metric]: ...

    @overload
    def __get__(self, instance: object, owner: type[object]) -> Metric: ...

    def __get__(self, instance: object | None, owner: type[object]) -> Definition[Metric] | Metric:
        if instance is None:
            return self
        return cast("Metric", instance.__dict__[f"_{self.attribute}"])

    def register(self, registry: CollectorRegistry) -> Metric:
        """The live metric, in this registry."""
        return self.kind(self.name, self.meaning, self.labels, registry=registry, **self.options)


def _counter(name: str, meaning: str, *labels: str) -> Definition[Counter]:
    return Definition(Counter, name, meaning, labels)


def _gauge(name: str, meaning: str, *labels: str) -> Definition[Gauge]:
    return Definition(Gauge, name, meaning, labels)


def _histogram(name: str, meaning: str, buckets: Sequence[float], *labels: str) -> Definition[Histogram]:
    return Definition(Histogram, name, meaning, labels, buckets=buckets)


class Metrics:
    """The metrics of one process, in one registry."""

    # What comes in.
    events = _counter(
        "ews_events_total", "Source records that were taken up, by what became of them.", "topic", "outcome"
    )
    lag_records = _gauge("ews_lag_records", "Records on the broker that are not applied yet.", "topic", "partition")
    event_lag_seconds = _gauge(
        "ews_event_lag_seconds",
        "How far the latest applied record lies behind the clock (or `until`) while records wait behind it; else 0.",
        "topic",
        "partition",
    )
    latency_seconds = _histogram(
        "ews_end_to_end_latency_seconds",
        "From when a record could be read (its Kafka timestamp; with clock event, its fetch) to the commit of its "
        "effects; of the oldest record of each drain.",
        _LATENCY,
    )
    lateness_seconds = _histogram(
        "ews_event_lateness_seconds", "How long before the borrower's time late events occurred.", _LATENESS
    )

    # What a lane does with it.
    drain_records = _histogram("ews_drain_records", "Source records in one drain of a lane.", _RECORDS)
    drain_seconds = _histogram("ews_drain_seconds", "Time in the pure engine for one drain of a lane.", _FAST)
    ticks = _counter("ews_ticks_total", "Ticks that lanes went through.")
    lane_timestamp_seconds = _gauge(
        "ews_lane_timestamp_seconds", "The lane's own time: its latest tick, in seconds since 1970.", "partition"
    )
    timers_due = _counter("ews_timers_due_total", "Wake-ups of borrowers that came due and were judged.")
    timer_overdue_seconds = _gauge(
        "ews_timer_overdue_seconds",
        "How far the earliest wake-up lies behind the lane's own time; 0 if none is overdue.",
        "partition",
    )
    held_timers = _gauge(
        "ews_held_timers",
        "Wake-ups whose time has come and whose source is not complete so far: held back.",
        "partition",
    )
    engine_failures = _counter(
        "ews_engine_failures_total", "Records and ticks on which our own code failed, and which were left out.", "where"
    )
    progress_ratio = _gauge(
        "ews_progress_ratio",
        "How far lanes have come from their first record to the end that was set (`until`), 0 to 1.",
    )

    # What is committed together.
    transactions = _counter("ews_transactions_total", "Kafka transactions, one for each drain.", "outcome")
    transaction_seconds = _histogram(
        "ews_transaction_seconds", "From the first send to the commit of a transaction.", _FAST
    )
    transaction_records = _histogram("ews_transaction_records", "Records that one transaction wrote.", _RECORDS)
    unstable_records = _gauge(
        "ews_unstable_records",
        "High watermark minus last stable offset: records held up by an open transaction, ours or a foreign one.",
        "topic",
        "partition",
    )

    # What is kept, and read back after a start.
    state_keys = _gauge("ews_state_keys", "Borrowers whose state is held.", "partition")
    state_bytes = _histogram("ews_state_bytes", "Size of a borrower's state when it is written; a sample.", _BYTES)
    recovery_records = _counter("ews_recovery_records_total", "Changelog records that recovery read.")
    recovery_seconds = _gauge("ews_recovery_seconds", "How long the latest recovery took, or has taken so far.")
    recovery_lanes = _gauge("ews_recovery_lanes", "Lanes that are in recovery now.")
    recovery_left_records = _gauge(
        "ews_recovery_left_records", "Offsets of the changelog that recovery still has before it; 0 when it is done."
    )

    # By which settings it is judged.
    policy_lanes = _gauge(
        "ews_policy_lanes",
        "Lanes of this worker by the version of the policy that their latest tick carried.",
        "policy",
    )
    policies_ignored = _counter(
        "ews_policies_ignored_total", "Records of the topic policies that are no policy that could be used."
    )
    judged_anew = _counter("ews_judged_anew_total", "Borrowers that were judged anew because the policy had changed.")

    # What goes out.
    alerts = _counter(
        "ews_alerts_total", "Alerts that were committed to the alerts topic.", "detector", "severity", "status", "mode"
    )
    dead_letters = _counter("ews_dead_letters_total", "Records that were refused, with why.", "reason")

    # Where the portfolio stands, at the end of the last day that was judged.
    cohort_overdue = _gauge(
        "ews_cohort_overdue_ratio",
        "Outstanding at DPD >= 1 over all that is outstanding, of a cohort.",
        "kind",
        "cohort",
    )
    cohort_loans = _gauge("ews_cohort_loans", "Running loans of a cohort by bucket.", "kind", "cohort", "bucket")
    cohort_outstanding = _gauge(
        "ews_cohort_outstanding_minor",
        "Outstanding of a cohort by bucket, in minor units of the currency in its name.",
        "kind",
        "cohort",
        "bucket",
    )
    cohort_roll = _gauge(
        "ews_cohort_roll_ratio",
        "Net flow of a cohort's balances from one bucket into the next between the last two month ends.",
        "kind",
        "cohort",
        "roll",
    )
    lead_seconds = _histogram(
        "ews_lead_seconds",
        "From a detector's first alert about a borrower, of those still true, to the alert that first told of more "
        "than 30 days past due.",
        _LEADS,
        "detector",
    )

    # What becomes of the alerts.
    consumer_alerts = _counter("ews_consumer_alerts_total", "Alerts that a consumer took up.", "consumer", "outcome")
    consumer_lag_records = _gauge(
        "ews_consumer_lag_records",
        "Alerts on the broker that a consumer has not taken up yet.",
        "consumer",
        "partition",
    )
    notifications = _counter("ews_notifications_total", "Messages by what became of them.", "channel", "outcome")
    contact_refusals = _counter(
        "ews_contact_refusals_total", "Contacts with borrowers that a rule did not allow now.", "channel", "rule"
    )
    cases = _gauge("ews_cases", "Cases as they stand.", "state", "stage")
    sla_cases = _gauge("ews_sla_cases", "Open cases by rung and by how their time to act stands.", "stage", "sla")
    case_changes = _counter("ews_case_changes_total", "Changes to cases.", "change")

    contact_facts = _counter("ews_contact_facts_total", "Facts about contacts that the log has taken up.", "fact")

    # What is published because of cases, and the clockwork of cases.
    outbox_waiting = _gauge("ews_outbox_waiting_records", "Events in the outbox that Kafka does not have yet.")
    outbox_published = _counter(
        "ews_outbox_published_total", "Events of the outbox that Kafka has taken, repeats included.", "topic"
    )
    clockwork = _counter(
        "ews_clockwork_total", "What the clockwork has done to cases: pauses ended, breaches, owners found.", "effect"
    )
    promises = _counter("ews_promises_total", "Promises by what repayments made of them.", "end")
    outcome_share = _gauge(
        "ews_detector_precision_ratio", "Share of a detector's judged episodes that were true.", "detector"
    )
    outcomes_judged = _gauge("ews_judged_episodes", "Episodes of a detector that were judged.", "detector")

    # What people and programs ask of the cases.
    api_requests = _counter("ews_api_requests_total", "Requests that the HTTP API answered.", "route", "method", "code")
    api_seconds = _histogram("ews_api_request_seconds", "From a request to the end of its answer.", _FAST, "route")

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = CollectorRegistry() if registry is None else registry
        for definition in definitions():
            self.__dict__[f"_{definition.attribute}"] = definition.register(self.registry)

    @classmethod
    def of_process(cls) -> Self:
        """The metrics of a real process: with its memory, processor time, open files and garbage collection."""
        disable_created_metrics()  # type: ignore[no-untyped-call]
        metrics = cls()
        for collector in (ProcessCollector, PlatformCollector, GCCollector):
            collector(registry=metrics.registry)
        return metrics


def definitions() -> Iterator[Definition[Any]]:
    """Every metric in the order of declaration."""
    return (value for value in vars(Metrics).values() if isinstance(value, Definition))
