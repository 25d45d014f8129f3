"""Pipeline health: does it keep up, is what it commits safe, does it keep time and state, do those behind it follow?"""

from __future__ import annotations

from typing import Final

from dashboards.board import Board, Variable
from dashboards.panels import Question
from dashboards.queries import OURS, RATE, more, quantiles, rate

_TOPIC: Final = 'topic=~"$topic"'

_TIMES: Final = "ews_lane_timestamp_seconds"

RUNS: Final = (
    Question(
        "Which processes are up?",
        "Instances of each job that Prometheus reaches: the worker of each stage, the case process, the notifier, the "
        "API.",
        "short",
        [(f"sum by (job) (up{{{OURS}}})", "{{job}}")],
    ),
    Question(
        "How often did processes start?",
        "Starts of each instance in the last half hour. A worker that starts again and again says why in its log.",
        "short",
        [(f"sum by (job, instance) (changes(process_start_time_seconds{{{OURS}}}[30m]))", "{{job}} {{instance}}")],
        [(2, "yellow"), (4, "red")],
    ),
    Question(
        "How much memory do they hold?",
        "Resident memory of each process. A worker's grows with the borrowers of its lanes: docs/scale.md.",
        "bytes",
        [(f"sum by (job, instance) (process_resident_memory_bytes{{{OURS}}})", "{{job}} {{instance}}")],
    ),
    Question(
        "How busy are they?",
        "Processor seconds a second. Each process computes on one core: near 1 it is full, add workers.",
        "percentunit",
        [(f"sum by (job, instance) (rate(process_cpu_seconds_total{{{OURS}}}[{RATE}]))", "{{job}} {{instance}}")],
        [(0.8, "yellow"), (0.95, "red")],
    ),
)

KEEPS_UP: Final = (
    Question(
        "How many events are taken up a second?",
        "By topic and by what became of them. Nothing at all while producers write means that the worker stands still.",
        "eps",
        [(rate("ews_events_total", "topic, outcome", _TOPIC), "{{topic}} {{outcome}}")],
    ),
    Question(
        "How many records wait to be applied?",
        "Records on the broker behind the worker's position. A backlog may be large and must fall; else add workers.",
        "short",
        [(f"sum by (topic) (ews_lag_records{{{_TOPIC}}})", "{{topic}}")],
        [(10_000, "yellow"), (1_000_000, "red")],
    ),
    Question(
        "Which lane is behind?",
        "Records that wait by partition. One lane far behind the others has a borrower or a producer of its own kind.",
        "short",
        [(f"sum by (partition) (ews_lag_records{{{_TOPIC}}})", "lane {{partition}}")],
        [(10_000, "yellow"), (1_000_000, "red")],
    ),
    Question(
        "How far behind is the worker in time?",
        "The clock minus the time of the latest applied record, while others wait behind it. Silence alarms are held.",
        "s",
        [(f"max by (topic) (ews_event_lag_seconds{{{_TOPIC}}})", "{{topic}}")],
        [(60, "yellow"), (3600, "red")],
    ),
    Question(
        "How long from a record to its committed effect?",
        "The oldest record of each drain: from when it could be read to the commit of its alerts and state.",
        "s",
        quantiles("ews_end_to_end_latency_seconds", 0.5, 0.99),
        [(1, "yellow"), (10, "red")],
    ),
    Question(
        "What share of records is refused?",
        "Past 50 % of the last 1,000 records of a partition, or 500 in a row, the worker stops with exit code 3.",
        "percentunit",
        [(f"sum(rate(ews_dead_letters_total[{RATE}])) / sum(rate(ews_events_total[{RATE}]))", "refused")],
        [(0.01, "yellow"), (0.5, "red")],
        leads_to="ews-dead-letters",
    ),
    Question(
        "How far has the run come?",
        "For a run with an end (a demo, a backfill): the share of its time that lanes have gone through. Live it is 0.",
        "percentunit",
        [("max(ews_progress_ratio)", "progress")],
        shape="number",
    ),
    Question(
        "How many borrowers are held?",
        "Borrowers whose state the lanes hold. It grows with the portfolio and falls when borrowers are forgotten.",
        "short",
        [("sum(ews_state_keys)", "borrowers")],
        [(5_000_000, "yellow"), (20_000_000, "red")],
        shape="number",
    ),
)

COMMITS: Final = (
    Question(
        "How many transactions are committed a second?",
        "One for each drain of a lane. One that fails ends the worker, which starts again at the last committed one.",
        "ops",
        [(rate("ews_transactions_total", "outcome"), "{{outcome}}")],
    ),
    Question(
        "How long does a transaction take?",
        "From the first send to the commit. At ten seconds the broker gives it up and the worker ends.",
        "s",
        quantiles("ews_transaction_seconds", 0.5, 0.99),
        [(1, "yellow"), (10, "red")],
    ),
    Question(
        "How large are drains and transactions?",
        "Source records taken in, and records written, by one transaction; medians. Both grow under load, by design.",
        "short",
        [
            (quantiles("ews_drain_records", 0.5)[0][0], "records in"),
            (quantiles("ews_transaction_records", 0.5)[0][0], "records out"),
        ],
    ),
    Question(
        "How long does the engine compute for a drain?",
        "Time in the pure engine, no Kafka in it. If this is most of a transaction's time, add workers.",
        "s",
        quantiles("ews_drain_seconds", 0.5, 0.99),
        [(1, "yellow"), (5, "red")],
    ),
    Question(
        "Does an open transaction hold readers up?",
        "High watermark minus last stable offset. A worker's own pass at once; one that stays is another producer's.",
        "short",
        [(f"max by (topic) (ews_unstable_records{{{_TOPIC}}})", "{{topic}}")],
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
        "The spread of the own times of a job's lanes, and how far the earliest wake-up lies behind its lane's time.",
        "s",
        [
            (f"max by (job) ({_TIMES}) - min by (job) ({_TIMES})", "spread of {{job}}"),
            ("max(ews_timer_overdue_seconds)", "overdue"),
        ],
        [(3600, "yellow"), (86_400, "red")],
    ),
    Question(
        "Does a silent source hold alarms back?",
        "Wake-ups whose time has come and whose source has not said that it is complete so far. One alert feed_stale "
        "opens in place of all of them.",
        "short",
        [("sum(ews_held_timers)", "held")],
        [(1_000, "yellow"), (100_000, "red")],
    ),
    Question(
        "How large is a borrower's state?",
        "A sample of the states that were written. The plan counts on 1 KiB at the median.",
        "bytes",
        quantiles("ews_state_bytes", 0.5, 0.99),
        [(4_096, "yellow"), (65_536, "red")],
    ),
    Question(
        "How much state is there in all?",
        "Borrowers times the mean size of the states that were written: what the changelog keeps and a start reads.",
        "bytes",
        [("sum(ews_state_keys) * sum(ews_state_bytes_sum) / sum(ews_state_bytes_count)", "state")],
        [(10_000_000_000, "yellow"), (40_000_000_000, "red")],
    ),
    Question(
        "How fast does recovery read, and how much is left?",
        "Changelog records a second after a start or a rebalance, and the offsets that it still has before it.",
        "short",
        [
            (f"sum(rate(ews_recovery_records_total[{RATE}]))", "read a second"),
            ("sum(ews_recovery_left_records)", "left"),
        ],
    ),
    Question(
        "How long did recovery take?",
        "The latest recovery of any worker. Nothing is applied until it is done.",
        "s",
        [("max(ews_recovery_seconds)", "recovery")],
        [(2, "yellow"), (5, "red")],
        shape="number",
    ),
    Question(
        "How many lanes are in recovery now?",
        "Zero, except for seconds after a start or a rebalance.",
        "short",
        [("sum(ews_recovery_lanes)", "lanes")],
        [(1, "yellow"), (64, "red")],
        shape="number",
    ),
)

ACTS: Final = (
    Question(
        "Do the consumers keep up?",
        "Records that the notifier and the parts of the case process have not taken up yet.",
        "short",
        [("sum by (consumer) (ews_consumer_lag_records)", "{{consumer}}")],
        [(1_000, "yellow"), (100_000, "red")],
        leads_to="ews-collections",
    ),
    Question(
        "What do the consumers do with alerts?",
        "Duplicates are harmless: an alert is acted on once by its id.",
        "ops",
        [(rate("ews_consumer_alerts_total", "consumer, outcome"), "{{consumer}} {{outcome}}")],
    ),
    Question(
        "Does what cases say reach the stream?",
        "Events in the outbox that Kafka does not have yet, and those that it has taken. If many wait, Kafka is away: "
        "nothing is lost.",
        "short",
        [
            ("max(ews_outbox_waiting_records)", "waiting"),
            (more("ews_outbox_published_total", "topic"), "{{topic}}"),
        ],
    ),
    Question(
        "How much is the API asked, and what does it answer?",
        "Requests by the code of their answer. 429 is the limit of an account, 5xx is a fault.",
        "short",
        [(more("ews_api_requests_total", "code"), "{{code}}")],
    ),
    Question(
        "How quick is the API?",
        "From a request to the end of its answer.",
        "s",
        quantiles("ews_api_request_seconds", 0.5, 0.99),
        [(0.5, "yellow"), (2, "red")],
    ),
)

PIPELINE: Final = Board(
    uid="ews-pipeline",
    title="Early warning: pipeline",
    description="Whether events become alerts, cases and messages: completely, once, in time.",
    rows={
        "Is everything there?": RUNS,
        "Does it keep up?": KEEPS_UP,
        "Is what it commits safe?": COMMITS,
        "Does it keep time and state?": KEEPS,
        "Do those behind it follow?": ACTS,
    },
    variables=[Variable("topic", "ews_events_total")],
)
