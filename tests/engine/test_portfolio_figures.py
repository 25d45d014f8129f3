from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from schemas.portfolio import BUCKETS
from streams.engine.portfolio.cohort import Cohort, MonthEnd
from streams.engine.portfolio.figures import SHOWN_MAX, shown

if TYPE_CHECKING:
    from streams.engine.drain import CohortFigures


def kept(name: str, *minor: int, months: list[MonthEnd] | None = None, loans: int = 1) -> tuple[str, bytes]:
    """A cohort as a lane keeps it."""
    by_bucket = [*minor, *[0] * (BUCKETS - len(minor))]
    cohort = Cohort(minor=by_bucket, loans=[loans, *[0] * (BUCKETS - 1)], months=months or [])
    return name, msgspec.msgpack.encode(cohort)


def end(day: int, *minor: int) -> MonthEnd:
    """Where a cohort stood at a month's end."""
    return MonthEnd(day, [*minor, *[0] * (BUCKETS - len(minor))], [0] * BUCKETS)


def only(*cohorts: tuple[str, bytes]) -> CohortFigures:
    """The figures of the one cohort that is shown."""
    [figures] = shown(cohorts)
    return figures


def test_the_overdue_rate_is_what_is_not_in_m0() -> None:
    """Of 1,000 outstanding 80 is past due."""
    figures = only(kept("product:cash:CNY", 920, 50, 30))
    assert ("product", 0.08, [920, 50, 30]) == (figures.kind, figures.overdue, list(figures.minor[:3]))


def test_a_roll_is_from_one_month_end_to_the_next() -> None:
    """50 of the 1,000 in M0 stand in M1 a month later, 20 of the 40 in M1 in M2; from an empty bucket nothing rolls."""
    figures = only(kept("portfolio:all:CNY", 1, months=[end(0, 1_000, 40), end(31, 900, 50, 20)]))
    assert [0.05, 0.5, None] == list(figures.rolls[:3])


@pytest.mark.parametrize("months", [[], [end(0, 10)], [end(0, 10), end(59, 10, 5)]])
def test_without_two_month_ends_in_a_row_nothing_is_said_of_rolls(months: list[MonthEnd]) -> None:
    """A cohort that was small for a month has no flow over it."""
    assert {None} == set(only(kept("region:x:CNY", 1, months=months)).rolls)


def test_employers_are_never_shown() -> None:
    """There may be one for each small employer, and few people behind it."""
    assert [] == list(shown([kept("employer:e-1:CNY", 1)]))


def test_no_more_are_shown_than_the_maximum_and_the_portfolio_always() -> None:
    """The largest stay, by their number of loans."""
    many = [kept(f"product:p{n}:CNY", 1, loans=n + 2) for n in range(SHOWN_MAX + 10)]
    names = [figures.name for figures in shown([*many, kept("portfolio:all:CNY", 1)])]
    assert SHOWN_MAX == len(names)
    assert ["portfolio:all:CNY", f"product:p{SHOWN_MAX + 9}:CNY"] == names[:2]
    assert "product:p0:CNY" not in names
