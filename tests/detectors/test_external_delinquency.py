from __future__ import annotations

import pytest

from tests.builders import World, at, engine_of, tradeline

KEY = "external_delinquency"


def world() -> World:
    """A world with the one detector."""
    return World(engine_of(KEY))


def test_an_account_elsewhere_is_thirty_days_past_due() -> None:
    """30, then 60, then 90 days: watch, high, critical."""
    # 1 current   31 30 days: watch   61 60: high   91 90: critical
    facts = [tradeline(1 + 30 * month, behind=30 * month) for month in range(4)]
    told = world().play(*facts, until=92)
    assert [(31, "opened", 30), (61, "escalated", 60), (91, "escalated", 90)] == told.told(KEY)
    assert ["watch", "high", "critical"] == [alert.data.severity.value for alert in told.alerts]


@pytest.mark.parametrize(("behind", "alerts"), [(29, 0), (30, 1)])
def test_exactly_thirty_days(behind: int, alerts: int) -> None:
    """29 days are a late bill."""
    # 1: 29 / 30 days
    assert alerts == len(world().play(tradeline(1, behind=behind), until=2).alerts)


@pytest.mark.parametrize(("status", "step"), [("11", 0), ("71", 30), ("78", 60), ("93", 90), ("97", 90), ("13", 0)])
def test_the_status_speaks_where_no_days_are_given(status: str, step: int) -> None:
    """Metro 2: 71 and worse; collections and charge-offs are at the last step, a paid line is not past due."""
    # 1: the status
    assert [step] * bool(step) == [told for *_, told in world().play(tradeline(1, status=status), until=2).told(KEY)]


def test_own_accounts_are_not_elsewhere() -> None:
    """What the bureau reports of the own lender is known here already."""
    # 1: 60 days past due with ourselves
    assert [] == world().play(tradeline(1, lender="own", behind=60), until=5).said()


def test_it_is_over_when_a_later_report_says_so() -> None:
    """Every line current again: cured; one of two still late goes on."""
    # 1 two at 30   31 one current   61 both
    facts = [tradeline(day, name, behind=days) for day, name, days in (
        (1, "x-1", 30), (1, "x-2", 30), (31, "x-1", 0), (31, "x-2", 30), (61, "x-1", 0), (61, "x-2", 0),
    )]  # fmt: skip
    told = world().play(*facts, until=70)
    assert [(1, "opened", 30), (61, "resolved", 30)] == told.told(KEY)
    assert "cured" == told.alerts[-1].data.resolution


def test_it_expires_when_nothing_is_reported_any_more() -> None:
    """A report is believed for two months, to the hour."""
    # 1 30 days   63 too old
    told = world().play(tradeline(1, behind=30), until=70)
    assert [(1, "opened", 30), (63, "resolved", 30)] == told.told(KEY)
    assert "expired" == told.alerts[-1].data.resolution


def test_a_corrected_report_withdraws_it() -> None:
    """The same day's report again, with nothing past due: it was never true."""
    # 1 30 days   1 told again on 4: 0 days
    told = world().play(tradeline(1, behind=30), tradeline(1, behind=0, recorded=at(4)), until=9)
    assert [(1, "opened", 30), (4, "withdrawn", 30)] == told.told(KEY)


@pytest.mark.parametrize(("told_on", "alerts"), [(62.99, 1), (63, 0)])
def test_a_report_told_late_is_believed_as_long(told_on: float, alerts: int) -> None:
    """Told 62 days after its time it is too old."""
    # 1 told on 62 / 63
    assert alerts == len(world().play(tradeline(1, behind=30, recorded=at(told_on))).alerts)


def test_an_older_report_told_late_changes_nothing() -> None:
    """What was known later of a line stands."""
    # 31 current   1 told on 32: 30 days
    assert [] == world().play(tradeline(31, behind=0), tradeline(1, behind=30, recorded=at(32)), until=40).said()
