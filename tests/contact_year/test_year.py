"""Some weeks of the notifier in virtual time: nothing goes out against the rules, and planted faults are found."""

from __future__ import annotations

import random
from datetime import time, timedelta
from typing import TYPE_CHECKING

import pytest

from streams.casework.packs import load_packs
from tests.consumers.builders import START, alert
from tests.contact_year.portfolio import alerts_of_a_year
from tests.contact_year.test_asking import NoOptOut
from tests.contact_year.year import BEGIN, Report, pass_a_year
from tests.contact_year.year import START as FIRST_DAY

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from schemas.alerts import Alert
    from streams.casework.packs import Pack

DAYS = 45


def troubles() -> list[Alert]:
    """Some borrowers, most of whom miss installment after installment: reminders, calls and cases."""
    draw = random.Random(4)  # noqa: S311 - the same for the same seed
    told: list[Alert] = []
    for number in range(14):
        borrower, loan = f"b{number:03}", f"l{number:03}-1"
        due = BEGIN + timedelta(days=draw.randrange(4, 12), hours=draw.randrange(24), minutes=draw.randrange(60))
        while due < BEGIN + timedelta(days=DAYS):
            told += _missed(borrower, loan, due, draw)
            due += timedelta(days=draw.randrange(12, 20))
    return sorted(told, key=lambda one: one.time)


def _missed(borrower: str, loan: str, due: datetime, draw: random.Random) -> list[Alert]:
    """An installment that is announced, missed, and paid at last or not."""

    def told(status: str, day: float, detector: str = "missed_installment", **more: object) -> Alert:
        hours = (due + timedelta(days=day) - START) / timedelta(hours=1)
        onset = {"borrower": borrower, "loan": loan, "onset": due.date()}
        return alert(status, detector=detector, hours=hours, **(onset | more))  # type: ignore[arg-type]

    day = draw.random() / 2
    alerts = [
        told("opened", -3 + day, "upcoming_installment", severity="info", dpd=0),
        told("resolved", day, "upcoming_installment", severity="info", revision=2, dpd=0),
        told("opened", 1 + day, severity="watch", step=1, dpd=1),
        told("escalated", 5 + day, severity="high", step=5, revision=2, dpd=5),
    ]
    if draw.random() < 0.5:
        alerts.append(told("resolved", draw.randrange(7, 12) + day, severity="high", step=5, revision=3, dpd=0))
    return alerts


@pytest.fixture(scope="module")
def alerts() -> list[Alert]:
    """The alerts of some bad weeks."""
    return troubles()


def passed(
    names: str,
    alerts: list[Alert],
    change: Callable[[Pack], Pack] = lambda pack: pack,
    **faults: object,
) -> Report:
    """What came of those weeks, where the product has a fault."""
    packs = tuple(change(pack) for pack in load_packs(names.split("+")))
    return pass_a_year(names, alerts, days=DAYS, seed=3, bursts=0.5, packs=packs, **faults)


def test_nothing_goes_out_against_the_rules(alerts: list[Alert]) -> None:
    """Messages are sent, put off and given up, people call and agree, and the checker finds nothing."""
    report = passed("default", alerts)
    assert [] == report.certain
    assert len(report.log) == len({contact.contact_id for contact in report.log})
    assert report.by_status["sent"] > 50
    assert report.by_status["refused"] > 10
    assert report.desk_calls > 10
    assert len(report.waits) > 20
    assert report.holds > 5


def test_nothing_goes_out_against_the_rules_in_a_simulated_portfolio(tmp_path_factory: pytest.TempPathFactory) -> None:
    """The same on what `ews simulate` and `ews replay` make."""
    directory = tmp_path_factory.mktemp("portfolio")
    alerts = alerts_of_a_year(directory, borrowers=20, days=60, seed=11, start=FIRST_DAY)
    report = pass_a_year("us", alerts, days=60, seed=11)
    assert [] == report.certain
    assert report.by_status["sent"] > 5


def _later(pack: Pack) -> Pack:
    hours = pack.hours.model_copy(update={"until": time(23, 59)}) if pack.hours else None
    return pack.model_copy(update={"hours": hours})


def _without_caps(pack: Pack) -> Pack:
    return pack.model_copy(update={"caps": (), "waits": ()})


def test_hours_that_are_too_long_are_found(alerts: list[Alert]) -> None:
    """Of what goes out by them some is late."""
    assert "hours" in {v.rule for v in passed("us", alerts, _later).certain}


def test_caps_that_are_not_kept_are_found(alerts: list[Alert]) -> None:
    """People call whom somebody has just spoken to."""
    assert {"conversation", "calls_in_7_days"} <= {v.rule for v in passed("us", alerts, _without_caps).certain}


def test_opt_outs_that_are_passed_over_are_found(alerts: list[Alert]) -> None:
    """By a contact store that forgets them."""
    assert "opt_out" in {v.rule for v in passed("us", alerts, store=NoOptOut).certain}


def test_holds_that_are_passed_over_are_found(alerts: list[Alert]) -> None:
    """Whoever goes on collecting in spite of the case is told so."""
    broken = {v.rule for v in passed("us", alerts, tells_of_holds=False).certain}
    assert {"hardship", "promise", "hold"} <= broken
