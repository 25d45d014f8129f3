"""Portfolio risk: where the loans stand, what rolls, and which cohorts leave the band of 5 to 10 % overdue."""

from __future__ import annotations

from typing import Final

from dashboards.board import Board, Variable
from dashboards.panels import Question
from dashboards.queries import in_range, or_none, over

BAND_TOP: Final = 0.10
"""The overdue rate lies at 5 to 10 % in normal times (`docs/portfolio.md`)."""
FAR_ABOVE: Final = 0.15
ROLL_TOP: Final = 0.06
"""The default limit of the detector `cohort_roll_rate` for M0 to M1."""
_WHOLE: Final = 'kind="portfolio"'
_LATE: Final = f'sum by (bucket) (ews_cohort_loans{{{_WHOLE}, bucket!="M0"}})'
_COHORT: Final = 'cohort=~"$cohort"'

STANDS: Final = (
    Question(
        "What share of the portfolio is overdue?",
        "Outstanding at DPD >= 1 over all that is outstanding, by currency, at the end of the last day judged. "
        "5 to 10 % is normal; above, the alarm is the portfolio's.",
        "percentunit",
        [(f"ews_cohort_overdue_ratio{{{_WHOLE}}}", "{{cohort}}")],
        [(BAND_TOP, "yellow"), (FAR_ABOVE, "red")],
        shape="number",
    ),
    Question(
        "How many cohorts are above the band?",
        "Products, channels, industries and regions whose overdue rate is above 10 %.",
        "short",
        [(f'count(ews_cohort_overdue_ratio{{kind!="portfolio"}} > {BAND_TOP}) or vector(0)', "cohorts")],
        [(1, "yellow"), (5, "red")],
        shape="number",
    ),
    Question(
        "How many alarms about cohorts were raised?",
        "Episodes of the detectors of cohorts that were opened in the time shown.",
        "short",
        [(or_none(in_range("ews_alerts_total", 'detector=~"cohort_.*", status="opened"')), "alarms")],
        [(1, "yellow")],
        shape="number",
    ),
    Question(
        "How far are the figures behind the events?",
        "The lane that is furthest on minus the one furthest back, both stages together: figures are of a day that is "
        "over, so up to a day and some is normal.",
        "s",
        [("max(ews_lane_timestamp_seconds) - min(ews_lane_timestamp_seconds)", "behind")],
        [(172_800, "yellow"), (345_600, "red")],
        shape="number",
        leads_to="ews-pipeline",
    ),
    Question(
        "How has the overdue rate moved?",
        "The whole portfolio by currency. The dashed lines are the top of the band and half as much again.",
        "percentunit",
        [(f"ews_cohort_overdue_ratio{{{_WHOLE}}}", "{{cohort}}")],
        [(BAND_TOP, "yellow"), (FAR_ABOVE, "red")],
    ),
    Question(
        "Which cohorts are furthest above the band?",
        "The fifteen highest overdue rates among the cohorts that are chosen. Small cohorts swing: look at their size.",
        "percentunit",
        [(f'topk(15, ews_cohort_overdue_ratio{{kind!="portfolio", {_COHORT}}})', "{{cohort}}")],
        [(BAND_TOP, "yellow"), (FAR_ABOVE, "red")],
        shape="bars",
    ),
)

BUCKETS: Final = (
    Question(
        "In which bucket are the loans?",
        "Running loans by bucket: M0 is current, M1 1-30 days past due, M6 holds all later ones.",
        "short",
        [(f"sum by (bucket) (ews_cohort_loans{{{_WHOLE}}})", "{{bucket}}")],
        shape="stack",
    ),
    Question(
        "What is outstanding in which bucket?",
        "In minor units of the currency (cents, fen), of the cohorts that are chosen of the whole portfolio.",
        "short",
        [(f"sum by (cohort, bucket) (ews_cohort_outstanding_minor{{{_WHOLE}}})", "{{cohort}} {{bucket}}")],
        shape="stack",
    ),
    Question(
        "Which share of the loans is late, and how late?",
        "Loans in each bucket from M1 on over all running loans.",
        "percentunit",
        [(over(_LATE, f"ignoring (bucket) group_left sum(ews_cohort_loans{{{_WHOLE}}})"), "{{bucket}}")],
    ),
    Question(
        "How large are the cohorts?",
        "Running loans of the cohorts that are chosen. Below twenty no history is kept of one.",
        "short",
        [(f'topk(15, sum by (cohort) (ews_cohort_loans{{kind!="portfolio", {_COHORT}}}))', "{{cohort}}")],
        shape="bars",
    ),
)

ROLLS: Final = (
    Question(
        "How much rolls from bucket to bucket?",
        "Net flow rates of the whole portfolio between the last two month ends. The first moves first.",
        "percentunit",
        [(f"ews_cohort_roll_ratio{{{_WHOLE}}}", "{{cohort}} {{roll}}")],
    ),
    Question(
        "Where does most roll into arrears?",
        "The fifteen highest flows from M0 to M1 among the cohorts that are chosen; 6 % is the default limit.",
        "percentunit",
        [(f'topk(15, ews_cohort_roll_ratio{{roll="M0-M1", {_COHORT}}})', "{{cohort}}")],
        [(ROLL_TOP, "yellow"), (2 * ROLL_TOP, "red")],
        shape="bars",
    ),
)

PORTFOLIO: Final = Board(
    uid="ews-portfolio",
    title="Early warning: portfolio risk",
    description="Where the portfolio stands at the end of each day: overdue rate, buckets, roll rates, cohorts.",
    rows={"Is it within its band?": STANDS, "How late is what is late?": BUCKETS, "What rolls?": ROLLS},
    variables=[Variable("cohort", 'ews_cohort_overdue_ratio{kind!="portfolio"}')],
    since="now-30d",
    refresh="5m",
)
