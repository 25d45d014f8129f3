"""Simulated portfolios: the same every time, in realistic proportions, with every kind of trouble, valid, in order."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from dataclasses import replace
from datetime import date, datetime
from typing import TYPE_CHECKING

import orjson
import pytest

from schemas.codec import InvalidEvent, Reason, decode, decode_mapping
from streams.history.files import available_ms, read_events
from streams.history.simulator import Plan, overdue_rate, simulate, tell
from streams.history.simulator.dice import Dice
from streams.history.simulator.noise import MAKERS
from streams.history.simulator.plan import PAST_DAYS
from streams.history.simulator.trouble import KINDS, Trouble, draw_fate

if TYPE_CHECKING:
    from pathlib import Path

    from streams.history.simulator import Story, Summary

SMALL = Plan(borrowers=30, days=40, seed=3)
YEAR = Plan(borrowers=1, days=365, seed=11)
PORTFOLIO = Plan(borrowers=1500, days=365, seed=5, malformed=0.001)


@pytest.fixture(scope="module")
def stories() -> list[Story]:
    """Sixty lives of three months."""
    return [tell(Plan(borrowers=60, days=90, seed=2), index) for index in range(60)]


@pytest.fixture(scope="module")
def portfolio(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Summary]:
    """A year of fifteen hundred borrowers, written by two processes."""
    folder = tmp_path_factory.mktemp("portfolio")
    out, labels = folder / "events.jsonl", folder / "labels.csv"
    return out, labels, simulate(PORTFOLIO, out, labels, processes=2)


def story_of(kind: str, seed: int = 11) -> Story:
    """The first borrower of a year to whom this trouble comes early and shows in events."""
    plan = Plan(borrowers=10_000, days=365, seed=seed)
    for index in range(plan.borrowers):
        dice = Dice(f"{plan.seed}/{index}/life")
        fate = _fate(plan, dice)
        if fate and fate[0] == kind and 20 < fate[1] < 150:
            story = tell(plan, index)
            if story.kind and story.rows:
                return story
    raise AssertionError(f"nobody has {kind}")


def _fate(plan: Plan, dice: Dice) -> tuple[str, int] | None:
    from streams.history.simulator.person import draw_person  # noqa: PLC0415 - drawn before the fate, as in life

    draw_person("x", dice)
    fate = draw_fate(dice, -PAST_DAYS, plan.days)
    return (fate.kind.trouble, fate.begins) if fate.kind else None


def test_the_same_plan_gives_the_same_bytes(tmp_path: Path) -> None:
    """Twice the same command, twice the same files, packed or not."""
    for name in ("a", "b"):
        simulate(SMALL, tmp_path / f"{name}.jsonl.gz", tmp_path / f"{name}.csv")
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()
    simulate(SMALL, tmp_path / "plain.jsonl")
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == (tmp_path / "plain.jsonl").read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_another_seed_gives_other_lives() -> None:
    """The seed is what decides."""
    assert tell(SMALL, 0).rows != tell(Plan(borrowers=30, days=40, seed=4), 0).rows


def test_a_borrower_does_not_depend_on_the_others() -> None:
    """The seventh borrower of thirty is the seventh borrower of a million."""
    assert tell(SMALL, 7).rows == tell(Plan(borrowers=1_000_000, days=40, seed=3), 7).rows


def test_the_file_is_in_order_of_available_time(tmp_path: Path) -> None:
    """Reading in order changes nothing: the file is written in that order, garbage included."""
    out = tmp_path / "events.jsonl"
    simulate(Plan(borrowers=20, days=30, malformed=0.01), out)
    assert [event.value for event in read_events([out])] == out.read_bytes().split(b"\n")[:-1]


def test_every_event_is_valid(stories: list[Story]) -> None:
    """Each event of each life reads as the model of its type."""
    kinds = Counter(decode_mapping(row.event).type for story in stories for row in story.rows)
    assert len(kinds) >= 14


def test_every_event_lies_in_the_time_of_the_file(stories: list[Story]) -> None:
    """No event is known before the file opens or after it ends, and none is known before it occurred."""
    for story in stories:
        tape = story.life.tape
        for row in story.rows:
            occurred = int(datetime.fromisoformat(row.event["time"]).timestamp())
            assert tape.opens <= occurred <= row.available < tape.closes
            assert available_ms(row.event) == row.available * 1000


def test_ids_are_unique(stories: list[Story]) -> None:
    """Source and id together name one event."""
    names = [(row.source, row.id) for story in stories for row in story.rows]
    assert len(set(names)) == len(names)


def test_balances_add_up(stories: list[Story]) -> None:
    """Each balance is the one before with what came in or went out, and the account never goes below zero."""
    for story in stories:
        balance = None
        booked = [r.event["data"] for r in story.rows if r.event["type"] == "ews.transaction.booked.v1"]
        for data in booked:
            moved = data["amount_minor"] * (1 if data["indicator"] == "CRDT" else -1)
            assert balance is None or balance + moved == data["balance_after_minor"]
            balance = data["balance_after_minor"]
            assert balance >= 0


def test_loans_live_as_the_truth_says(stories: list[Story]) -> None:
    """What the loan itself counts as days past due is what the ruler measures, at the end of the time."""
    for story in stories:
        for loan in story.life.loans:
            if not loan.ended and not any(p.returned is not None and p.returned >= 89 for p in loan.truth.payments):
                assert loan.days_past_due(89) == loan.truth.days_past_due(89), loan.token
                assert loan.outstanding() == loan.truth.outstanding(89)


@pytest.mark.parametrize("kind", [kind.trouble for kind in KINDS])
def test_every_kind_of_trouble_comes(kind: Trouble) -> None:
    """Each kind comes over somebody, shows, and is harmful or not as its table says."""
    story = story_of(kind)
    assert story.kind
    assert story.kind.trouble is kind
    assert story.trouble_at is not None


def test_trouble_after_the_end_is_none() -> None:
    """An installment that is refused ahead of a due date beyond the last day leaves no trace."""
    story = tell(Plan(borrowers=1_000, days=180, seed=2), 262)
    assert story.trouble_at is None or story.trouble_at < story.life.tape.closes


def test_a_late_booked_payment_is_valued_in_time() -> None:
    """It is booked days after the due date, and counts from before it: the loan was never past due."""
    story = story_of(Trouble.LATE_BOOKING)
    event = next(r.event for r in story.rows if "recordedtime" in r.event)
    assert event["data"]["valued_at"] == event["time"]
    loan = next(loan for loan in story.loans if loan.loan == event["data"]["loan"])
    booked = (date.fromisoformat(event["recordedtime"][:10]) - date(2025, 1, 1)).days
    valued = (date.fromisoformat(event["time"][:10]) - date(2025, 1, 1)).days
    assert any(valued <= line.due < booked for line in loan.schedules[0][1])
    assert loan.days_past_due(booked - 1) == 0


def test_returned_debits_come_back_twice_in_a_row() -> None:
    """Two returns with AM04 for one loan, one after the other."""
    story = story_of(Trouble.RETURNED_DEBITS)
    codes = [r.event["data"]["reason_code"] for r in story.rows if r.event["type"] == "ews.repayment.returned.v1"]
    assert codes.count("AM04") >= 2


def test_a_wilful_default_moves_the_money_away() -> None:
    """The money goes to an account elsewhere after the first refusal, and nothing is paid after it."""
    story = story_of(Trouble.WILFUL_DEFAULT)
    began = story.trouble_at
    assert began is not None
    moves = [r for r in story.rows if r.event["data"].get("counterparty_token") == "own-account-elsewhere"]
    paid = [r for r in story.rows if r.event["type"] == "ews.repayment.received.v1" and r.available > began]
    assert moves
    assert not paid


def test_malformed_lines_are_ten_kinds_and_each_has_its_reason() -> None:
    """Every kind of garbage is refused when it is read, save those that only the engine can tell."""
    row = next(r for r in tell(YEAR, 0).rows if r.event["type"] == "ews.transaction.booked.v1")
    dice = Dice("garbage")
    told = {Reason.FUTURE_DATED, Reason.WRONG_KEY}
    for kind, make in MAKERS.items():
        for _ in range(20):
            value = make(row, dice)
            if kind == "wrong_key" or (kind == "absurd_date" and b"2099" in value):
                event = decode(value)
                assert event.partitionkey != event.subject
            else:
                with pytest.raises(InvalidEvent) as refused:
                    decode(value)
                assert refused.value.reason not in told
    assert len(MAKERS) == 10


def test_untidiness_can_be_turned_off(tmp_path: Path) -> None:
    """Rates of zero give exactly the events of the lives, and heartbeats."""
    plan = Plan(borrowers=5, days=20, late=0, out_of_order=0, duplicates=0, malformed=0)
    summary = simulate(plan, tmp_path / "a.jsonl")
    assert summary.untidy == {}
    assert sum(summary.events.values()) == summary.lines == (tmp_path / "a.jsonl").read_bytes().count(b"\n")


def test_heartbeats_are_truthful(tmp_path: Path) -> None:
    """Nothing that a source knew by then comes after a heartbeat that says it is complete so far."""
    out = tmp_path / "a.jsonl"
    simulate(Plan(borrowers=20, days=20, out_of_order=0.1, late=0, malformed=0), out)
    complete: dict[str, str] = {}
    for line in out.read_bytes().splitlines():
        event = orjson.loads(line)
        if event["type"] == "ews.feed.heartbeat.v1":
            complete[event["source"]] = event["data"]["complete_through"]
        elif event["data"].get("payment_id") is None:
            assert event["time"] > complete[event["source"]]


def test_labels_are_well_formed(tmp_path: Path) -> None:
    """One row a borrower, two a loan; dates where there is an outcome; harmless trouble has label 0."""
    labels = tmp_path / "labels.csv"
    simulate(Plan(borrowers=200, days=90, seed=2), tmp_path / "a.jsonl", labels)
    rows = list(csv.DictReader(labels.read_text(encoding="ascii").splitlines()))
    assert {row["task"] for row in rows} == {"trouble", "first_miss", "first_31dpd"}
    assert sum(row["task"] == "trouble" for row in rows) == 200
    harmful = {kind.trouble for kind in KINDS if kind.harmful}
    for row in rows:
        assert row["observed_from"] <= row["observed_until"]
        assert row["segment"] in set(Trouble)
        if row["task"] == "trouble":
            assert row["label"] == str(int(row["segment"] in harmful))
        else:
            assert (row["label"] == "1") == bool(row["t"])
    assert {row["segment"] for row in rows} > {"healthy"}


def test_the_first_day_is_a_setting() -> None:
    """A portfolio can start on any day, and stays valid through a leap year."""
    story = tell(Plan(borrowers=1, days=60, seed=1, start=date(2024, 1, 30)), 0)
    assert story.rows[0].event["time"].startswith("2024-01-")


@pytest.mark.integration
def test_a_portfolio_is_in_realistic_proportions(portfolio: tuple[Path, Path, Summary]) -> None:
    """The overdue rate is 5 to 10 % over the year, and a borrower has twenty transactions a month or more."""
    _, _, summary = portfolio
    assert 0.05 <= summary.mean_overdue_rate <= 0.10
    assert all(0.03 <= rate <= 0.13 for rate in summary.overdue_rate.values())
    assert summary.transactions_a_month >= 20
    assert set(summary.troubles) == {Trouble.HEALTHY, *(kind.trouble for kind in KINDS)}
    assert {name for name in summary.untidy if name.startswith("malformed")} == {f"malformed.{kind}" for kind in MAKERS}


@pytest.mark.integration
def test_good_lines_of_a_portfolio_are_valid_and_bad_ones_are_counted(portfolio: tuple[Path, Path, Summary]) -> None:
    """As many lines are refused as were made malformed, less those that only the engine can tell."""
    out, _, summary = portfolio
    bad: Counter[Reason] = Counter()
    for value in out.read_bytes().split(b"\n")[:-1]:
        try:
            decode(value)
        except InvalidEvent as fault:
            bad[fault.reason] += 1
    made = sum(n for name, n in summary.untidy.items() if name.startswith("malformed"))
    untold = sum(summary.untidy[f"malformed.{kind}"] for kind in ("wrong_key", "absurd_date", "wrong_currency"))
    assert made - untold <= sum(bad.values()) <= made
    assert bad[Reason.EMPTY] == summary.untidy["malformed.empty"]
    assert bad[Reason.TOO_LARGE] == summary.untidy["malformed.huge"]


@pytest.mark.integration
def test_processes_do_not_change_the_bytes(portfolio: tuple[Path, Path, Summary], tmp_path: Path) -> None:
    """One process writes what two write."""
    out, labels, summary = portfolio
    again = simulate(PORTFOLIO, tmp_path / "a.jsonl", tmp_path / "a.csv", processes=1)
    assert again == summary
    assert (tmp_path / "a.jsonl").read_bytes() == out.read_bytes()
    assert (tmp_path / "a.csv").read_bytes() == labels.read_bytes()


@pytest.mark.integration
def test_the_summary_measures_what_the_truth_says(portfolio: tuple[Path, Path, Summary]) -> None:
    """The overdue rate of the summary is that of all loans together."""
    _, _, summary = portfolio
    loans = [loan for index in range(PORTFOLIO.borrowers) for loan in tell(PORTFOLIO, index).loans]
    assert len(loans) == summary.loans
    assert summary.overdue_rate[180] == pytest.approx(overdue_rate(loans, 180), abs=1e-4)


def test_the_rare_ones_stand_beside_the_portfolio(tmp_path: Path) -> None:
    """The portfolio's own borrowers are the same with and without them, and each rarity shows in its events."""
    plan = Plan(borrowers=10, days=200, seed=3, malformed=0)
    simulate(plan, tmp_path / "plain.jsonl")
    simulate(replace(plan, rare=24), tmp_path / "rare.jsonl", tmp_path / "labels.csv")
    plain = set((tmp_path / "plain.jsonl").read_bytes().splitlines())
    more = set((tmp_path / "rare.jsonl").read_bytes().splitlines())
    assert plain <= more
    text = (tmp_path / "rare.jsonl").read_text()
    assert all(code in text for code in ("MD07", "guarantor_tokens", "ews.contact.details_changed.v1"))
    assert any(code in text for code in ("AC04", "AC06", "MD01"))
    segments = {row["segment"] for row in csv.DictReader((tmp_path / "labels.csv").read_text().splitlines())}
    assert {Trouble.MANDATE_BROKEN, Trouble.DECEASED, Trouble.MOVED} <= segments
    simulate(replace(plan, rare=24), tmp_path / "again.jsonl")
    assert (tmp_path / "rare.jsonl").read_bytes() == (tmp_path / "again.jsonl").read_bytes()
