from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, ClassVar

import orjson
import pytest

from schemas.codec import encode
from schemas.events import Topic
from schemas.topics import partition_of
from streams.engine import drain as drain_module
from streams.engine import work as work_module
from streams.engine.calendar import DAY_MS
from streams.engine.detector import BorrowerView, Detector, Finding, Wakeup
from streams.engine.drain import LANE_KEY, Inbox
from streams.engine.engine import Engine
from streams.engine.ids import SEEN_MAX, Ids
from streams.engine.lane import Lane, LaneSettings
from streams.engine.limits import IN_A_ROW_MAX, RECENT_MAX
from streams.engine.measure import DISTINCT_MAX
from streams.engine.policy import Policy
from streams.errors import DeadLetterLimit
from tests.builders import (
    BANK,
    Record,
    World,
    at,
    booked,
    engine_of,
    event,
    events,
    inquired,
    ms_of,
    opened,
    paid,
    record_of,
    repeat,
    returned,
)

if TYPE_CHECKING:
    from collections.abc import Iterator


def moment(day: float) -> int:
    """Milliseconds of a day of the timeline."""
    return ms_of(at(day))


def raw(world: World, topic: str, day: float, key: bytes | None, value: bytes | None) -> None:
    """Deliver bytes as a producer might have sent them, by a drain."""
    world.append(topic, moment(day), key, value)
    world.drain()


# -- refusals --------------------------------------------------------------------------------------------------------


def test_each_kind_of_bad_input_is_a_dead_letter_with_its_reason_bytes_and_place() -> None:
    """What cannot be applied leaves with its original key and bytes; the others go on."""
    good = encode(opened([30]))
    bad = [
        ("not_json", b"b-1", b"{"),
        ("empty", b"b-1", b""),
        ("empty", b"b-1", None),
        ("not_utf8", b"b-1", b'{"a":"\xff\xfe"}'),
        ("invalid", b"b-1", b"[]"),
        ("unknown_type", b"b-1", b'{"type":"x"}'),
        ("too_large", b"b-1", b" " * 1_000_001),
        ("wrong_topic", b"b-1", encode(booked(1, 5))),
        ("wrong_key", b"b-2", good),
        ("wrong_key", None, good),
    ]
    world = World(engine_of())
    for _, key, value in bad:
        raw(world, Topic.REPAYMENTS, 1, key, value)
    raw(world, Topic.REPAYMENTS, 1, b"b-1", good)
    assert [reason for reason, _, _ in bad] == world.reasons()
    assert [(key, value) for _, key, value in bad] == [(letter.key, letter.value) for letter in world.letters]
    assert [str(n) for n in range(len(bad))] == [letter["offset"] for letter in world.dead_letters]
    expected = {"topic": "repayments", "partition": "0", "timestamp": str(moment(1))}
    assert expected.items() <= world.dead_letters[0].items()
    assert 1 == len(world.borrower().loans)


def test_a_key_of_another_partition_is_refused_unless_it_is_known() -> None:
    """A new key that murmur2 gives to another partition is a dead letter."""
    other = next(f"b-{n}" for n in range(100) if partition_of(f"b-{n}".encode(), 8) != 3)
    own = next(f"b-{n}" for n in range(100) if partition_of(f"b-{n}".encode(), 8) == 3)
    world = World(engine_of(), partition=3, partitions=8)
    world.play(opened([30], subject=other), opened([30], subject=own))
    assert ["wrong_partition"] == world.reasons()
    assert "3" == world.dead_letters[0]["partition"]
    assert {own.encode()} == set(world.borrowers())


def test_future_and_too_old_events_are_refused_but_servicing_facts_apply_at_any_age() -> None:
    """A day ahead and 400 days back are the limits; exactly there an event is taken."""
    world = World(engine_of())
    now = moment(500)
    for fact in (
        booked(501.001, 5),
        booked(501, 5),
        booked(99.999, 5),
        booked(100, 5),
        inquired(99, "x"),
        opened([30], day=10),
        paid(499, valued=30, recorded=at(500)),
    ):
        world.deliver(fact, now)
    assert ["future_dated", "too_old", "too_old"] == world.reasons()
    assert 1_000 == world.borrower().loans[0].installments[0].paid


def test_a_payment_in_another_currency_is_refused() -> None:
    """Money is never mixed."""
    world = World(engine_of()).play(opened([30]), paid(30, currency="USD"), until=31)
    assert ["currency_mismatch"] == world.reasons()
    assert [31] == [day for _, day, _, _ in world.said()]


def test_the_same_id_with_other_content_is_a_conflict() -> None:
    """By source and id for events, by payment id for payments, by token for loans."""
    world = World(engine_of())
    world.play(
        opened([30, 60]), booked(1, 5, identity="t"), booked(2, 6, identity="t"),
        booked(3, 6, identity="t", source="y"),
        paid(4, payment="p"), paid(5, 999, payment="p"), opened([30, 90], day=6),
    )  # fmt: skip
    assert ["id_conflict", "id_conflict", "loan_exists"] == world.reasons()


def test_500_dead_letters_in_a_row_stop_the_lane() -> None:
    """The 500th in a row raises, and nothing of that drain is told."""
    world = World(engine_of())
    for _ in range(IN_A_ROW_MAX - 1):
        world.append(Topic.REPAYMENTS, moment(1), b"b-1", b"{")
    world.drain()
    assert IN_A_ROW_MAX - 1 == len(world.letters)
    kept = dict(world.states)
    world.append(Topic.REPAYMENTS, moment(1), b"b-1", b"{")
    with pytest.raises(DeadLetterLimit):
        world.drain()
    assert kept == world.states


def test_without_the_limit_a_row_passes_and_is_counted_anew() -> None:
    """All become dead letters; with the limit on again it takes 500 more to stop the lane."""
    world = World(engine_of())
    world.limited = False
    world.lane = world.start()
    for _ in range(IN_A_ROW_MAX + 7):
        world.append(Topic.REPAYMENTS, moment(1), b"b-1", b"{")
    world.drain()
    assert IN_A_ROW_MAX + 7 == len(world.letters)
    world.limited = True
    world.lane = world.start()
    for _ in range(IN_A_ROW_MAX - 8):
        world.append(Topic.REPAYMENTS, moment(1), b"b-1", b"{")
    world.drain()
    assert 2 * IN_A_ROW_MAX - 1 == len(world.letters)
    world.append(Topic.REPAYMENTS, moment(1), b"b-1", b"{")
    with pytest.raises(DeadLetterLimit):
        world.drain()


def test_a_good_record_breaks_the_row() -> None:
    """A good record of the same topic starts the count anew."""
    world = World(engine_of())
    for number in range(501):
        value = encode(opened([30])) if number == 300 else b"{"
        world.append(Topic.REPAYMENTS, moment(1), b"b-1", value)
    world.drain()
    assert 500 == len(world.letters)


def test_the_row_is_counted_by_topic_and_over_restarts() -> None:
    """A good record of another topic does not break it, nor does a new start."""
    world = World(engine_of(), reborn=True)
    for _ in range(300):
        raw(world, Topic.REPAYMENTS, 1, b"b-1", b"{")
    raw(world, Topic.TRANSACTIONS, 1, b"b-1", encode(booked(1, 5)))
    for _ in range(199):
        raw(world, Topic.REPAYMENTS, 1, b"b-1", b"{")
    with pytest.raises(DeadLetterLimit):
        raw(world, Topic.REPAYMENTS, 1, b"b-1", b"{")


def test_more_than_half_of_the_last_thousand_stop_the_lane() -> None:
    """Every second record bad is the limit, one more is past it."""
    world = World(engine_of())
    good = encode(booked(1, 5))
    for _ in range(RECENT_MAX):
        world.append(Topic.TRANSACTIONS, moment(1), b"b-1", b"{")
        world.append(Topic.TRANSACTIONS, moment(1), b"b-1", good)
    world.drain()
    world.append(Topic.TRANSACTIONS, moment(1), b"b-1", b"{")
    world.drain()
    world.append(Topic.TRANSACTIONS, moment(1), b"b-1", b"{")
    with pytest.raises(DeadLetterLimit):
        world.drain()


# -- facts that wait -------------------------------------------------------------------------------------------------


def test_facts_about_an_unknown_loan_wait_and_then_apply() -> None:
    """A payment that comes before its loan counts when the loan is known."""
    world = World(engine_of("first_payment_default")).play(paid(30), opened([30, 60], recorded=at(45)), until=59)
    assert [] == world.said()
    assert [] == world.dead_letters
    assert 1_000 == world.borrower().loans[0].installments[0].paid


def test_facts_that_waited_too_long_are_dead_letters_as_they_came() -> None:
    """After 30 days in vain they leave with their original bytes and place."""
    fact = paid(10)
    world = World(engine_of()).play(booked(1, 5), fact, until=40.3)
    assert [] == world.dead_letters
    world.play(until=41)
    assert ["unknown_loan"] == world.reasons()
    assert encode(fact) == world.letters[0].value
    assert b"b-1" == world.letters[0].key
    assert ("repayments", "0", str(moment(10))) == tuple(
        world.dead_letters[0][k] for k in ("topic", "offset", "timestamp")
    )


def test_at_most_sixteen_facts_wait() -> None:
    """The seventeenth is a dead letter at once."""
    world = World(engine_of()).play(*[paid(10 + n / 100) for n in range(17)])
    assert ["unknown_loan"] == world.reasons()
    assert 16 == len(world.borrower().waiting)


def test_facts_that_wait_do_not_fill_the_state() -> None:
    """A large one is a dead letter at once: the states' limit would refuse what is in order with it."""
    fact = orjson.loads(encode(paid(10)))
    huge = orjson.dumps(fact | {"data": fact["data"] | {"memo": "x" * 70_000}})
    world = World(engine_of())
    raw(world, Topic.REPAYMENTS, 10, b"b-1", huge)
    world.play(paid(11), opened([30], day=12))
    assert ["unknown_loan"] == world.reasons()
    assert huge == world.letters[0].value
    assert 1_000 == world.borrower().loans[0].installments[0].paid


def test_a_waiting_fact_that_cannot_apply_is_a_dead_letter() -> None:
    """Its own place and bytes are kept even when its loan comes."""
    fact = paid(10, currency="USD")
    world = World(engine_of()).play(booked(1, 5), fact, opened([30], day=1, recorded=at(20)))
    assert ["currency_mismatch"] == world.reasons()
    assert (encode(fact), "0") == (world.letters[0].value, world.dead_letters[0]["offset"])


# -- limits ----------------------------------------------------------------------------------------------------------


def test_a_borrower_has_so_many_loans_and_no_more() -> None:
    """A token that stands for everybody would make each fact dearer than the last; its other loans go on."""
    limit = Policy().limits.loans
    world = World(engine_of()).play(*[opened([30], loan=f"l-{n}", day=n / 1_000) for n in range(limit + 2)])
    assert ["state_full"] * 2 == world.reasons()
    again = opened([30], loan="l-0", day=1)
    world.play(again, paid(2, loan="l-0"))
    assert ["state_full", "state_full", "loan_exists"] == world.reasons()
    assert limit == len(world.borrower().loans)
    assert 1_000 == world.borrower().loans[0].installments[0].paid


def test_the_memory_of_ids_is_bounded_and_its_overflow_counted() -> None:
    """512 ids are kept; the older ones are dropped and counted."""
    ids = Ids()
    for key in range(SEEN_MAX + 10):
        ids.remember(key, 1, moment(1))
    assert (SEEN_MAX, 10) == (len(ids), ids.overflow)
    assert ids.recall(0, 1) is None
    assert ids.recall(SEEN_MAX, 1) is True
    assert ids.recall(SEEN_MAX, 2) is False


def test_ids_are_remembered_for_35_days() -> None:
    """On the 35th day still, on the 36th no longer, and age is no overflow."""
    ids = Ids()
    ids.remember(1, 1, 100 * DAY_MS)
    ids.remember(2, 1, 135 * DAY_MS)
    assert ids.recall(1, 1) is True
    ids.remember(3, 1, 136 * DAY_MS)
    assert ids.recall(1, 1) is None
    assert 0 == ids.overflow


def test_an_id_is_not_forgotten_because_time_went_back_a_little() -> None:
    """Records of several topics need not come in the order of their times; midnight may be crossed back."""
    ids = Ids()
    ids.remember(1, 1, 100 * DAY_MS)
    ids.remember(2, 1, 100 * DAY_MS - 1)
    assert ids.recall(1, 1) is True


def test_distinct_lenders_are_bounded() -> None:
    """A borrower with more than 64 is far past every level; what is dropped is counted."""
    world = World(engine_of()).play(*[inquired(1 + n, f"lender-{n}") for n in range(DISTINCT_MAX + 5)])
    borrower = world.borrower()
    store = borrower.parts(borrower.measured[0])[""]
    assert (DISTINCT_MAX, 5) == (len(store.seen), store.overflow)


def test_a_borrower_is_forgotten_after_the_horizon() -> None:
    """400 days after the last event, with nothing open, the state is deleted with a tombstone."""
    world = World(engine_of()).play(opened([30]), paid(30), event(events.LoanClosed, at(31), loan="l-1"), until=430)
    assert {b"b-1"} == set(world.borrowers())
    effects = world.lane.play([], (), ms_of(at(432)))
    assert effects is not None
    assert {b"b-1": None} == {k: v for k, v in effects.states.items() if k != LANE_KEY}
    world.commit(effects)
    assert {} == world.borrowers()
    assert world.lane.due_ms() is None


def test_a_borrower_with_a_running_loan_is_not_forgotten() -> None:
    """However long nothing happens."""
    world = World(engine_of()).play(opened([30]), until=1_000)
    assert {b"b-1"} == set(world.borrowers())


# -- time ------------------------------------------------------------------------------------------------------------


def test_live_from_marks_what_was_before_as_history() -> None:
    """Alerts raised before it have mode history, later ones are live, also of the same episode."""
    engine = engine_of("missed_installment", live_from=at(65, 0))
    world = World(engine, live_from_ms=ms_of(at(65, 0))).play(opened([30, 60]), paid(30), until=70)
    assert [("history", 61), ("live", 65)] == [
        (a.data.mode.value, d) for a, (_, d, _, _) in zip(world.alerts, world.said(), strict=True)
    ]


def test_a_detector_on_trial_speaks_in_shadow() -> None:
    """Its alerts have mode shadow."""
    engine = engine_of("missed_installment", policy=Policy(detectors={"missed_installment": {"shadow": True}}))
    world = World(engine).play(opened([30]), until=32)
    assert ["shadow"] == [a.data.mode.value for a in world.alerts]


def test_a_lane_waits_for_a_source_that_has_more() -> None:
    """Records after the point up to which a slower source is known are not applied yet."""
    world = World(engine_of()).load(booked(1, 5), booked(3, 5), opened([30], day=2), paid(4))
    world.drain({Topic.TRANSACTIONS: 2, Topic.REPAYMENTS: 1})
    assert {Topic.REPAYMENTS: 1, Topic.TRANSACTIONS: 1} == dict(world.lane.positions)
    world.drain()
    assert {Topic.REPAYMENTS: 2, Topic.TRANSACTIONS: 2} == dict(world.lane.positions)


def test_records_below_the_position_are_dropped() -> None:
    """A batch that is handed over twice is applied once."""
    world = World(engine_of()).load(opened([30]), paid(1)).drain()
    effects = world.lane.drain(drain_module.Inbox({Topic.REPAYMENTS: world.log[Topic.REPAYMENTS]}, frozenset(), None))
    assert effects is None


def test_a_tick_with_too_much_goes_on_in_the_next_drain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is told at the same time, whether the lane was made anew in between or not."""
    monkeypatch.setattr(work_module, "WAKEUPS_MAX", 2)
    facts = [opened([30], subject=f"b-{n}", loan=f"l-{n}") for n in range(7)]
    told = []
    for reborn in (False, True):
        world = World(engine_of("missed_installment"), reborn=reborn).load(*facts).drain()
        for _ in range(20):
            world.drain(until=32)
        told.append(world.alert_bytes)
        assert 7 == len(world.alerts)
        assert 1 == len({alert.time for alert in world.alerts})
        assert world.alert_bytes == repeat(world, world.engine).alert_bytes
    assert told[0] == told[1]


def test_a_disabled_detector_is_not_woken_for() -> None:
    """After a policy that turns it off, its old wake-ups are dropped and cost no tick."""
    world = World(engine_of("missed_installment", "income_missing")).play(opened([30]))
    without = engine_of("income_missing")
    lane = Lane(without, world.settings, world.states)
    world.lane = lane
    world.play(until=100)
    assert {"_tell"} == set(world.borrower().wakeups)  # What the engine itself asks for.
    ticks = [step for order in world.orders for step in orjson.loads(order)["steps"] if step[0] == "tick"]
    assert len(ticks) < 10


def test_lateness_is_how_long_before_the_borrowers_time_an_event_occurred() -> None:
    """Only events behind the latest one of their borrower count."""
    world = World(engine_of())
    effects = []
    commit = world.commit
    world.commit = lambda e: (effects.append(e), commit(e))[1]  # type: ignore[method-assign]
    world.play(booked(5, 1), booked(3, 1, recorded=at(6)), booked(7, 1))
    assert [2 * DAY_MS] == [late for e in effects if e is not None for late in e.lateness_ms]


# -- our own mistakes ------------------------------------------------------------------------------------------------


class Planted(Detector):
    """Fails on an amount of 13, or in a tick."""

    key: ClassVar[str] = "planted"
    listens: ClassVar[frozenset[str]] = frozenset({"ews.repayment.received.v1", "ews.loan.opened.v1"})
    first_step: ClassVar[str] = "None."
    in_tick: bool = False

    def judge(self, view: BorrowerView) -> Iterator[Finding]:
        """Nothing, or an accident."""
        if any(payment.amount == 13 for loan in view.loans for payment in loan.payments):
            raise ZeroDivisionError
        if self.in_tick and view.now_ms == moment_midnight(31) and "bad" in {loan.id for loan in view.loans}:
            raise ValueError
        yield from ()

    def wakeups(self, view: BorrowerView) -> Iterator[Wakeup]:
        """At the start of day 31."""
        if self.in_tick and view.now_ms < moment_midnight(31):
            yield Wakeup(moment_midnight(31))


def moment_midnight(day: int) -> int:
    """The start of a day of the timeline."""
    return ms_of(at(day, 0))


def planted(**settings: Any) -> Engine:
    """All detectors and the one that fails."""
    whole = engine_of()
    return Engine(whole.policy, [*whole.detectors, Planted(**settings)])


def test_a_record_on_which_a_detector_fails_is_a_dead_letter_and_the_rest_goes_on() -> None:
    """Its bytes leave with the reason `crashed`, and it is as if it had never been applied."""
    facts = [opened([30]), opened([30], subject="b-2", loan="l-2"), paid(29, 13), paid(29.5, 7)]
    world = World(planted()).load(*facts).drain(until=32)
    assert ["crashed"] == world.reasons()
    assert encode(facts[2]) == world.letters[0].value
    assert "ZeroDivisionError" in world.dead_letters[0]["detail"]
    assert [7] == [payment.amount for payment in world.borrower().loans[0].payments]
    assert {"b-1", "b-2"} == {alert.data.borrower for alert in world.alerts}
    assert world.alert_bytes == repeat(world, planted()).alert_bytes


def test_a_detector_that_fails_in_a_tick_stops_nobody_else() -> None:
    """Its borrower is left until its next event; the others are judged."""
    facts = [opened([30], subject="b-1", loan="bad"), opened([30], subject="b-2", loan="good")]
    world = World(planted(in_tick=True)).load(*facts).drain(until=32)
    assert ["b-2"] == [alert.data.borrower for alert in world.alerts]
    assert 1 == world.counts["crashed", "tick"]
    assert world.alert_bytes == repeat(world, planted(in_tick=True)).alert_bytes
    world.deliver(paid(33, 1, loan="bad"), moment(33))
    assert "b-1" in {alert.data.borrower for alert in world.alerts}


def test_a_state_that_grows_too_large_refuses_its_events_and_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """By an event or by a tick: the borrower stays as it was, the others go on."""
    facts = [opened([30], subject=f"b-{n}", loan=f"l-{n}") for n in (1, 2)]
    world = World(engine_of("missed_installment")).load(*facts, opened([30], subject="b-1", loan="l-3", day=1))
    world.drain({Topic.REPAYMENTS: 2})
    monkeypatch.setattr(work_module, "STATE_BYTES_MAX", len(world.states[b"b-2"]) + 1)
    world.drain()
    assert ["state_full"] == world.reasons()
    kept = dict(world.borrowers())
    world.drain(until=40)
    assert kept == world.borrowers()
    assert 0 < world.counts["crashed", "tick"]


# -- work ------------------------------------------------------------------------------------------------------------


def calls_of(action: Any) -> int:
    """How many Python and C calls an action makes."""
    count = 0

    def seen(_frame: object, kind: str, _arg: object) -> None:
        nonlocal count
        count += kind in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(seen)
    try:
        action()
    finally:
        sys.setprofile(before)
    return count


@pytest.mark.parametrize("kind", ["transaction", "inquiry", "payment"])
def test_an_event_costs_the_same_however_many_came_before(kind: str) -> None:
    """Calls per event after 50 events and after thousands differ by less than a fifth."""

    def make(number: int) -> events.Event:
        day = 10 + number / 40
        if kind == "transaction":
            return booked(day, -5 if number % 7 else 50, 500, purpose=None if number % 97 else "SALA")
        if kind == "inquiry":
            return inquired(day, f"lender-{number % 90}")
        return paid(day, 1, payment=f"p-{number}")

    last = 400 if kind == "payment" else 5_000
    world = World(engine_of()).play(opened([200 + 30 * n for n in range(24)], 100_000))
    costs: dict[int, list[int]] = {50: [], last: []}
    for number in range(last + 40):
        fact = make(number)
        record = record_of(fact, number)
        topic = fact.topic
        mark = next((m for m in costs if m <= number < m + 40), None)
        if mark is None:
            world.commit_quietly(world.lane.play([(topic, record, fact)], (), None))
        else:
            holder: list[Any] = []
            costs[mark].append(calls_of(lambda: holder.append(world.lane._work.take(topic, record, fact))))  # noqa: B023
            world.commit_quietly(world.lane._work.finish())
    early, late = (sum(sorted(row)[5:-5]) for row in costs.values())
    assert late <= early * 1.2


def test_the_median_state_is_small() -> None:
    """90 days of a borrower with a loan, a salary and 180 bookings fit into a few kilobytes."""
    facts = [opened([30, 60, 90]), *(paid(day) for day in (30, 60))]
    facts += [booked(day, 5_000, 6_000, purpose="SALA") for day in (1, 31, 61)]
    facts += [booked(day + hour / 24, -50, 5_000) for day in range(90) for hour in (1, 9)]
    world = World(engine_of()).play(*facts, until=90)
    assert len(world.states[b"b-1"]) < 6_144


__all__ = ["BANK", "Record", "returned"]


def test_a_producer_whose_clock_runs_ahead_does_not_take_time_past_the_wall_clock() -> None:
    """A record stamped after midnight does not raise the alarm of a due day that is not over yet."""
    # day 0 opened ... 30 due, 23:36 now; a transaction stamped 00:30 of day 31
    lane = Lane(engine_of("missed_installment"), LaneSettings(0, 1, clock="wall"), {})
    opening, ahead = record_of(opened([30])), record_of(booked(31, 5, hour=0.5))
    now_ms = ms_of(at(30, 23.6))
    inbox = Inbox({"repayments": [opening], "transactions": [ahead]}, frozenset(), now_ms, latest_ms=now_ms)
    effects = lane.drain(inbox)
    assert effects is not None
    assert not [value for _, value in effects.alerts if b"missed_installment" in value]
    assert lane.now_ms <= now_ms
