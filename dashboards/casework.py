"""Collections: where cases stand, whether they are worked in time, who is contacted, and what the rules hold back."""

from __future__ import annotations

from typing import Final

from dashboards.board import Board, Variable
from dashboards.panels import Question
from dashboards.queries import in_range_by, more, over, share

_STAGE: Final = 'stage=~"$stage"'
_CHANNEL: Final = 'channel=~"$channel"'
_OPEN: Final = f'state!~"resolved|closed", {_STAGE}'

_BREACHED: Final = f'sum(ews_sla_cases{{sla="breached", {_STAGE}}})'
_CLOCKED: Final = f'sum(ews_sla_cases{{sla!="paused", {_STAGE}}})'

CASES: Final = (
    Question(
        "How many cases are open?",
        "Cases that are neither resolved nor closed, on the rungs that are chosen.",
        "short",
        [(f"sum(ews_cases{{{_OPEN}}})", "open")],
        shape="number",
    ),
    Question(
        "How many have run out of time?",
        "Open cases whose time to act ran out with nobody having acted since.",
        "short",
        [(_BREACHED, "breached")],
        [(1, "yellow"), (50, "red")],
        shape="number",
    ),
    Question(
        "What share of the open cases is late?",
        "Breached over all whose clock runs or ran out. Paused ones wait for a promise, a hold or a decision.",
        "percentunit",
        [(over(_BREACHED, f"clamp_min({_CLOCKED}, 1)"), "late")],
        [(0.05, "yellow"), (0.1, "red")],
        shape="number",
    ),
    Question(
        "On which rung of the ladder are the cases?",
        "Open cases by rung: reminder, call, collector, lawyer's letter, litigation. The hard ones need an approval.",
        "short",
        [(f"sum by (stage) (ews_cases{{{_OPEN}}})", "{{stage}}")],
        shape="stack",
    ),
    Question(
        "In which state are they?",
        "All cases by state, ended ones too.",
        "short",
        [(f"sum by (state) (ews_cases{{{_STAGE}}})", "{{state}}")],
    ),
    Question(
        "Is there time to act, rung by rung?",
        "Open cases by rung and by how their time to act stands.",
        "short",
        [(f"sum by (stage, sla) (ews_sla_cases{{{_STAGE}}})", "{{stage}} {{sla}}")],
        shape="bars",
    ),
    Question(
        "What happens to cases?",
        "Changes by kind. A withdrawn alert takes back what it opened.",
        "short",
        [(more("ews_case_changes_total", "change"), "{{change}}")],
    ),
    Question(
        "Are promises kept, and cases worked in time?",
        "What repayments made of promises, and what time has done to cases: pauses ended, times to act that ran out.",
        "short",
        [
            (more("ews_promises_total", "end"), "{{end}}"),
            (more("ews_clockwork_total", "effect"), "{{effect}}"),
        ],
    ),
)

CONTACTS: Final = (
    Question(
        "What becomes of messages?",
        "By channel and outcome. Retries mean that a provider is down: messages wait and are not lost.",
        "short",
        [(more("ews_notifications_total", "channel, outcome", _CHANNEL), "{{channel}} {{outcome}}")],
    ),
    Question(
        "What share of messages fails or must be tried again?",
        "Failed and retried over all, on the channels that are chosen.",
        "percentunit",
        [(share("ews_notifications_total", 'outcome=~"failed|retried"', _CHANNEL), "not through")],
        [(0.1, "yellow"), (0.5, "red")],
    ),
    Question(
        "Which rules hold contacts back?",
        "Contacts with borrowers that a rule did not allow at that moment, in the time shown. A refusal waits for the "
        "next permitted moment, moves to the next channel, or ends.",
        "short",
        [(in_range_by("ews_contact_refusals_total", "rule", _CHANNEL), "{{rule}}")],
        shape="bars",
    ),
    Question(
        "On which channels are contacts refused?",
        "Refusals by channel and rule.",
        "short",
        [(more("ews_contact_refusals_total", "channel, rule", _CHANNEL), "{{channel}} {{rule}}")],
    ),
    Question(
        "What is told of contacts?",
        "Facts of the topic contacts that the log has taken up: attempted, reached, undeliverable, opted out.",
        "short",
        [(more("ews_contact_facts_total", "fact"), "{{fact}}")],
    ),
)

COLLECTIONS: Final = Board(
    uid="ews-collections",
    title="Early warning: collections",
    description="Cases by rung and state, whether they are worked in time, contacts and what the rules refused.",
    rows={"Are cases worked in time?": CASES, "Who is contacted, and who must not be?": CONTACTS},
    variables=[Variable("stage", "ews_sla_cases"), Variable("channel", "ews_notifications_total")],
    since="now-24h",
    refresh="1m",
)
