from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from schemas.portfolio import BUCKETS, CohortChanged, DayPassed, LinkChanged
from schemas.topics import COHORTS, LINKS
from streams.detectors.cohort_overdue_rate import CohortOverdueRate
from streams.detectors.shared_contact import SharedContact
from streams.engine.calendar import DAY_MS
from streams.engine.portfolio import lane
from streams.engine.portfolio.contributions import cohort_name
from streams.engine.portfolio.judging import rules_of
from streams.engine.portfolio.telling import passed_day
from tests.builders import Record, charged_off, closed, engine_of, heartbeat, opened, paid, returned
from tests.engine.hops import Portfolio, Told1, first_hop, in_turn, rules, told_of

if TYPE_CHECKING:
    from schemas.events import Event
    from tests.engine.hops import Log

ALL = "portfolio:all:CNY"


def lives(borrowers: int, late_from: int, due: tuple[int, ...] = (30, 60, 90)) -> list[Event]:
    """Loans of several products; from one number on the borrowers stop paying after the first installment."""
    facts: list[Event] = []
    for n in range(borrowers):
        terms: dict[str, Any] = {"subject": f"b-{n}", "loan": f"l-{n}", "product": ("cash", "car loan")[n % 2]}
        terms |= {"phone_token": f"p-{n // 2}", "industry": "矿业", "employer_token": f"e-{n % 3}"}
        facts.append(opened(list(due), day=n % 5, **terms))
        last = 1 if n >= late_from else len(due)
        facts += [paid(day - 1, loan=f"l-{n}", subject=f"b-{n}") for day in due[:last]]
    return facts


def changes(world: Told1, cohort: str = ALL) -> list[tuple[int, list[int], list[int]]]:
    """What was told of a cohort: day of 2025, amounts and numbers by bucket, without the empty end."""
    return [
        (t.day.timetuple().tm_yday, list(t.outstanding_minor[:3]), list(t.loans[:3]))
        for t in told_of(world.outbound)
        if isinstance(t, CohortChanged) and t.cohort == cohort
    ]


# -- what a borrower lane tells --------------------------------------------------------------------------------------


def test_a_loan_is_told_at_the_end_of_the_day_and_when_silence_moves_its_bucket() -> None:
    """Due on day 30, 31 January: when that ends in UTC the loan is late in Shanghai; M2 in 30 days."""
    world = Told1(engine_of()).play(opened([30, 90]), until=70)
    expected = [
        (1, [2_000, 0, 0], [1, 0, 0]),
        (31, [-2_000, 2_000, 0], [-1, 1, 0]),
        (61, [0, -2_000, 2_000], [0, -1, 1]),
    ]
    assert expected == changes(world)


def test_payments_returns_and_ends_are_told_as_differences_that_add_up() -> None:
    """After every step the sum of what was told is what the loan is now; a charge-off takes it out."""
    world = Told1(engine_of())
    world.play(opened([30, 60]), paid(40, payment="p"), returned(45, "p"), paid(50, 500), charged_off(70), until=80)
    sums = [[0] * 3, [0] * 3]
    stands = []
    for day, minor, loans in changes(world):
        sums = [[a + b for a, b in zip(x, y, strict=True)] for x, y in zip(sums, (minor, loans), strict=True)]
        stands.append((day, *map(tuple, sums)))
    expected = [
        (1, (2_000, 0, 0), (1, 0, 0)),
        (31, (0, 2_000, 0), (0, 1, 0)),
        (41, (1_000, 0, 0), (1, 0, 0)),
        (46, (0, 2_000, 0), (0, 1, 0)),
        (51, (0, 1_500, 0), (0, 1, 0)),
        (61, (0, 0, 1_500), (0, 0, 1)),
        (71, (0, 0, 0), (0, 0, 0)),
    ]
    assert expected == stands


def test_what_opens_and_ends_on_one_day_is_not_told() -> None:
    """Only the end of a day counts."""
    world = Told1(engine_of()).play(opened([30]), closed(0), until=5)
    assert [] == changes(world)


def test_a_loan_that_ended_long_before_it_was_told_is_taken_out() -> None:
    """A close booked late is told although the loan is old enough to be dropped."""
    world = Told1(engine_of()).play(opened([30, 400]), until=200)
    world.play(closed(210, closed_on="2025-02-01"), until=250)
    assert [0, 0] == [sum(sum(line[n]) for line in changes(world)) for n in (1, 2)]


def test_a_feed_that_is_silent_is_not_arrears() -> None:
    """While the servicing source is complete to day 20 nobody is told as late; when it catches up, at once."""
    world = Told1(engine_of()).play(heartbeat(1), opened([30]), heartbeat(20), until=40)
    assert [(1, [1_000, 0, 0], [1, 0, 0])] == changes(world)
    world.play(heartbeat(41), until=43)
    assert (42, [-1_000, 1_000, 0], [-1, 1, 0]) == changes(world)[-1]


def test_a_payment_beyond_the_last_heartbeat_of_a_dead_feed_wakes_nobody_at_every_tick() -> None:
    """The borrower waits for the source like everybody else: it would be judged 24 times a day until that is back."""
    world = Told1(engine_of()).play(opened([30, 90]), heartbeat(20), paid(30), until=80)
    assert world.counts["timer",] < 10


def test_every_kind_of_cohort_and_link_is_told_by_name() -> None:
    """Names are tokens: what a label holds beyond them is percent-encoded."""
    terms: dict[str, Any] = {
        "product": "car loan", "industry": "矿业", "region": "x", "employer_token": "e", "phone_token": "p",
        "device_tokens": ["d1", "d2"], "guarantor_tokens": ["g"],
    }  # fmt: skip
    told = told_of(Told1(engine_of()).play(opened([30], **terms), until=2).outbound)
    assert {
        ALL, "product:car%20loan:CNY", "channel:app:CNY", "industry:%E7%9F%BF%E4%B8%9A:CNY", "region:x:CNY",
        "employer:e:CNY",
    } == {t.cohort for t in told if isinstance(t, CohortChanged)}  # fmt: skip
    links = {(t.link, t.borrower, t.bucket) for t in told if isinstance(t, LinkChanged)}
    assert {(link, "b-1", 0) for link in ("device:d1", "device:d2", "employer:e", "guarantor:g", "phone:p")} == links


def test_a_long_label_is_cut_and_stays_apart_from_its_like() -> None:
    """At most 128 characters, as every token."""
    one, other = cohort_name("region", "矿" * 63 + "a", "CNY"), cohort_name("region", "矿" * 63 + "b", "CNY")
    assert 128 >= len(one)
    assert one != other


def test_a_link_is_told_by_the_worst_loan_and_left_with_the_last() -> None:
    """Two loans share a phone: the bucket is that of the worse one, and the last loan takes the member out."""
    phone: dict[str, Any] = {"phone_token": "p"}
    world = Told1(engine_of()).play(
        opened([30, 400], loan="a", **phone), opened([200], loan="b", **phone), paid(70, loan="a"),
        closed(80, loan="a"), closed(90, loan="b"), until=100,
    )  # fmt: skip
    told = [(t.day.timetuple().tm_yday, t.bucket) for t in told_of(world.outbound) if isinstance(t, LinkChanged)]
    assert [(1, 0), (31, 1), (61, 2), (71, 0), (91, None)] == told


def test_the_lane_says_which_day_it_has_passed_to_every_partition() -> None:
    """Once for each day on which something ended, in each partition of both topics."""
    world = Told1(engine_of(), partitions=3).play(until=3)
    marks = [(o.topic, o.partition) for o in world.outbound]
    assert [(topic, n) for topic in (COHORTS, LINKS) for n in range(3)] == marks
    assert {"2025-01-02"} == {t.day.isoformat() for t in told_of(world.outbound) if isinstance(t, DayPassed)}


@pytest.mark.parametrize(
    ("now_ms", "unfinished", "passed"),
    [(10 * DAY_MS, False, 9), (10 * DAY_MS, True, 8), (10 * DAY_MS + 1, True, 9), (10 * DAY_MS - 1, False, 8)],
)
def test_a_day_has_passed_when_its_last_tick_is_done(now_ms: int, unfinished: bool, passed: int) -> None:  # noqa: FBT001
    """A tick at midnight with borrowers left to wake has passed nothing yet."""
    assert passed == passed_day(now_ms, unfinished=unfinished)


# -- the second hop --------------------------------------------------------------------------------------------------

RULES = rules(CohortOverdueRate(), SharedContact())
FACTS = lives(120, late_from=100)


def test_a_cohort_above_its_band_is_an_alarm_of_the_cohort() -> None:
    """A sixth of the borrowers stops paying: the whole portfolio and both products are above the band, and say so."""
    portfolio = Portfolio(RULES).read(in_turn(first_hop(engine_of(), FACTS, 100), []))
    opened_ = [line for line in portfolio.said("cohort_overdue_rate") if line[0] == ALL]
    assert [(ALL, 61, "opened", "high")] == opened_[:1]
    alert = next(alert for alert in portfolio.alerts if alert.subject == ALL)
    assert ("cohort", ALL, None, "ews/portfolio") == (
        alert.data.scope,
        alert.data.borrower,
        alert.data.loan,
        alert.source,
    )
    assert "overdue" in alert.data.reason


def test_who_shares_a_contact_with_one_in_trouble_is_an_alert_of_that_borrower() -> None:
    """Beyond 30 days past due of the one, an alert about the other; it ends when that one is out of trouble."""
    facts = [
        opened([30, 200], subject="b-1", loan="l-1", phone_token="p"),
        opened([100, 200], subject="b-2", loan="l-2", phone_token="p"),
        paid(70, subject="b-1", loan="l-1"),
    ]
    portfolio = Portfolio(RULES).read(in_turn(first_hop(engine_of(), facts, 80), []))
    assert [("b-2", 61, "opened", "watch"), ("b-2", 71, "resolved", "watch")] == list(portfolio.said("shared_contact"))
    assert {(None, None)} == {(alert.data.scope, alert.data.loan) for alert in portfolio.alerts}


def outcome(portfolio: Portfolio) -> tuple[list[bytes], dict[bytes, bytes]]:
    """What came out, in an order that is not that of the partitions."""
    return sorted(o.value for o in portfolio.outbound), portfolio.kept()


def test_the_outcome_does_not_depend_on_how_the_lanes_lie_in_between_nor_on_the_drains() -> None:
    """However the records of four lanes interleave, in drains of any size, after a crash at each commit: the same."""
    lanes = first_hop(engine_of(), FACTS, 130, partitions=4)
    plain = outcome(Portfolio(RULES, 4).read(in_turn(lanes, [])))
    assert plain[0]
    rng = random.Random(1)  # noqa: S311 - no secret
    for at_once in (1, 7, 100):
        order = [rng.randrange(4) for _ in range(10_000)]
        assert plain == outcome(Portfolio(RULES, 4, reborn=True).read(in_turn(lanes, order), at_once))


def test_a_day_with_more_than_one_drain_may_judge_goes_on_in_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three at a time, after a crash at each commit: the same alerts and states, and an order that repeats."""
    log = in_turn(first_hop(engine_of(), FACTS, 100), [])
    plain = Portfolio(RULES).read(log)
    monkeypatch.setattr(lane, "JUDGED_MAX", 3)
    bit_by_bit = Portfolio(RULES, reborn=True).read(log)
    assert len(bit_by_bit.orders[0]) > len(plain.orders[0])
    assert (plain.outbound, plain.kept()) == (bit_by_bit.outbound, bit_by_bit.kept())
    assert repeated(bit_by_bit, log).states == bit_by_bit.states


def test_the_outcome_does_not_depend_on_the_number_of_partitions() -> None:
    """A replay has one lane, a cluster many."""
    one = outcome(Portfolio(RULES).read(in_turn(first_hop(engine_of(), FACTS, 130), [])))
    four = outcome(Portfolio(RULES, 4).read(in_turn(first_hop(engine_of(), FACTS, 130, 4), [])))
    assert one == four


def test_nothing_is_judged_before_every_lane_has_passed_the_day() -> None:
    """One lane of four has not come to the end: no day is closed."""
    lanes = first_hop(engine_of(), FACTS, 130, partitions=4)
    portfolio = Portfolio(RULES, 4).read(in_turn([*lanes[:3], []], []))
    assert [] == portfolio.outbound
    assert {0} == {lane.now_ms for lane in portfolio.lanes}


def repeated(done: Portfolio, log: Log) -> Portfolio:
    """The only lane, done again by its order."""
    again = Portfolio(done.rules)
    for order in done.orders[0]:
        steps = orjson.loads(order)["steps"]
        effects = again.lanes[0].repeat(steps, lambda topic, first, end: log[topic, 0][first:end])
        assert effects is not None
        again.commit(0, effects)
    return again


def test_its_order_repeats_to_the_same_bytes() -> None:
    """Told the steps of its order records, a lane gives the same alerts, order and states."""
    log = in_turn(first_hop(engine_of(), FACTS, 130), [])
    done = Portfolio(RULES).read(log, 50)
    again = repeated(done, log)
    assert (done.outbound, done.orders, done.states) == (again.outbound, again.orders, again.states)


def test_what_cannot_be_read_is_a_dead_letter() -> None:
    """A record that is none of ours leaves with its bytes and place, and the others go on."""
    log = in_turn(first_hop(engine_of(), FACTS, 100), [])
    bad = [Record(0, 5, b"k", b"{}"), *(record._replace(offset=record.offset + 1) for record in log[COHORTS, 0])]
    portfolio = Portfolio(RULES).read({**log, (COHORTS, 0): bad})
    assert [b"{}"] == [letter.value for letter in portfolio.letters]
    assert portfolio.outbound


def test_days_are_judged_by_the_policy_in_force_and_one_that_is_unknown_changes_nothing() -> None:
    """What a detector has open ends when a policy turns it off; every tick carries the version that judged it."""
    strict = rules_of("2", [CohortOverdueRate(enabled=False), SharedContact()])
    head, log = (in_turn(first_hop(engine_of(), FACTS, until), []) for until in (75, 100))
    portfolio = Portfolio(RULES, others={"2": strict}).read(head, policy="3").read(log, policy="2")
    told = [alert.data for alert in portfolio.alerts if alert.data.detector == "cohort_overdue_rate"]
    assert {"opened", "resolved"} <= {data.status.value for data in told}
    ended = [data for data in told if data.policy_version == "2"]
    assert {("resolved", "The policy 2 turned this detector off.")} == {(d.status.value, d.reason) for d in ended}
    ticks = [step[2] for order in portfolio.orders[0] for step in orjson.loads(order)["steps"] if step[0] == "tick"]
    assert ["1", "2"] == sorted(set(ticks))
    assert sorted(ticks) == ticks


def test_alerts_of_before_going_live_are_history() -> None:
    """Going live on old events must not alarm anybody."""
    portfolio = Portfolio(RULES, live_from_ms=2**60).read(in_turn(first_hop(engine_of(), FACTS, 100), []))
    assert {"history"} == {alert.data.mode.value for alert in portfolio.alerts}


def test_a_change_has_all_buckets() -> None:
    """M0 to M6: a record with fewer is refused by its model."""
    with pytest.raises(ValueError, match="at least 7"):
        CohortChanged(cohort="c", lane=0, day="2025-01-01", outstanding_minor=(0,) * 3, loans=(0,) * BUCKETS)
