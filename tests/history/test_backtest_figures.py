from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from schemas.alerts import Mode, Severity
from streams.engine.calendar import DAY_MS
from streams.engine.policy import Policy
from streams.history.backtest.curves import at_thresholds, auc, curve, first_reaching, graded, swept
from streams.history.backtest.figures import compared, figures, measure
from streams.history.backtest.ground import Ground, Question, Run, Scored, ground_of
from streams.history.backtest.labels import Label, decisions
from streams.history.backtest.monthly import OPEN, RIGHT, WRONG, horizon_months, months_of, swept_months
from streams.history.backtest.outcomes import Verdict, matched
from streams.history.backtest.raised import Gathered, Raised, of_severity
from streams.history.backtest.resample import Resamples, figure, quantiles
from streams.history.files import available_ms
from tests import builders as b

if TYPE_CHECKING:
    from collections.abc import Sequence

ONE = Resamples(1, 0)


def ms(day: str) -> int:
    """The beginning of a day, UTC."""
    found = available_ms({"time": f"{day}T00:00:00Z"})
    assert found is not None
    return found


def label(
    borrower: str, *, line: int = 2, task: str = "bad", loan: str | None = None, at: str = "", t: str = "",
    bad: bool = False, since: str = "", until: str = "", segment: str = "",
) -> Label:  # fmt: skip
    """A row, its moments as days."""
    at_ms, t_ms, from_ms, until_ms = (ms(day) if day else None for day in (at, t, since, until))
    return Label(line, task, borrower, loan, at_ms, t_ms, bad, from_ms, until_ms, segment)


def raised(
    borrower: str, day: str, *, detector: str = "d-1", loan: str | None = None, high: str = "", watch: bool = True
) -> Raised:
    """An episode that opened on a day at watch (or info), and reached high on another."""
    reached = (ms(day), ms(day) if watch else None, ms(high) if high else None, None)
    return Raised(detector, borrower, loan, reached)


def measured(
    labels: Sequence[Label], episodes: Sequence[Raised] = (), scores: dict[int, float] | None = None, **question: Any
) -> tuple[dict[tuple[str, ...], float | None], dict[tuple[str, ...], Any]]:
    """Every figure of a run over 2025, and what has none."""
    ground, run = grounded(labels, episodes, scores, **question)
    done = measure(ground, run)
    return {path: one.value for path, one in figures(done).items()}, done.plain


def grounded(
    labels: Sequence[Label], episodes: Sequence[Raised] = (), scores: dict[int, float] | None = None, **question: Any
) -> tuple[Ground, Run]:
    """A run over 2025 of everybody who has a label."""
    first = dict.fromkeys((x.borrower for x in labels), ms("2025-01-01"))
    asked = Question(**({"resamples": 0} | question))
    ground = ground_of(asked, labels, first)
    when = [row for row in decisions(labels) if row.label.task in ground.tasks]
    said = [Scored(row, (scores or {}).get(row.label.line, 0.0), "none") for row in when]
    return ground, Run("p", said, episodes, first, ms("2026-01-01"), {}, {})


# -- scores against labels --------------------------------------------------------------------------------------------


def by_hand(scores: list[float], bad: list[int]) -> Any:
    """One borrower's rows."""
    owners = np.zeros(len(scores), dtype=np.int64)
    return graded(np.asarray(scores, dtype=np.float64), np.asarray(bad, dtype=np.bool_), owners, 1)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    """Bad 3 and 1, good 2, 1 and 0: of six pairs four are right, one (1 and 1) is a tie, one is wrong."""
    assert auc(by_hand([3, 1, 2, 1, 0], [1, 1, 0, 0, 0]), ONE)[0] == pytest.approx(4.5 / 6)


@pytest.mark.parametrize(("scores", "area"), [([2, 2, 1, 1], 1.0), ([1, 1, 2, 2], 0.0), ([1, 1, 1, 1], 0.5)])
def test_the_ends_of_the_area(scores: list[float], area: float) -> None:
    """Perfect, upside down, and a score that says nothing."""
    assert auc(by_hand(scores, [1, 1, 0, 0]), ONE)[0] == area


def test_there_is_no_area_with_one_label_only() -> None:
    """Not a number, which a report shows as a dash."""
    assert figure(auc(by_hand([1, 2], [1, 1]), ONE)) == (None, None, None)


def test_precision_is_told_at_the_highest_threshold_that_reaches_a_recall() -> None:
    """Scores 9 bad, 8 good, 7 bad, 6 good, 5 bad and bad: a recall of .5 needs the threshold 7, two of three."""
    sweep = swept(by_hand([9, 8, 7, 6, 5, 5], [1, 0, 1, 0, 1, 1]))
    found = curve(sweep, ONE)
    assert sweep.thresholds.tolist() == [9, 8, 7, 6, 5]
    assert found.recall[0].tolist() == [0.25, 0.25, 0.5, 0.5, 1.0]
    assert found.precision[0].tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4, 4 / 6])
    for recall, precision, reached in ((0.25, 1, 0.25), (0.3, 2 / 3, 0.5), (0.5, 2 / 3, 0.5), (0.51, 4 / 6, 1)):
        at = first_reaching(found, recall)
        assert at_thresholds(found.precision, at)[0] == pytest.approx(precision)
        assert at_thresholds(found.recall, at)[0] == pytest.approx(reached)


def test_more_different_scores_than_are_kept_are_rounded_down() -> None:
    """The curve has a limit; the order of far apart scores stays."""
    scores = np.linspace(0, 1, 5_000)
    by_score = graded(scores, scores > 0.9, np.zeros(5_000, dtype=np.int64), 1)
    assert len(by_score.thresholds) == 400
    assert auc(by_score, ONE)[0] == pytest.approx(1, abs=0.001)


# -- intervals --------------------------------------------------------------------------------------------------------


def test_the_first_resample_is_what_was_observed_and_the_others_draw_as_many_borrowers() -> None:
    """With the same seed they are the same."""
    some = Resamples(50, 20, seed=7)
    drawn = some.of(np.arange(50))
    assert drawn.shape == (21, 50)
    assert drawn[0].tolist() == [1] * 50
    assert drawn.sum(axis=1).tolist() == [50] * 21
    assert np.array_equal(drawn, Resamples(50, 20, seed=7).of(np.arange(50)))
    assert not np.array_equal(drawn, Resamples(50, 20, seed=8).of(np.arange(50)))


def test_an_interval_of_a_mean_is_as_wide_as_theory_says() -> None:
    """400 borrowers, half of them bad: 1.96 standard errors of .025 on either side."""
    bad = (np.arange(400) % 2).astype(np.float64)
    value, low, high = figure(Resamples(400, 1_000).sums(bad) / 400)
    assert value == 0.5
    assert low == pytest.approx(0.5 - 1.96 * 0.025, abs=0.006)
    assert high == pytest.approx(0.5 + 1.96 * 0.025, abs=0.006)


def test_a_borrowers_rows_stand_or_fall_together() -> None:
    """A hundred rows of one borrower are no surer than one: the interval reaches from nothing to all."""
    owners = np.asarray([0] * 100 + [1] * 100)
    by_score = graded(np.arange(200.0), owners == 1, owners, 2)
    resamples = Resamples(2, 200)
    share = resamples.sums(by_score.bad.sum(axis=1)) / 200
    assert figure(share) == (0.5, 0.0, 1.0)


def test_quantiles_take_the_middle_between_two() -> None:
    """Of 1, 2, 3, 4: 1.5, 2.5 and 3.5. Of 5, 7, 9: 5, 7 and 9."""
    assert [v[0] for v in quantiles(ONE, [4, 2, 3, 1], [0] * 4)] == [1.5, 2.5, 3.5]
    assert [v[0] for v in quantiles(ONE, [9, 5, 7], [0] * 3)] == [5, 7, 9]
    assert [figure(v) for v in quantiles(ONE, [], [])] == [(None, None, None)] * 3


# -- month ends -------------------------------------------------------------------------------------------------------


def sweep_of(rows: Sequence[Label], scores: dict[tuple[int, str], float], ended: dict[tuple[str, str], int]) -> Any:
    """Decide rows at month ends; scores are by line and day, else 0."""
    pairs = [(row, scores.get((row.label.line, day_of(row.at_ms)), 0.0)) for row in decisions(rows)]
    owner_of = {name: n for n, name in enumerate(sorted({row.borrower for row in rows}))}
    table = months_of(pairs, owner_of, ended, 6, "UTC")
    outcomes = np.zeros(len(owner_of))
    for row in rows:
        outcomes[owner_of[row.borrower]] += row.label
    return table, *swept_months(table, outcomes, 6)


def day_of(at_ms: int) -> str:
    """The day of an instant."""
    return str(np.datetime64(at_ms, "ms"))[:10]


def test_an_alarm_covers_six_months_and_is_right_if_it_comes_true_within_them() -> None:
    """True in September. Alarms: February is too early, August (the next free month) is right, a month ahead."""
    row = label("b-1", loan="x", t="2025-09-01", bad=True, since="2025-01-01", until="2026-03-01")
    alarms = {(2, f"2025-0{month}-01"): 5.0 for month in range(2, 9)}
    _, sweep, leads = sweep_of([row], alarms, {})
    assert sweep.thresholds.tolist() == [5, 0]
    assert (sweep.right[0, 0], sweep.wrong[0, 0], sweep.covered[0, 0]) == (1, 1, 1)
    assert leads[0] == [(0, 31.0)]


def test_an_alarm_of_the_month_that_is_six_before_is_right() -> None:
    """From March to September: covered, to the very day; a month earlier it would not be."""
    row = label("b-1", loan="x", t="2025-09-01", bad=True, since="2025-01-01", until="2026-03-01")
    table, _, _ = sweep_of([row], {}, {})
    assert table.truth[0].tolist() == [WRONG, WRONG, *[RIGHT] * 6]
    assert table.lead_days[0].tolist() == [(ms("2025-09-01") - ms(f"2025-0{m}-01")) / DAY_MS for m in range(1, 9)]


def test_an_alarm_that_was_not_observed_for_six_months_is_left_out_unless_the_account_ended() -> None:
    """Observed to December: alarms from July on are open; if it was paid off they were wrong."""
    row = label("b-1", loan="x", since="2025-05-01", until="2025-12-01")
    open_, _, _ = sweep_of([row], {}, {})
    assert open_.truth[0].tolist() == [WRONG, WRONG, *[OPEN] * 6]
    ended, _, _ = sweep_of([row], {}, {("b-1", "x"): ms("2025-11-01")})
    assert ended.truth[0].tolist() == [WRONG] * 8


def test_recall_counts_every_outcome_even_one_that_could_not_be_decided_on() -> None:
    """Of two that came true one did so in its first month, before any decision: half are covered at best."""
    rows = [
        label("b-1", loan="x", t="2025-03-01", bad=True, since="2025-01-01", until="2025-12-01"),
        label("b-2", line=3, loan="y", t="2025-01-01", bad=True, since="2025-01-01", until="2025-12-01"),
    ]
    found, plain = measured(rows, scores={2: 1.0})
    assert found["tasks", "bad", "recalls", "0.25", "recall"] == 0.5
    assert found["tasks", "bad", "recalls", "0.25", "precision"] == 1
    assert found["tasks", "bad", "recalls", "0.25", "lead_median"] == 59
    assert found["tasks", "bad", "recalls", "0.6", "precision"] is None
    assert plain["tasks", "bad", "outcomes"] == 2


def test_a_horizon_in_months_is_rounded() -> None:
    """180 days are six months, a week is one."""
    assert [horizon_months(days) for days in (7, 30, 90, 180, 365)] == [1, 1, 3, 6, 12]


# -- alerts against outcomes ------------------------------------------------------------------------------------------


def verdicts(labels: Sequence[Label], *alerts: Raised, ended: dict[tuple[str, str], int] | None = None) -> list[str]:
    """What became of each alert, as a count of each verdict that there is."""
    found = matched(of_severity(alerts, Severity.WATCH), labels, 180, ended or {})
    return [f"{len(found.verdicts[verdict])} {verdict.name}" for verdict in Verdict if found.verdicts[verdict]]


BAD = label("b-1", loan="l-1", t="2025-07-01", bad=True, since="2025-01-01", until="2025-12-31")
GOOD = label("b-2", line=3, loan="l-2", since="2025-01-01", until="2025-12-31")


@pytest.mark.parametrize(
    ("alert", "verdict"),
    [
        (raised("b-1", "2025-06-01"), "1 RIGHT"),
        (raised("b-1", "2025-01-02"), "1 RIGHT"),
        (raised("b-1", "2025-01-01"), "1 WRONG"),
        (raised("b-1", "2025-07-01"), "1 AFTER"),
        (raised("b-1", "2025-06-01", loan="l-1"), "1 RIGHT"),
        (raised("b-2", "2025-06-01"), "1 WRONG"),
        (raised("b-2", "2025-09-01"), "1 OPEN"),
    ],
    ids=["before", "180 days", "181 days", "at it", "its loan", "none came", "not observed"],
)
def test_what_an_alert_was_worth(alert: Raised, verdict: str) -> None:
    """The horizon is 180 days, inclusive; an alert at the very moment of the outcome is no warning."""
    assert verdicts([BAD, GOOD], alert) == [verdict]


def test_alerts_that_count_for_no_row() -> None:
    """Of another loan, of another borrower, and before severity watch."""
    other_loan, stranger = raised("b-1", "2025-06-01", loan="l-9"), raised("b-9", "2025-06-01")
    assert verdicts([BAD, GOOD], other_loan, stranger, raised("b-1", "2025-06-01", watch=False)) == []


def test_an_alert_on_a_loan_that_ended_without_an_outcome_was_wrong() -> None:
    """It need not be observed any longer."""
    assert verdicts([GOOD], raised("b-2", "2025-09-01"), ended={("b-2", "l-2"): ms("2025-10-01")}) == ["1 WRONG"]


def test_an_alert_that_is_right_for_one_loan_is_right() -> None:
    """One about the borrower counts for every loan: that another one stayed good does not make it false."""
    other = label("b-1", line=3, loan="l-3", since="2025-01-01", until="2025-12-31")
    assert verdicts([other, BAD], raised("b-1", "2025-06-01")) == ["1 RIGHT"]


def test_rows_that_are_decided_once_measure_the_alerts_around_their_outcome() -> None:
    """A good loan's alert before its outcome was known is wrong; one long before concerns another decision."""
    late = label("b-1", loan="l-1", at="2025-05-01", t="2025-06-10", bad=True)
    fine = label("b-2", line=3, loan="l-2", at="2025-05-01", t="2025-05-30")
    rows = [late, fine, label("b-3", line=4, at="2025-05-01", bad=True)]
    assert verdicts(rows, raised("b-1", "2025-06-01")) == ["1 RIGHT"]
    assert verdicts(rows, raised("b-1", "2025-06-20")) == ["1 AFTER"]
    assert verdicts(rows, raised("b-2", "2025-05-20")) == ["1 WRONG"]
    assert verdicts(rows, raised("b-2", "2025-06-20"), raised("b-1", "2024-06-01"), raised("b-3", "2025-05-20")) == []


def test_precision_recall_and_lead_overall_and_by_detector() -> None:
    """Two outcomes, one with two alerts of two detectors (30 and 10 days before), and one false alarm."""
    rows = [
        BAD,
        GOOD,
        label("b-3", line=4, loan="l-3", t="2025-07-01", bad=True, since="2025-01-01", until="2025-12-31"),
    ]
    alerts = [raised("b-1", "2025-06-01"), raised("b-1", "2025-06-21", detector="d-2"), raised("b-2", "2025-06-01")]
    found, plain = measured(rows, alerts)
    here = ("tasks", "bad", "alerts")
    assert found[*here, "all", "precision"] == pytest.approx(2 / 3)
    assert found[*here, "all", "recall"] == 0.5
    assert found[*here, "all", "lead_median"] == 30
    assert (found[*here, "d-1", "precision"], found[*here, "d-1", "recall"]) == (0.5, 0.5)
    assert (found[*here, "d-2", "precision"], found[*here, "d-2", "lead_median"]) == (1, 10)
    assert (plain[*here, "all", "right"], plain[*here, "all", "wrong"]) == (2, 1)


# -- how many alerts --------------------------------------------------------------------------------------------------


def test_alerts_a_month_are_of_all_borrowers_for_as_long_as_they_were_there() -> None:
    """Two borrowers over 365 days are 23.98 months of borrowers: three alerts are 125 for 1,000 a month."""
    found, plain = measured(
        [BAD, GOOD], [raised("b-1", "2025-06-01"), raised("b-1", "2025-06-02"), raised("b-2", "2025-08-01")]
    )
    assert found["volume", "all", "per_1000_a_month"] == pytest.approx(3_000 / (2 * 365 / 30.4375))
    assert plain["volume", "by_month"] == {"2025-06": 2, "2025-08": 1}


def test_false_alarms_on_the_healthy_count_each_episode_once_at_its_highest() -> None:
    """One healthy borrower over a year with two episodes at watch and one at high; the troubled one is not counted."""
    rows = [
        label("b-1", line=1, task="trouble", since="2025-01-01", until="2026-01-01", segment="healthy"),
        *trouble("b-2", 2, "2025-02-01"),
    ]
    alerts = [
        raised("b-1", "2025-03-01"), raised("b-1", "2025-04-01"), raised("b-1", "2025-05-01", high="2025-05-09"),
        raised("b-2", "2025-03-01"),
    ]  # fmt: skip
    found, plain = measured(rows, alerts)
    years = 365 / 365.25
    assert found["healthy", "all", "watch_per_1000_a_year"] == pytest.approx(2_000 / years)
    assert found["healthy", "d-1", "high_per_1000_a_year"] == pytest.approx(1_000 / years)
    assert plain["healthy", "borrowers"] == 1


# -- kinds of trouble -------------------------------------------------------------------------------------------------


def trouble(borrower: str, line: int, began: str, miss: str = "", kind: str = "job_loss") -> list[Label]:
    """A borrower's trouble, and the installment that was missed."""
    year = {"since": "2025-01-01", "until": "2026-01-01", "segment": kind}
    rows = [label(borrower, line=line, task="trouble", t=began, bad=True, **year)]  # type: ignore[arg-type]
    if miss:
        loan = f"l-{borrower}"
        rows.append(label(borrower, line=line + 100, task="first_miss", loan=loan, t=miss, bad=True, **year))  # type: ignore[arg-type]
    return rows


def test_a_kind_of_trouble_is_seen_and_warned_of() -> None:
    """Four lost their job: one is warned of 20 days ahead, one is seen too late, one never, one began before."""
    rows = [
        *trouble("b-1", 2, "2025-02-01", "2025-03-21"), *trouble("b-2", 3, "2025-02-01", "2025-03-21"),
        *trouble("b-3", 4, "2025-02-01"), *trouble("b-4", 5, "2024-11-01", "2025-02-01"),
    ]  # fmt: skip
    alerts = [
        raised("b-1", "2025-01-15"), raised("b-1", "2025-03-01"), raised("b-2", "2025-03-25"),
        raised("b-4", "2025-01-25"),
    ]  # fmt: skip
    found, plain = measured(rows, alerts)
    here = ("segments", "job_loss")
    assert found[*here, "recall"] == pytest.approx(2 / 3)
    assert found[*here, "warned"] == 0.5
    assert found[*here, "lead_median"] == 20
    assert (plain[*here, "borrowers"], plain[*here, "missed"], plain[*here, "began_before"]) == (3, 2, 1)
    assert plain[*here, "harmful"]


def test_alerts_in_times_of_trouble() -> None:
    """Of four alerts two fall into the half year after trouble began, one comes before it and one long after."""
    alerts = [raised("b-1", day) for day in ("2025-01-15", "2025-02-01", "2025-07-01", "2025-12-01")]
    found, _ = measured(trouble("b-1", 2, "2025-02-01"), alerts)
    assert found["trouble", "all", "precision"] == 0.5


# -- episodes ---------------------------------------------------------------------------------------------------------


def test_alerts_become_episodes_with_when_they_reached_each_severity() -> None:
    """An installment due on day 30 is noted on the day after, watched later and high at a higher rung: one episode."""
    world = b.World(b.engine_of("missed_installment")).play(b.opened([10, 30, 100]), b.paid(9), b.paid(75), until=80)
    gathered = Gathered()
    for value in world.alert_bytes:
        gathered.alert(value)
    (episode,) = gathered.episodes()
    assert (episode.detector, episode.borrower, episode.loan, episode.withdrawn) == (
        "missed_installment", "b-1", "l-1", False,
    )  # fmt: skip
    watch, high = episode.at_ms(Severity.WATCH), episode.at_ms(Severity.HIGH)
    assert watch is not None
    assert high is not None
    assert watch < high
    noted = episode.at_ms(Severity.INFO)
    assert noted is not None
    assert noted < watch


@pytest.mark.parametrize("on_trial", [False, True])
def test_only_the_alerts_of_the_chosen_mode_are_measured(on_trial: bool) -> None:  # noqa: FBT001
    """A detector on trial is measured by itself, before it goes live."""
    policy = Policy(detectors={"missed_installment": {"shadow": on_trial}})
    engine = b.engine_of("missed_installment", policy=policy)
    world = b.World(engine).play(b.opened([10, 30, 100]), b.paid(9), until=60)
    live, shadow = Gathered(Mode.LIVE), Gathered(Mode.SHADOW)
    for value in world.alert_bytes:
        live.alert(value)
        shadow.alert(value)
    assert (len(live.episodes()), len(shadow.episodes())) == ((0, 1) if on_trial else (1, 0))


# -- two policies -----------------------------------------------------------------------------------------------------


def test_two_policies_differ_within_each_resample() -> None:
    """Who is the same in both columns has a difference of exactly none, however wide the intervals are."""
    rows = [label(f"b-{n}", line=n, at="2025-05-01", t="2025-06-01", bad=n % 3 == 0) for n in range(30)]
    ground, run = grounded(rows, scores={n: float(n % 4) for n in range(30)}, resamples=50)
    one = measure(ground, run)
    same = compared(one, measure(ground, run))["tasks", "bad", "auc"]
    assert same.policy.low is not None
    assert same.policy.high is not None
    assert same.policy.low < same.policy.high
    assert same.difference == (0, 0, 0)
    _, better = grounded(rows, scores={n: float(n % 3 == 0) for n in range(30)}, resamples=50)
    other = compared(measure(ground, better), one)["tasks", "bad", "auc"]
    assert other.policy.value == 1
    assert other.difference.low is not None
    assert other.difference.low > 0


def test_borrowers_without_events_are_left_out_and_named() -> None:
    """A mistake in tokens would else pass for silence."""
    ground = ground_of(Question(resamples=0), [BAD, GOOD], {"b-1": 0})
    assert ground.labels == [BAD]
    assert ground.unknown == ["b-2"]
