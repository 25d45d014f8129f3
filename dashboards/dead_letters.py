"""Dead letters: what is refused, why, from where, and how near the limit is at which the worker stops."""

from __future__ import annotations

from typing import Final

from dashboards.board import Board, Variable
from dashboards.panels import Question
from dashboards.queries import in_range, in_range_by, more, over, rate

_TOPIC: Final = 'topic=~"$topic"'
_REASON: Final = 'reason=~"$reason"'
_REFUSED: Final = f'outcome="dead_letter", {_TOPIC}'

REFUSED: Final = (
    Question(
        "How many records were refused?",
        "Dead letters in the time shown, for the reasons that are chosen. `ews dead-letters list` shows them.",
        "short",
        [(in_range("ews_dead_letters_total", _REASON), "dead letters")],
        [(1, "yellow"), (1_000, "red")],
        shape="number",
    ),
    Question(
        "How many are our own fault?",
        "Records on which our code failed, or whose borrower's state or alert was too large. Each is a bug: report it.",
        "short",
        [(in_range("ews_dead_letters_total", 'reason=~"crashed|state_full|alert_too_large"'), "ours")],
        [(1, "red")],
        shape="number",
    ),
    Question(
        "Why are records refused?",
        "Dead letters by reason. Mend the producer, then `ews dead-letters requeue`.",
        "short",
        [(more("ews_dead_letters_total", "reason", _REASON), "{{reason}}")],
        [(1, "yellow"), (500, "red")],
    ),
    Question(
        "Which reasons are the most frequent?",
        "Dead letters in the time shown, by reason; docs/dead-letters.md says what to do about each.",
        "short",
        [(in_range_by("ews_dead_letters_total", "reason", _REASON), "{{reason}}")],
        [(1, "yellow"), (500, "red")],
        shape="bars",
    ),
    Question(
        "From which topics do they come?",
        "Records refused by the topic that they came from.",
        "short",
        [(more("ews_events_total", "topic", _REFUSED), "{{topic}}")],
        [(1, "yellow"), (500, "red")],
    ),
    Question(
        "How near is the limit?",
        "The share of each topic's records that is refused. Past 50 % of the last 1,000 of a partition, or 500 in a "
        "row, the worker stops with exit code 3 and its offset uncommitted.",
        "percentunit",
        [(over(rate("ews_events_total", "topic", _REFUSED), rate("ews_events_total", "topic", _TOPIC)), "{{topic}}")],
        [(0.01, "yellow"), (0.25, "red")],
    ),
)

BESIDE: Final = (
    Question(
        "Does our own code fail?",
        "Records and ticks on which the engine raised an exception. They are left out, and the stream goes on.",
        "short",
        [(more("ews_engine_failures_total", "where"), "{{where}}")],
        [(1, "red")],
        leads_to="ews-detection",
    ),
    Question(
        "What is set apart without being refused?",
        "Duplicates, late events, and facts that wait for their loan: those become dead letters after 30 days.",
        "short",
        [
            (
                more("ews_events_total", "topic, outcome", f'outcome!~"applied|dead_letter", {_TOPIC}'),
                "{{topic}} {{outcome}}",
            )
        ],
    ),
)

DEAD_LETTERS: Final = Board(
    uid="ews-dead-letters",
    title="Early warning: dead letters",
    description="What is refused, why, from where, and how near the limit is at which the worker stops.",
    rows={"What is refused, and why?": REFUSED, "What else goes wrong?": BESIDE},
    variables=[Variable("topic", "ews_events_total"), Variable("reason", "ews_dead_letters_total")],
    since="now-24h",
    refresh="1m",
)
