from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from streams.engine import characteristics
from streams.engine.borrower import restore, snapshot
from streams.engine.calendar import ms_of
from streams.engine.characteristics import CHARACTERISTICS
from streams.engine.detector import BorrowerView
from streams.engine.past import PAST_MAX
from streams.engine.policy import Limits, Policy
from streams.engine.scorecard import Banded, Scorecard
from tests import builders as b

if TYPE_CHECKING:
    from schemas import events


def look(*facts: events.Event, day: float, policy: Policy | None = None) -> BorrowerView:
    """A borrower after these facts, looked at on a day of the timeline at ten."""
    card = Scorecard(characteristics={name: Banded() for name in CHARACTERISTICS})
    policy = (policy or Policy()).model_copy(update={"scorecard": card})
    world = b.World(b.engine_of("missed_installment", policy=policy)).play(*facts, until=day)
    return BorrowerView(world.borrower(), ms_of(b.at(day)), lambda _source: ms_of(b.at(day)), policy)


def value(name: str, view: BorrowerView, loan: str = "", line: str = "") -> float | None:
    """A characteristic, of a loan where one is named."""
    found = next((x for x in view.loans if x.id == loan), None)
    return CHARACTERISTICS[name](view, found, line)


def payday(number: int, day: int, term: int, late: int, **more: object) -> list[events.Event]:
    """A loan of one installment, opened on a day, repaid so many days late and closed then."""
    loan = f"l-{number}"
    return [
        b.opened([day + term], loan=loan, day=day, **more),
        b.paid(day + term + late, loan=loan),
        b.closed(day + term + late, loan=loan),
    ]


# Opened on day 0, 20 and 40 with 10 days; repaid 2 early, 4 late, 1 early; the fourth is opened on day 55.
#   0 ---- 8 | 20 ---- 30 -- 34 | 40 --- 49 | 55 ...
HISTORY = [*payday(1, 0, 10, -2), *payday(2, 20, 10, 4), *payday(3, 40, 10, -1)]
NOW = b.opened([75], 1_500, loan="l-4", day=55, principal_minor=1_200)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("last_loan_days_late", -1),
        ("second_last_loan_days_late", 4),
        ("recent_days_late", round((-1 + 0.6 * 4 + 0.36 * -2) / 1.96, 2)),
        ("worst_days_late", 4),
        ("spread_days_late", 2.62),
        ("share_loans_late", 0.3),
        ("share_loans_early", 0.0),
        ("loans_since_late", 1),
        ("loans_before", 3),
        ("loans_still_open", 0),
        ("last_loan_use", 0.9),
        ("days_since_opening", 15),
        ("days_since_closing", 6),
        ("loans_per_month", 1.64),
        ("principal_to_last", 1.2),
        ("principal_to_first", 1.2),
        ("cost_share", 1.25),
        ("term_days", 20),
        ("due_day_of_month", 17),
        ("days_past_due", 0),
        ("installments_days_late", None),
    ],
)
def test_past_loans_in_numbers(name: str, expected: float | None) -> None:
    """Each characteristic of past loans, of a timeline made by hand."""
    assert expected == value(name, look(*HISTORY, NOW, day=55), "l-4")


def test_an_overdue_loan_is_late_by_today() -> None:
    """A loan before that is unpaid counts as late from the day after its due date, and not before."""
    facts = [b.opened([10]), b.opened([40], loan="l-2", day=9)]
    assert [None, 1, 5] == [value("last_loan_days_late", look(*facts, day=day), "l-2") for day in (10, 11, 15)]


def test_loans_after_the_decision_do_not_count() -> None:
    """What is opened after the loan that is asked about is no part of its past."""
    view = look(*HISTORY, NOW, day=55)
    assert 1 == value("loans_before", view, "l-2")
    assert 4 == value("loans_before", view)


def test_nothing_is_known_of_a_new_borrower() -> None:
    """Without a past the characteristics of it are not known, rather than 0."""
    view = look(NOW, day=55)
    assert value("recent_days_late", view, "l-4") is None
    assert value("days_since_closing", view, "l-4") is None
    assert 0 == value("loans_before", view, "l-4")


def test_loans_that_were_dropped_are_remembered() -> None:
    """What is said of past loans does not change when the loans themselves are dropped, after a restart too."""
    policy = Policy(limits=Limits(closed_loan_days=3))
    short, long = (look(*HISTORY, NOW, day=60, policy=chosen) for chosen in (policy, Policy()))
    assert ["l-4"] == [loan.id for loan in short.loans]
    assert 3 == len(short.past)
    again = BorrowerView(restore(snapshot(short._borrower)), short.now_ms, short._through, policy)
    for name in CHARACTERISTICS:
        assert value(name, long, "l-4") == value(name, short, "l-4") == value(name, again, "l-4"), name


def test_only_the_latest_past_loans_are_remembered() -> None:
    """The memory of dropped loans is bounded."""
    many = [fact for n in range(PAST_MAX + 4) for fact in payday(n, 10 * n, 5, 0)]
    policy = Policy(limits=Limits(closed_loan_days=1))
    view = look(*many, b.opened([999], loan="l-99", day=300), day=320, policy=policy)
    assert PAST_MAX == len(view.past)


# Month ends as a bureau reports them: 30 behind in the third, fifth and sixth of seven months.
#   31-Jan 0 | 28-Feb 0 | 31-Mar 30 | 30-Apr 0 | 31-May 30 | 30-Jun 30 | 31-Jul 0
BEHIND = (0, 0, 30, 0, 30, 30, 0)
MONTH_ENDS = (30, 58, 89, 119, 150, 180, 211)


def reports(upto: int, name: str = "x-1", behind: tuple[int, ...] = BEHIND) -> list[events.Event]:
    """The reports of an account up to a month."""
    return [b.tradeline(day, name, behind=late) for day, late in zip(MONTH_ENDS[:upto], behind, strict=False)]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("account_months_behind", 3),
        ("account_months_behind_3", 2),
        ("account_share_behind", 0.5),
        ("account_months_since_behind", 0),
        ("account_run_behind", 2),
        ("account_longest_run_behind", 2),
        ("account_months_known", 5),
        ("account_months_silent", 0),
        ("account_days_behind", 30),
        ("other_accounts_behind", 0),
    ],
)
def test_an_account_elsewhere_in_numbers(name: str, expected: float) -> None:
    """Each characteristic of an account elsewhere, at the end of the sixth month."""
    assert expected == value(name, look(*reports(6), day=180.1), line="x-1")


def test_an_account_is_the_one_that_is_meant() -> None:
    """Accounts are told apart by their tokens; without one the account behind most speaks."""
    view = look(*reports(6), *reports(6, "x-2", (0,) * 6), day=180.1)
    assert [3, 0, 3] == [value("account_months_behind", view, line=line) for line in ("x-1", "x-2", "")]
    assert [0, 1] == [value("other_accounts_behind", view, line=line) for line in ("x-1", "x-2")]
    assert value("account_months_behind", view, line="x-3") is None


def test_an_account_that_is_over_is_silent() -> None:
    """Reports that an account is paid off tell nothing of how it is paid."""
    view = look(*reports(6), b.tradeline(211, status="13"), day=211.1)
    assert 1 == value("account_months_silent", view, line="x-1")


def test_measures_are_kept_only_for_who_asks() -> None:
    """A scorecard without characteristics of accounts keeps nothing of them."""
    assert () == characteristics.measures(["recent_days_late"])
    world = b.World(b.engine_of("missed_installment")).play(*reports(6))
    assert not world.borrower().measured


def test_every_characteristic_says_what_it_is() -> None:
    """The first line of each docstring is what a policy shows to a person."""
    assert all(characteristics.text_of(name).endswith(".") for name in CHARACTERISTICS)
