from __future__ import annotations

import itertools
from datetime import date, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.alerts import Alert, Severity
from streams.casework.alerts import FEED_STALE, Outcome
from streams.casework.decisions import Change, Decision, case_id, decide
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.metrics import Metrics
from streams.stores.case import Book, Case, CaseState, Stage, content
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from tests.consumers.builders import START, alert, episode

RULES = Ladder.standard()


def follow(*alerts: Alert) -> list[Decision]:
    """Decide one after the other, each on the book that the one before left."""
    book, decisions = Book("b-1"), []
    for told in alerts:
        decisions.append(decide(book, told, RULES))
        book = decisions[-1].book
    return decisions


def case_after(*alerts: Alert) -> Case:
    """The case as the last of the alerts that touched one left it."""
    return [d.case for d in follow(*alerts) if d.case is not None][-1]


def test_a_high_alert_opens_a_case() -> None:
    """It has the alert's next step, is due by severity from the alert's time, and has a derived id."""
    told = alert(severity="high", dpd=1)

    case = case_after(told)

    assert case_id("b-1", told.id) == case.case_id
    assert (CaseState.OPEN, Stage.CALL, Severity.HIGH) == (case.state, case.stage, case.severity)
    assert "Look into missed_installment." == case.next_step
    assert START + timedelta(hours=24) == case.due_at
    assert 1 == case.days_past_due


@pytest.mark.parametrize("severity", ["info", "watch"])
def test_less_than_high_opens_none(severity: str) -> None:
    """Below high the alert is remembered, and nothing opens."""
    [decision] = follow(alert(severity=severity))

    assert decision.case is None
    assert decision.episodes


@pytest.mark.parametrize("mode", ["history", "shadow"])
def test_only_live_alerts_open_cases(mode: str) -> None:
    """A warm-up and a detector on trial open nothing, however severe."""
    [decision] = follow(alert(severity="critical", mode=mode))

    assert (None, Outcome.IGNORED) == (decision.case, decision.outcome)


def test_a_stale_feed_is_no_case() -> None:
    """`feed_stale` names a source, not a borrower: nothing is remembered of it."""
    [decision] = follow(alert(detector=FEED_STALE, borrower="core-banking", loan=None, severity="critical"))

    assert Decision(Book("b-1"), Outcome.IGNORED) == decision


@pytest.mark.parametrize("scope", ["source", "cohort", "measure"])
def test_a_source_cohort_or_measure_is_no_case(scope: str) -> None:
    """An alert with a scope names no borrower, whatever its severity and detector: nothing is remembered of it."""
    [decision] = follow(alert(detector="any", scope=scope, borrower="product:cash:CNY", loan=None, severity="high"))

    assert Decision(Book("b-1"), Outcome.IGNORED) == decision


def test_the_risk_of_a_borrower_opens_a_case_and_its_tiers_follow_each_other() -> None:
    """A high tier opens a case; when it falls the watch tier takes its place beside what else is open."""
    risk = {"detector": "borrower_risk", "loan": None}
    lower = {"onset": date(2025, 6, 9), "severity": "watch", "hours": 3}
    decisions = follow(
        alert(**risk, severity="high", step=2),
        alert(detector="income_missing", severity="watch", hours=1),
        alert("resolved", **risk, severity="high", step=2, revision=2, resolution="recovered", hours=3),
        alert(**risk, **lower),
    )

    last = decisions[-1]
    assert last.case is not None
    assert Severity.WATCH == last.case.severity
    assert {"borrower_risk", "income_missing"} == {e.detector for e in last.book.attached() if e.is_open}


def test_an_episode_from_the_warm_up_opens_a_case_when_it_escalates_live() -> None:
    """What went live with high severity after the warm-up opens a case, and no revision counts as missed."""
    decisions = follow(alert(mode="history"), alert("escalated", revision=2, step=31, severity="critical", hours=9))

    assert (Change.OPENED, 0) == (decisions[-1].change, decisions[-1].revisions_missed)


def test_a_case_takes_in_what_was_watched_before() -> None:
    """Open watch episodes join the case when it opens; info and shadow ones do not."""
    watched = alert(detector="income_missing", severity="watch")
    info = alert(detector="upcoming", severity="info")
    trial = alert(detector="trial", severity="high", mode="shadow")

    decision = follow(watched, info, trial, alert(hours=1))[-1]

    assert {"income_missing", "missed_installment"} == {e.detector for e in decision.book.attached()}


def test_a_watch_alert_joins_an_open_case_without_raising_it() -> None:
    """One open case per borrower: the second episode joins it, and the more severe one still leads."""
    first, second = follow(alert(), alert(detector="income_missing", severity="watch", hours=1))

    assert first.case is not None
    assert second.case is not None
    assert (first.case.case_id, Change.UPDATED) == (second.case.case_id, second.change)
    assert first.case.next_step == second.case.next_step


def test_an_escalation_raises_the_case() -> None:
    """Severity, stage and state go up; it is due sooner, never later."""
    case = case_after(
        alert(dpd=5, step=5), alert("escalated", revision=2, step=15, severity="critical", hours=1, dpd=15)
    )

    assert (CaseState.ESCALATED, Stage.COLLECTOR, Severity.CRITICAL) == (case.state, case.stage, case.severity)
    assert START + timedelta(hours=5) == case.due_at


@pytest.mark.parametrize(
    ("dpd", "stage"),
    [(0, "call"), (14, "call"), (15, "collector"), (60, "collector"), (61, "lawyers_letter"), (91, "litigation")],
)
def test_days_past_due_climb_the_ladder(dpd: int, stage: str) -> None:
    """The stage follows the days past due; only the last two wait for a supervisor, and the next step says so."""
    case = case_after(alert(dpd=dpd))

    assert Stage(stage) == case.stage
    assert (dpd >= 61) == case.needs_approval
    assert (dpd >= 61) == ("supervisor" in case.next_step)


def test_a_withdrawn_alert_takes_back_the_case_it_opened() -> None:
    """When the only episode was never true the case is closed as withdrawn."""
    case = case_after(*episode("b-1", [("opened", "high", 1), ("withdrawn", "high", 1)]))

    assert (CaseState.CLOSED, "withdrawn") == (case.state, case.closed_as)
    assert case.due_at is None


def test_a_withdrawn_alert_leaves_the_case_to_other_open_episodes() -> None:
    """The case stays open, steps back down, and has the time of its lower severity again."""
    case = case_after(
        alert(dpd=15, step=15, severity="critical"),
        alert(detector="income_missing", loan=None, severity="watch", hours=1),
        alert("withdrawn", revision=2, step=15, severity="critical", hours=2, dpd=0),
    )

    assert (CaseState.OPEN, Stage.REMINDER, Severity.WATCH) == (case.state, case.stage, case.severity)
    assert "Look into income_missing." == case.next_step
    assert START + timedelta(hours=2 + 72) == case.due_at


def test_the_last_resolved_episode_resolves_the_case() -> None:
    """Resolved with the episode's own reason, and not before the last one."""
    decisions = follow(
        alert(),
        alert(detector="partial_payment", hours=1),
        alert("resolved", revision=2, hours=2),
        alert("resolved", detector="partial_payment", revision=2, hours=3, resolution="rescheduled"),
    )

    assert Change.UPDATED == decisions[2].change
    assert decisions[3].case is not None
    assert (CaseState.RESOLVED, "rescheduled") == (decisions[3].case.state, decisions[3].case.closed_as)


def test_a_case_with_something_true_in_it_is_resolved_not_withdrawn() -> None:
    """The last episode is withdrawn, but a severe one before it was true: the case was no mistake."""
    case = case_after(
        alert(),
        alert(detector="partial_payment", hours=1),
        alert("resolved", revision=2, hours=2),
        alert("withdrawn", detector="partial_payment", revision=2, hours=3),
    )

    assert (CaseState.RESOLVED, "cured") == (case.state, case.closed_as)


def test_an_ended_episode_keeps_the_severity_that_it_had() -> None:
    """A resolution that speaks softly does not make the trouble that it ends a small one."""
    case = case_after(
        alert(),
        alert(detector="partial_payment", hours=1),
        alert("resolved", revision=2, hours=2, severity="info"),
        alert("withdrawn", detector="partial_payment", revision=2, hours=3),
    )

    assert CaseState.RESOLVED is case.state


def test_a_new_episode_after_closing_opens_a_new_case() -> None:
    """A closed case stays closed."""
    old, *_, new = follow(
        *episode("b-1", [("opened", "high", 1), ("resolved", "high", 1)]), alert(onset=date(2026, 4, 1), hours=800)
    )

    assert Change.OPENED == new.change
    assert old.case is not None
    assert new.case is not None
    assert old.case.case_id != new.case.case_id


def test_a_lower_revision_after_a_higher_one_changes_nothing() -> None:
    """What comes late is noted in the case and undoes nothing."""
    withdrawn, late = follow(alert(), alert("withdrawn", revision=3, hours=3), alert("escalated", revision=2, step=9))[
        1:
    ]

    assert (Outcome.SUPERSEDED, None, ()) == (late.outcome, late.case, late.episodes)
    assert withdrawn.book == late.book
    assert ["alert.late"] == [entry.action for entry in late.entries]


def test_a_gap_in_the_revisions_is_noted() -> None:
    """A revision that skips one is applied, and the case says that something was missed."""
    decision = follow(alert(), alert("escalated", revision=4, step=15, severity="critical", hours=1))[-1]

    assert 2 == decision.revisions_missed
    assert ["alert.gap", "episode.escalated", "case.escalated"] == [entry.action for entry in decision.entries]


def test_a_loan_is_never_set_back_to_an_older_position() -> None:
    """An alert with an earlier time does not change what is known of a loan since."""
    case = case_after(alert(hours=5, dpd=20), alert(detector="partial_payment", hours=1, dpd=3))

    assert 20 == case.days_past_due


# Any borrower's life as alerts, any way of sharing them out.

KINDS = ("missed_installment", "partial_payment", "income_missing")
SEVERITIES = st.sampled_from(["info", "watch", "high", "critical"])


@st.composite
def lives(draw: st.DrawFn, borrower: str) -> list[Alert]:
    """The alerts of one borrower in the order in which a worker writes them: revisions of an episode in order."""
    chains = [
        draw(chains_of(borrower, kind, date(2026, month, 1)))
        for kind in draw(st.lists(st.sampled_from(KINDS), unique=True))
        for month in draw(st.sampled_from([(3,), (3, 4)]))
    ]
    told = draw(merged(chains))
    return [one.model_copy(update={"time": START + timedelta(hours=number)}) for number, one in enumerate(told)]


@st.composite
def chains_of(draw: st.DrawFn, borrower: str, detector: str, onset: date) -> list[Alert]:
    """One episode: opened, some escalations, perhaps an end, perhaps opened again."""
    middle = draw(st.integers(0, 2))
    end = draw(st.sampled_from([(), ("withdrawn",), ("resolved",), ("resolved", "opened")]))
    statuses = ["opened", *["escalated"] * middle, *end]
    return [
        alert(
            status,
            borrower=borrower,
            detector=detector,
            onset=onset,
            revision=number,
            step=number,
            severity=draw(SEVERITIES),
            dpd=draw(st.sampled_from([0, 5, 20, 70])),
            mode=draw(st.sampled_from(["live", "live", "live", "history"])) if number == 1 else "live",
        )
        for number, status in enumerate(statuses, start=1)
    ]


@st.composite
def merged(draw: st.DrawFn, chains: list[list[Alert]]) -> list[Alert]:
    """Any interleaving that keeps the order within each chain."""
    queues, out = [list(chain) for chain in chains if chain], []
    while queues:
        queue = draw(st.sampled_from(queues))
        out.append(queue.pop(0))
        queues = [rest for rest in queues if rest]
    return out


@st.composite
def repeated(draw: st.DrawFn, alerts: list[Alert]) -> list[Alert]:
    """The same alerts, some of them again at any later place, and perhaps all from some place on once more."""
    out = list(alerts)
    for index in draw(st.lists(st.integers(0, max(0, len(alerts) - 1)), max_size=4)) if alerts else []:
        out.insert(draw(st.integers(out.index(alerts[index]) + 1, len(out))), alerts[index])
    return out + out[draw(st.integers(0, len(out))) :]


@st.composite
def batched(draw: st.DrawFn, alerts: list[Alert]) -> list[list[Alert]]:
    """Cut into batches anywhere."""
    cuts = sorted(draw(st.sets(st.integers(0, len(alerts)), max_size=5)))
    edges = [0, *cuts, len(alerts)]
    return [alerts[a:b] for a, b in itertools.pairwise(edges) if a < b]


def pictures(batches: list[list[Alert]]) -> dict[str, list[object]]:
    """Every case of every borrower with its history, after these batches; the audit trail must hold."""
    with open_database("sqlite://") as database:
        store, start = CaseStore(database), 0
        creator = CaseCreator(store, RULES, Metrics())
        for batch in batches:
            creator.take(Batch("alerts", 0, start, start + len(batch), tuple(batch)))
            start += len(batch)
        assert () == store.verify().faults
        borrowers = {told.subject for batch in batches for told in batch}
        return {
            name: [(content(f.case, f.episodes), told(f.history)) for f in store.files_of(name)] for name in borrowers
        }


def told(history: object) -> list[object]:
    """The lines without their numbers: where in the chain a line stands depends on other borrowers."""
    return [(line.at, line.action, line.detail, line.case_digest) for line in history]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_sharing_out_with_repeats_gives_the_same_cases(data: st.DataObject) -> None:
    """However borrowers are interleaved, batches cut and alerts repeated: the same cases with the same history."""
    borrowers = ["b-1", "b-2", "b-3"]
    each = [data.draw(lives(name)) for name in borrowers]
    plain = pictures([alerts for alerts in each if alerts])

    shuffled = data.draw(batched(data.draw(repeated(data.draw(merged(each))))))

    assert plain == pictures(shuffled)


@settings(max_examples=200, deadline=None)
@given(told=lives("b-1"))
def test_an_open_case_always_has_an_open_episode(told: list[Alert]) -> None:
    """A case is open exactly while an episode of it is; it is as severe as the worst of them, and has a next step."""
    for decision in follow(*told):
        case = decision.book.case
        still = [e for e in decision.book.attached() if e.is_open]
        assert (case is not None) == bool(still)
        if case is not None:
            assert case.severity is max((e.severity for e in still), key=lambda s: s.rank)
            assert case.next_step
            assert case.due_at is not None


@settings(max_examples=100, deadline=None)
@given(told=lives("b-1"), data=st.data())
def test_the_order_of_arrival_never_undoes_a_higher_revision(told: list[Alert], data: st.DataObject) -> None:
    """Whatever order alerts arrive in, each episode ends as its highest revision says."""
    arrived = data.draw(st.permutations(told))
    newest = {str(a.data.episode_id): a.data for a in sorted(told, key=lambda a: a.data.revision)}

    book = follow(*arrived)[-1].book if arrived else Book("b-1")

    assert {i: d.revision for i, d in newest.items()} == {i: e.revision for i, e in book.episodes.items()}
    assert {i: d.status for i, d in newest.items()} == {i: e.status for i, e in book.episodes.items()}
