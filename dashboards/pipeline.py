"""The pipeline's dashboard: does it keep up, what does it find, what does it refuse, is what it keeps safe?"""

from __future__ import annotations

from itertools import count
from typing import Final

from grafana_foundation_sdk.builders import dashboard as dashboards

from dashboards.panels import RATE, Question, panel


def _rate(metric: str, by: str) -> str:
    return f"sum by ({by}) (rate({metric}[{RATE}]))"


def _more(metric: str, by: str) -> str:
    return f"sum by ({by}) (increase({metric}[{RATE}]))"


def _quantiles(metric: str, *shares: float) -> list[tuple[str, str]]:
    buckets = f"sum by (le) (rate({metric}_bucket[{RATE}]))"
    return [(f"histogram_quantile({share}, {buckets})", f"p{share * 100:g}") for share in shares]


KEEPS_UP: Final = (
    Question(
        "How many events are taken up a second?",
        "By topic and by what became of them. Nothing at all while producers write means that the worker stands still.",
        "eps",
        [(_rate("ews_events_total", "topic, outcome"), "{{topic}} {{outcome}}")],
    ),
    Question(
        "How many records wait to be applied?",
        "Records on the broker behind the worker's position. A backlog may be large and must fall; else add workers.",
        "short",
        [("sum by (topic) (ews_lag_records)", "{{topic}}")],
        [(10_000, "yellow"), (1_000_000, "red")],
    ),
    Question(
        "How far behind is the worker in time?",
        "The clock minus the time of the latest applied record, while others wait behind it. Silence alarms are held.",
        "s",
        [("max by (topic) (ews_event_lag_seconds)", "{{topic}}")],
        [(60, "yellow"), (3600, "red")],
    ),
    Question(
        "How long from a record to its committed effect?",
        "The oldest record of each drain: from when it could be read to the commit of its alerts and state.",
        "s",
        _quantiles("ews_end_to_end_latency_seconds", 0.5, 0.99),
        [(1, "yellow"), (10, "red")],
    ),
    Question(
        "How late do events come?",
        "How long before the borrower's own time late events occurred. Late truth is counted in its own window.",
        "s",
        _quantiles("ews_event_lateness_seconds", 0.5, 0.99),
        [(86_400, "yellow"), (34_560_000, "red")],
    ),
    Question(
        "How far has the run come?",
        "For a run with an end (a demo, a backfill): the share of its time that lanes have gone through.",
        "percentunit",
        [("max(ews_progress_ratio)", "progress")],
        single=True,
    ),
    Question(
        "How many borrowers are held?",
        "Borrowers whose state the lanes hold. It grows with the portfolio and falls when borrowers are forgotten.",
        "short",
        [("sum(ews_state_keys)", "borrowers")],
        [(5_000_000, "yellow"), (20_000_000, "red")],
        single=True,
    ),
)

FINDS: Final = (
    Question(
        "Which detectors raise alerts?",
        "New episodes by detector and mode. Only live ones open cases and send messages.",
        "short",
        [(_more('ews_alerts_total{status="opened"}', "detector, mode"), "{{detector}} {{mode}}")],
    ),
    Question(
        "What becomes of alerts, and how severe are they?",
        "Alerts by status and severity. Many withdrawn ones mean that payments are booked late.",
        "short",
        [(_more("ews_alerts_total", "status, severity"), "{{status}} {{severity}}")],
    ),
    Question(
        "Why are records refused?",
        "Dead letters by reason. `ews dead-letters list` shows them; mend the producer, then requeue.",
        "short",
        [(_more("ews_dead_letters_total", "reason"), "{{reason}}")],
        [(1, "yellow"), (500, "red")],
    ),
    Question(
        "Has our own code failed on anything?",
        "Records (then dead letters `crashed`) and ticks that were left out because the engine raised an exception.",
        "short",
        [(_more("ews_engine_failures_total", "where"), "{{where}}")],
        [(1, "red")],
    ),
    Question(
        "What share of records is refused?",
        "Past 50 % of the last 1,000 records of a partition, or 500 in a row, the worker stops with exit code 3.",
        "percentunit",
        [(f"sum(rate(ews_dead_letters_total[{RATE}])) / sum(rate(ews_events_total[{RATE}]))", "refused")],
        [(0.01, "yellow"), (0.5, "red")],
    ),
    Question(
        "Which policy do the lanes go by?",
        "Lanes by the version that their latest tick carried. Two versions for more than some seconds: a lane hangs.",
        "short",
        [("sum by (policy) (ews_policy_lanes)", "{{policy}}")],
    ),
    Question(
        "How far is a change of the policy?",
        "Borrowers judged anew a second: all of them once after a change, then none. And records that are no policy.",
        "short",
        [
            (f"sum(rate(ews_judged_anew_total[{RATE}]))", "judged anew"),
            (f"sum(increase(ews_policies_ignored_total[{RATE}]))", "ignored policies"),
        ],
    ),
)

COMMITS: Final = (
    Question(
        "How many transactions are committed a second?",
        "One for each drain of a lane. A failed one ends the worker, which starts again at the last committed one.",
        "ops",
        [(_rate("ews_transactions_total", "outcome"), "{{outcome}}")],
    ),
    Question(
        "How long does a transaction take?",
        "From the first send to the commit. At ten seconds the broker gives it up and the worker ends.",
        "s",
        _quantiles("ews_transaction_seconds", 0.5, 0.99),
        [(1, "yellow"), (10, "red")],
    ),
    Question(
        "How large are drains and transactions?",
        "Source records taken in, and records written, by one transaction; medians. Both grow under load, by design.",
        "short",
        [
            (_quantiles("ews_drain_records", 0.5)[0][0], "records in"),
            (_quantiles("ews_transaction_records", 0.5)[0][0], "records out"),
        ],
    ),
    Question(
        "How long does the engine compute for a drain?",
        "Time in the pure engine, no Kafka in it. If this is most of a transaction's time, add workers.",
        "s",
        _quantiles("ews_drain_seconds", 0.5, 0.99),
        [(1, "yellow"), (5, "red")],
    ),
    Question(
        "Does an open transaction hold readers up?",
        "High watermark minus last stable offset. A worker's own pass at once; one that stays is another producer's.",
        "short",
        [("max by (topic) (ews_unstable_records)", "{{topic}}")],
        [(1_000, "yellow"), (100_000, "red")],
    ),
)

KEEPS: Final = (
    Question(
        "Does time go on, and do silent borrowers wake?",
        "Ticks of the lanes and wake-ups that came due, per second. Without ticks no silence alarm can fire.",
        "ops",
        [
            (f"sum(rate(ews_ticks_total[{RATE}]))", "ticks"),
            (f"sum(rate(ews_timers_due_total[{RATE}]))", "wake-ups"),
        ],
    ),
    Question(
        "How far are lanes apart, and are wake-ups late?",
        "The spread of the lanes' own times, and how far the earliest wake-up lies behind its lane's time.",
        "s",
        [
            ("max(ews_lane_timestamp_seconds) - min(ews_lane_timestamp_seconds)", "spread"),
            ("max(ews_timer_overdue_seconds)", "overdue"),
        ],
        [(3600, "yellow"), (86_400, "red")],
    ),
    Question(
        "How large is a borrower's state?",
        "A sample of the states that were written. The plan counts on 1 KiB at the median.",
        "bytes",
        _quantiles("ews_state_bytes", 0.5, 0.99),
        [(4_096, "yellow"), (65_536, "red")],
    ),
    Question(
        "How fast does recovery read?",
        "Changelog records a second after a start or a rebalance.",
        "ops",
        [(f"sum(rate(ews_recovery_records_total[{RATE}]))", "records")],
    ),
    Question(
        "How long did recovery take?",
        "The latest recovery of any worker. Nothing is applied until it is done.",
        "s",
        [("max(ews_recovery_seconds)", "recovery")],
        [(2, "yellow"), (5, "red")],
        single=True,
    ),
    Question(
        "How many lanes are in recovery now?",
        "Zero, except for seconds after a start or a rebalance.",
        "short",
        [("sum(ews_recovery_lanes)", "lanes")],
        [(1, "yellow"), (64, "red")],
        single=True,
    ),
)

ACTS: Final = (
    Question(
        "Do the consumers keep up with the alerts?",
        "Alerts that the notifier and the case creator have not taken up yet.",
        "short",
        [("sum by (consumer) (ews_consumer_lag_records)", "{{consumer}}")],
        [(1_000, "yellow"), (100_000, "red")],
    ),
    Question(
        "What do the consumers do with alerts?",
        "Duplicates are harmless: an alert is acted on once by its id.",
        "ops",
        [(_rate("ews_consumer_alerts_total", "consumer, outcome"), "{{consumer}} {{outcome}}")],
    ),
    Question(
        "What becomes of messages?",
        "By channel and outcome. Retries mean that a provider is down: messages wait and are not lost.",
        "short",
        [(_more("ews_notifications_total", "channel, outcome"), "{{channel}} {{outcome}}")],
    ),
    Question(
        "How many cases are there, and where do they stand?",
        "By state and by rung of the ladder.",
        "short",
        [("sum by (state, stage) (ews_cases)", "{{state}} {{stage}}")],
    ),
    Question(
        "What happens to cases?",
        "Changes by kind. A withdrawn alert takes back what it opened.",
        "short",
        [(_more("ews_case_changes_total", "change"), "{{change}}")],
    ),
    Question(
        "Does what cases say reach the stream?",
        "Events in the outbox that Kafka does not have yet, and those that it has taken. If many wait, Kafka is away: "
        "nothing is lost.",
        "short",
        [
            ("max(ews_outbox_waiting_records)", "waiting"),
            (_more("ews_outbox_published_total", "topic"), "{{topic}}"),
        ],
    ),
    Question(
        "Are promises kept, and cases worked in time?",
        "What repayments made of promises, and what time has done to cases: pauses ended, times to act that ran out.",
        "short",
        [
            (_more("ews_promises_total", "end"), "{{end}}"),
            (_more("ews_clockwork_total", "effect"), "{{effect}}"),
        ],
    ),
    Question(
        "What do the contact rules hold back?",
        "Contacts that a rule did not allow at that moment, and facts about contacts that were taken up.",
        "short",
        [
            (_more("ews_contact_refusals_total", "rule"), "refused by {{rule}}"),
            (_more("ews_contact_facts_total", "fact"), "{{fact}}"),
        ],
    ),
    Question(
        "How much is the API asked, and what does it answer?",
        "Requests by the code of their answer. 429 is the limit of an account, 5xx is a fault.",
        "short",
        [(_more("ews_api_requests_total", "code"), "{{code}}")],
    ),
    Question(
        "How quick is the API?",
        "From a request to the end of its answer.",
        "s",
        _quantiles("ews_api_request_seconds", 0.5, 0.99),
    ),
    Question(
        "How right are the alerts, as people judge them?",
        "The share of each detector's judged episodes that were true, and how many were judged.",
        "short",
        [
            ("max by (detector) (ews_detector_precision_ratio)", "{{detector}}"),
            ("max by (detector) (ews_judged_episodes)", "{{detector}} judged"),
        ],
    ),
)

ROWS: Final = {
    "Does it keep up?": KEEPS_UP,
    "What does it find, what does it refuse?": FINDS,
    "Is what it commits safe?": COMMITS,
    "Does it keep time and state?": KEEPS,
    "Does anybody act on it?": ACTS,
}


def pipeline() -> dashboards.Dashboard:
    """The dashboard."""
    builder = (
        dashboards.Dashboard("Early warning: pipeline")
        .uid("ews-pipeline")
        .description("Whether events become alerts, cases and messages: completely, once, in time.")
        .tags(["early-warning"])
        .refresh("10s")
        .time("now-30m", "now")
        .timezone("browser")
        .readonly()
        .with_variable(dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    numbers = count(1)
    for title, questions in ROWS.items():
        builder.with_row(dashboards.Row(title).id(next(numbers)))
        for question in questions:
            builder.with_panel(panel(question).id(next(numbers)))
    return builder
