"""Detection: what is raised, whether it is right and early, and what detectors on trial would have said."""

from __future__ import annotations

from typing import Final

from dashboards.board import Board, Variable
from dashboards.panels import Question
from dashboards.queries import RATE, in_range, in_range_by, more, or_none, over, quantiles

_DETECTOR: Final = 'detector=~"$detector"'
_OPENED: Final = f'status="opened", {_DETECTOR}'

_WITHDRAWN: Final = f'status="withdrawn", {_DETECTOR}'
_LEADS: Final = in_range_by("ews_lead_seconds_bucket", "le, detector", _DETECTOR)
_RIGHT: Final = "max by (detector) (ews_detector_precision_ratio)"
_JUDGED: Final = "max by (detector) (ews_judged_episodes)"

RAISES: Final = (
    Question(
        "How many warnings were opened?",
        "New live episodes in the time shown, of the detectors that are chosen.",
        "short",
        [(in_range("ews_alerts_total", f'mode="live", {_OPENED}'), "opened")],
        shape="number",
    ),
    Question(
        "How many of them are high or critical?",
        "Those open cases; the others are watched.",
        "short",
        [(in_range("ews_alerts_total", f'mode="live", severity=~"high|critical", {_OPENED}'), "opened")],
        shape="number",
    ),
    Question(
        "What share was taken back?",
        "Withdrawn over opened. An alert is withdrawn when a payment booked late disproves it: much of it means that "
        "bookings are slow.",
        "percentunit",
        [
            (
                over(or_none(in_range("ews_alerts_total", _WITHDRAWN)), in_range("ews_alerts_total", _OPENED)),
                "withdrawn",
            )
        ],
        [(0.2, "yellow"), (0.5, "red")],
        shape="number",
    ),
    Question(
        "Which detectors raise alerts?",
        "New episodes by detector and mode. Only live ones open cases and send messages.",
        "short",
        [(more("ews_alerts_total", "detector, mode", _OPENED), "{{detector}} {{mode}}")],
    ),
    Question(
        "What becomes of alerts, and how severe are they?",
        "Alerts by status and severity. Many withdrawn ones mean that payments are booked late.",
        "short",
        [(more("ews_alerts_total", "status, severity", _DETECTOR), "{{status}} {{severity}}")],
    ),
    Question(
        "How does a detector on trial compare with the live ones?",
        "Episodes opened in the time shown, by detector, live and shadow. A shadow detector that opens many times more "
        "than its live neighbours would flood the desk: try its thresholds on history first.",
        "short",
        [
            (
                in_range_by("ews_alerts_total", "detector, mode", f'mode=~"live|shadow", {_OPENED}'),
                "{{detector}} {{mode}}",
            )
        ],
        shape="bars",
    ),
)

RIGHT: Final = (
    Question(
        "How right are the alerts, as people judge them?",
        "The share of each detector's judged episodes that were a confirmed risk or worth raising.",
        "percentunit",
        [(f"max by (detector) (ews_detector_precision_ratio{{{_DETECTOR}}})", "{{detector}}")],
        shape="bars",
    ),
    Question(
        "How many episodes were judged?",
        "A precision of few judgements says little: from about fifty on it can be gone by.",
        "short",
        [(f"max by (detector) (ews_judged_episodes{{{_DETECTOR}}})", "{{detector}}")],
        shape="bars",
    ),
    Question(
        "How right are all of them together?",
        "The precisions of the detectors, each with the weight of its judgements.",
        "percentunit",
        [(over(f"sum({_RIGHT} * {_JUDGED})", f"sum({_JUDGED})"), "precision")],
        shape="number",
    ),
    Question(
        "How long before serious arrears had each detector warned?",
        "Of the borrowers who came to more than 30 days past due in the time shown: the median time since the "
        "detector's first alert that is still true. This is the time won.",
        "s",
        [(f"histogram_quantile(0.5, {_LEADS})", "{{detector}}")],
        shape="bars",
    ),
    Question(
        "How many who came into serious arrears had each detector seen before?",
        "Borrowers beyond 30 days past due of whom the detector had an alert. The missed installment sees all of them.",
        "short",
        [(in_range_by("ews_lead_seconds_count", "detector", _DETECTOR), "{{detector}}")],
        shape="bars",
    ),
)

RULES: Final = (
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
    Question(
        "How late do events come?",
        "How long before the borrower's own time late events occurred. Late truth is counted in its own window.",
        "s",
        quantiles("ews_event_lateness_seconds", 0.5, 0.99),
        [(86_400, "yellow"), (34_560_000, "red")],
    ),
    Question(
        "Has a source fallen silent?",
        "Alerts feed_stale that were opened. While a source is silent nothing is concluded from its silence.",
        "short",
        [(in_range("ews_alerts_total", 'detector="feed_stale", status="opened"'), "stale sources")],
        [(1, "red")],
        shape="number",
    ),
    Question(
        "Has our own code failed on anything?",
        "Records (then dead letters `crashed`) and ticks that were left out because the engine raised an exception.",
        "short",
        [(more("ews_engine_failures_total", "where"), "{{where}}")],
        [(1, "red")],
        leads_to="ews-dead-letters",
    ),
)

DETECTION: Final = Board(
    uid="ews-detection",
    title="Early warning: detection",
    description="What the detectors raise, whether it is right, and how early it came.",
    rows={"What is raised?": RAISES, "Is it right, and early?": RIGHT, "By which rules, on which facts?": RULES},
    variables=[Variable("detector", "ews_alerts_total")],
    since="now-24h",
    refresh="1m",
)
