"""What the engine keeps for detectors, and how it is read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from streams.engine.baseline import Span, baseline
from streams.engine.calendar import DAY_MS, HOUR_MS, ms_of
from streams.engine.measure import (
    LEVELS_MAX,
    MONTH,
    Alike,
    Kind,
    Measure,
    Occurrence,
    Store,
    closing,
    distinct,
    expire,
    number_of,
    starts_ms,
    total,
    update,
)
from tests.builders import at

EVENT = "ews.tradeline.reported.v1"


def keep(measure: Measure, *facts: tuple[float, dict[str, Any]], now: float = 200) -> Store:
    """What is kept of facts (day, data) that come in this order."""
    store = Store()
    for number, (day, data) in enumerate(facts):
        update(measure, store, Occurrence(SimpleNamespace(**data), f"e{number}", "s", ms_of(at(day))), ms_of(at(now)))
    return store


def line(name: str, owed: int) -> dict[str, Any]:
    """A tradeline with what is owed on it."""
    return {"tradeline": name, "owed": owed}


DEBT = Measure("debt", EVENT, Kind.LEVEL, 90, value="owed", field="tradeline")


def test_a_level_is_the_latest_value_of_each_thing() -> None:
    """A later report takes the place of the earlier one of the same line, and an earlier one told late does not."""
    store = keep(DEBT, (150, line("a", 10)), (151, line("b", 5)), (160, line("a", 7)), (155, line("a", 99)))
    assert sorted([7, 5]) == sorted(level.amount for level in store.levels)


def test_the_sum_of_levels_is_kept_at_the_end_of_each_bucket() -> None:
    """How much was owed in all can be asked as of a day that is past."""
    store = keep(DEBT, (150, line("a", 10)), (151, line("b", 5)), (160, line("a", 7)))
    assert [10, 15, 12] == [closing(DEBT, store, ms_of(at(day))) for day in (151.5, 153, 170)]


def test_levels_leave_with_the_window_and_are_bounded() -> None:
    """A line of which nothing is heard for the window is dropped, and no more than the limit are kept."""
    store = keep(DEBT, (150, line("a", 10)), (180, line("b", 5)))
    expire(DEBT, store, ms_of(at(241)))
    assert [5] == [level.amount for level in store.levels]
    many = keep(DEBT, *((150 + n / 10, line(f"l{n}", 1)) for n in range(LEVELS_MAX + 3)))
    assert (LEVELS_MAX, 3) == (len(many.levels), many.overflow)


def test_months_are_those_of_the_calendar() -> None:
    """A month's bucket begins on its first day and the next one on the next first day."""
    monthly = DEBT._replace(bucket_ms=MONTH)
    january = number_of(monthly, ms_of(at(20)))
    assert january == number_of(monthly, ms_of(at(1))) == number_of(monthly, ms_of(at(35))) - 1
    assert 31 * DAY_MS == starts_ms(monthly, january + 1) - starts_ms(monthly, january)


def test_the_total_of_months_counts_whole_months_from_the_first_that_begins_in_the_span() -> None:
    """A bucket counts when it begins within the span asked for."""
    spent = Measure("spent", EVENT, Kind.TOTAL, 365, value="amount", bucket_ms=MONTH)
    store = keep(spent, (10, {"amount": 1}), (40, {"amount": 2}), (70, {"amount": 4}), now=80)
    assert (2, 6) == total(spent, store, ms_of(at(15)), ms_of(at(80)))
    assert (3, 7) == total(spent, store, 0, ms_of(at(80)))


def test_what_is_alike_counts_once_while_it_goes_on() -> None:
    """Asking several lenders for one mortgage is one inquiry; other purposes count each, and so does a later search."""
    alike = Alike("purpose", frozenset({"mortgage"}), 45)
    asked = Measure("asked", EVENT, Kind.DISTINCT, 180, field="lender", alike=alike)
    shopping = [(day, {"lender": f"x{day}", "purpose": "mortgage"}) for day in (20, 30, 60)]
    other = [(61, {"lender": "y", "purpose": "cash"}), (62, {"lender": "z", "purpose": "cash"})]
    store = keep(asked, *shopping, *other, now=100)
    assert 3 == len(distinct(store, 0))
    again = keep(asked, *shopping, (130, {"lender": "w", "purpose": "mortgage"}), now=140)
    assert 2 == len(distinct(again, 0))


def test_a_measure_is_known_by_what_it_asks_for_and_not_by_its_window() -> None:
    """A longer window is the same measure; another filter, field, bucket or kind is another."""
    assert DEBT.key == DEBT._replace(window_days=365).key
    others = [
        DEBT._replace(where=(("status", frozenset({"11"})),)), DEBT._replace(field="lender"),
        DEBT._replace(bucket_ms=HOUR_MS), DEBT._replace(kind=Kind.LAST), DEBT._replace(per="tradeline"),
        DEBT._replace(unless=(("status", frozenset({"11"})),)), DEBT._replace(burst_minutes=3),
        DEBT._replace(alike=Alike("purpose", frozenset({"mortgage"}), 45)),
    ]  # fmt: skip
    assert 9 == len({measure.key for measure in (DEBT, *others)})


def test_the_order_in_which_a_filter_names_its_values_does_not_matter() -> None:
    """The same filter is the same measure in every process."""
    many = frozenset(map(str, range(20)))
    first = DEBT._replace(where=(("a", many), ("b", many)))
    assert first.key == DEBT._replace(where=(("b", frozenset(sorted(many, reverse=True))), ("a", many))).key
    assert 0x9F5A3E39 != first.key


def test_parts_are_kept_apart() -> None:
    """Money is kept by currency, and what asks for it by a field of its own, such as the model of a score."""
    score = Measure("score", EVENT, Kind.LAST, 90, value="value", per="model")
    assert "fico" == score.part_of(SimpleNamespace(model="fico", value=700))
    money = Measure("in", EVENT, Kind.TOTAL, 90, value="amount_minor", per="account")
    assert "a1/CNY" == money.part_of(SimpleNamespace(account="a1", currency="CNY"))
    assert "" == DEBT.part_of(SimpleNamespace())


COUNTED = Measure("counted", EVENT, Kind.TOTAL, 180)


def test_a_baseline_is_the_mean_and_deviation_of_whole_periods() -> None:
    """Three weeks with 1, 2 and 3 occurrences: mean 2, and five more are 3.67 deviations above."""
    days = [80, 86, 87, 94, 95, 96]
    store = keep(COUNTED, *((day, {}) for day in days), now=101)
    past = baseline(COUNTED, store, Span(ms_of(at(1)), ms_of(at(100, 0))), 3, 7)
    assert (3, 2.0) == (past.n, past.mean)
    assert 3.67 == round(past.z(5), 2)


def test_a_baseline_says_how_little_it_knows() -> None:
    """No more periods are counted than the history covers, none if nothing is known; quiet periods do count."""
    store = keep(COUNTED, (99, {}), now=101)
    until = ms_of(at(100, 0))
    assert [0, 2, 12] == [
        baseline(COUNTED, store, Span(since, until), 12, 7).n for since in (0, ms_of(at(85)), ms_of(at(1)))
    ]


def test_who_never_did_a_thing_has_no_endless_deviation() -> None:
    """The deviation of counts has a floor, so that a first time is not a thousand deviations."""
    past = baseline(COUNTED, Store(), Span(ms_of(at(1)), ms_of(at(100))), 12, 7)
    assert (12, 0.0, 2.0) == (past.n, past.mean, past.z(1))
