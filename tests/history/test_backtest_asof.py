from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pytest

from schemas.codec import decode, encode
from streams.engine.borrower import snapshot
from streams.engine.calendar import DAY_MS, ms_of
from streams.engine.scorecard import score
from streams.history.backtest.asof import Playback, as_of
from streams.history.backtest.labels import Decision, Label
from streams.history.files import FileEvent, read_events
from streams.history.simulator import Plan, simulate
from tests import builders as b

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from schemas import events
    from streams.engine.engine import Engine

DETECTORS = ("missed_installment", "returned_payment", "first_payment_default")


class Known(NamedTuple):
    """What a decision saw: the whole state, the loan, and the score made of them."""

    state: bytes
    loan: str | None
    points: int
    tier: str


def lines_of(*facts: events.Event) -> list[FileEvent]:
    """The lines of a file that holds these."""
    return [
        FileEvent(b.known_ms(x), x.source, x.id, "made", n, encode(x), x.topic, x.subject.encode())
        for n, x in enumerate(b.in_order(facts), start=1)
    ]


def row(day: float, *, subject: str = "b-1", loan: str | None = "l-1", hour: float = 12) -> Decision:
    """A decision on a day of the timeline."""
    at_ms = ms_of(b.at(day, hour))
    label = Label(int(day * 100), "late", subject, loan, at_ms, None, False, None, None, "")  # noqa: FBT003
    return Decision(label, at_ms)


def known(
    engine: Engine,
    lines: Iterable[FileEvent],
    rows: Iterable[Decision],
    look: Callable[..., Iterator[tuple]] = as_of,  # type: ignore[type-arg]
) -> dict[Decision, Known]:
    """What each decision saw."""
    found = {}
    for decision, view, loan in look(engine, lines, rows):
        said = score(engine.policy.scorecard, view, loan)
        state = snapshot(view._borrower)
        found[decision] = Known(state, loan.id if loan else None, said.points, said.tier)
    return found


def changed_by(
    planted: Iterable[FileEvent], engine: Engine, lines: list[FileEvent], rows: list[Decision],
    look: Callable[..., Iterator[tuple]] = as_of,  # type: ignore[type-arg]
) -> list[Decision]:  # fmt: skip
    """The check against looking ahead: the decisions that see another thing once the future holds the planted lines."""
    before = known(engine, lines, rows, look)
    after = known(engine, sorted([*lines, *planted]), rows, look)
    return [decision for decision in rows if before[decision] != after[decision]]


# -- what a decision sees ---------------------------------------------------------------------------------------------


def test_a_decision_sees_what_became_known_before_it() -> None:
    """Due on day 30, paid on day 40: open before, gone after; and nothing is seen of an event at the very moment."""
    lines = lines_of(b.opened([30, 60]), b.paid(40))
    engine = b.engine_of(*DETECTORS)
    seen = known(engine, lines, [row(29), row(35), row(40, hour=10), row(41)])
    assert [one.points for one in seen.values()] == [0, 15, 40, 0]


def test_decisions_come_in_the_order_of_their_moments_whatever_the_order_of_rows() -> None:
    """And what they see does not depend on which others there are."""
    lines = lines_of(b.opened([30, 60]), b.paid(40), b.inquired(12, "x", subject="b-2"))
    rows = [row(50), row(20, subject="b-2", loan=None), row(20), row(35)]
    engine = b.engine_of(*DETECTORS)
    together = known(engine, lines, rows)
    assert [decision.at_ms for decision in together] == sorted(decision.at_ms for decision in rows)
    for decision in rows:
        assert known(engine, lines, [decision]) == {decision: together[decision]}


def test_a_decision_at_the_opening_sees_its_own_loan_and_no_other() -> None:
    """The record of its loan is applied to a copy; another one that opens at the same moment is not known yet."""
    lines = lines_of(b.opened([30]), b.opened([30], loan="l-2"))
    engine = b.engine_of(*DETECTORS)
    (first, second) = [
        ([loan.id for loan in view.loans], own and own.id)
        for _, view, own in as_of(engine, lines, [row(0, hour=10), row(0, hour=10, loan="l-2")])
    ]
    assert first == (["l-1"], "l-1")
    assert second == (["l-2"], "l-2")


def test_tasks_that_decide_on_the_same_opening_see_the_same() -> None:
    """One row late by a week, one by two: both decide when the loan is opened."""
    lines = lines_of(b.opened([30]))
    other = Decision(row(0, hour=10).label._replace(task="later"), row(0, hour=10).at_ms)
    seen = [(list(view.loans), own) for _, view, own in as_of(b.engine_of(*DETECTORS), lines, [row(0, hour=10), other])]
    assert seen[0] == seen[1]
    assert seen[0][1] is not None


def test_the_opening_of_a_loan_that_comes_later_than_a_day_is_not_awaited() -> None:
    """What is decided on is a loan that is being opened, not one of the next month."""
    lines = lines_of(b.opened([60], day=3), b.inquired(0, "x"))
    ((_, view, loan),) = as_of(b.engine_of(*DETECTORS), lines, [row(1)])
    assert loan is None
    assert not list(view.loans)


def test_a_decision_before_any_event_and_after_the_last_one() -> None:
    """Of nobody known there is an empty view; after the end of the file time has gone on to the decision."""
    lines = lines_of(b.opened([30]))
    engine = b.engine_of(*DETECTORS)
    before, after = known(engine, lines, [row(-100), row(200)]).values()
    assert (before.points, before.loan) == (0, None)
    assert after.points >= 40
    assert after.loan == "l-1"


def test_no_silence_is_seen_of_a_source_that_is_not_complete() -> None:
    """A missed installment counts as missed when its source says that it is complete, as in a worker."""
    lines = lines_of(b.opened([30]), b.heartbeat(1), b.heartbeat(33))
    engine = b.engine_of(*DETECTORS)
    seen = known(engine, lines, [row(32), row(34)])
    assert [one.points for one in seen.values()] == [0, 5]


def test_decisions_change_nothing(tmp_path: Path) -> None:
    """The alerts of a file are the same with labels as without."""
    simulate(Plan(borrowers=40, days=60, seed=5), tmp_path / "events.jsonl")
    engine = b.engine_of(*DETECTORS)
    alerts: list[list[bytes]] = [[], []]
    for rows, kept in zip(([], _decisions(tmp_path / "events.jsonl")), alerts, strict=True):
        list(Playback(engine, kept.append).decide(read_events([tmp_path / "events.jsonl"]), rows))
    assert alerts[0]
    assert alerts[0] == alerts[1]


def test_a_loan_that_was_closed_and_an_account_that_was_paid_off_are_noted() -> None:
    """Nothing can come of them any more: that is what tells a wrong alarm from one that was not observed to its end."""
    facts = (
        b.opened([30]), b.paid(29), b.closed(30), b.tradeline(20, "x-1"), b.tradeline(50, "x-1", status="13"),
        b.tradeline(80, "x-2"),
    )  # fmt: skip
    playback = Playback(b.engine_of(*DETECTORS))
    assert not list(playback.decide(lines_of(*facts), []))
    assert playback.ended_ms.keys() == {("b-1", "l-1"), ("b-1", "x-1")}
    assert playback.first_ms == {"b-1": ms_of(b.at(0))}
    assert playback.last_ms == ms_of(b.at(80))


# -- no look-ahead ----------------------------------------------------------------------------------------------------


HISTORY = (b.opened([30, 60, 90]), b.paid(29, payment="p-1"), b.paid(59, payment="p-2"))
RETURNED_KNOWN_LATER = b.returned(31, "p-1", recorded=b.at(70))
"""It happened before the decision and became known after it."""
CHARGED_OFF_LATER = b.charged_off(100)
"""What a label is made of, later in the file."""
DECISIONS = [row(40), row(61)]


def by_event_time(engine: Engine, lines: Iterable[FileEvent], rows: Iterable[Decision]) -> Iterator[tuple]:  # type: ignore[type-arg]
    """An as-of that leaks: it takes events as known from when they happened."""
    happened = [line._replace(available_ms=ms_of(decode(line.value).time)) for line in lines]
    return as_of(engine, sorted(happened), rows)


def by_whole_file(engine: Engine, lines: Iterable[FileEvent], rows: Iterable[Decision]) -> Iterator[tuple]:  # type: ignore[type-arg]
    """Another that leaks: it plays everything and then looks."""
    rows = list(rows)
    end = 1_000 * DAY_MS
    late = {row._replace(at_ms=row.at_ms + end): row for row in rows}
    return ((late[decision], view, loan) for decision, view, loan in as_of(engine, lines, late))


@pytest.mark.parametrize("planted", [RETURNED_KNOWN_LATER, CHARGED_OFF_LATER], ids=["known later", "happens later"])
def test_what_becomes_known_later_changes_no_decision(planted: events.Event) -> None:
    """Neither a fact of before that is told after, nor what the label was made of."""
    assert changed_by(lines_of(planted), b.engine_of(*DETECTORS), lines_of(*HISTORY), DECISIONS) == []


@pytest.mark.parametrize(
    ("planted", "leaking", "caught"),
    [
        (RETURNED_KNOWN_LATER, by_event_time, DECISIONS),
        (RETURNED_KNOWN_LATER, by_whole_file, DECISIONS),
        (CHARGED_OFF_LATER, by_whole_file, DECISIONS),
    ],
    ids=["known later, by event time", "known later, at the end", "happens later, at the end"],
)
def test_the_check_catches_who_looks_ahead(
    planted: events.Event,
    leaking: Callable[..., Iterator[tuple]],
    caught: list[Decision],  # type: ignore[type-arg]
) -> None:
    """A leaking as-of is found out by the very check that ours passes."""
    engine = b.engine_of(*DETECTORS)
    assert changed_by(lines_of(planted), engine, lines_of(*HISTORY), DECISIONS, leaking) == caught


def test_what_was_planted_is_seen_once_it_is_known() -> None:
    """The check would pass with anything if what is planted did not matter."""
    engine = b.engine_of(*DETECTORS)
    later = [row(71)]
    assert changed_by(lines_of(RETURNED_KNOWN_LATER), engine, lines_of(*HISTORY), later) == later


def _decisions(file: Path) -> list[Decision]:
    """A dozen decisions spread over the borrowers and days of a file."""
    lines = list(read_events([file]))
    tokens = sorted({line.key.decode() for line in lines if line.key and line.key.startswith(b"b")})
    first, last = lines[0].available_ms, lines[-1].available_ms
    moments = [first + (last - first) * part // 13 + 1_234_567 for part in range(1, 13)]
    labels = [
        Label(n, "late", tokens[n % len(tokens)], None, at, None, False, None, None, "")  # noqa: FBT003
        for n, at in enumerate(moments)
    ]
    return [Decision(label, label.at_ms or 0) for label in labels]


def test_a_decision_is_the_same_with_the_file_cut_off_at_it(tmp_path: Path) -> None:
    """The strongest form: late, doubled and malformed events of a portfolio, and no future at all to look into."""
    file = tmp_path / "events.jsonl"
    simulate(Plan(borrowers=8, days=60, seed=9, late=0.05, out_of_order=0.05, duplicates=0.05, malformed=0.01), file)
    rows, engine = _decisions(file), b.engine_of(*DETECTORS)
    whole = known(engine, read_events([file]), rows)
    for decision in rows[::3]:
        cut = [line for line in read_events([file]) if line.available_ms < decision.at_ms]
        assert whole[decision] == known(engine, cut, [decision])[decision]
