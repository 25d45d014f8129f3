from __future__ import annotations

from datetime import timedelta

from streams.casework.decisions import decide
from streams.casework.ladder import Ladder
from streams.casework.lead import leads
from streams.stores.case import Book
from tests.consumers.builders import alert

RULES = Ladder.standard()
DAY = 24


def warned(*alerts: object) -> list[dict[str, timedelta]]:
    """The leads that each alert told, one after the other."""
    book, told = Book("b-1"), []
    for each in alerts:
        decision = decide(book, each, RULES)  # type: ignore[arg-type]
        told.append(leads(book, decision))
        book = decision.book
    return told


def test_the_lead_runs_from_each_detectors_first_alert_to_the_first_beyond_thirty_days() -> None:
    """An income that fell 40 days before counts although it opened no case; what comes later is told no more."""
    missed = [alert(hours=day * DAY, step=step, revision=n, dpd=step, status=status) for n, (day, step, status) in
              enumerate(((10, 1, "opened"), (40, 31, "escalated"), (70, 61, "escalated")), start=1)]  # fmt: skip
    drop = alert(detector="income_drop", severity="watch", loan=None)
    expected = {"income_drop": timedelta(days=40), "missed_installment": timedelta(days=30)}
    assert [{}, {}, expected, {}] == warned(drop, *missed)


def test_what_was_never_true_had_not_warned() -> None:
    """A withdrawn alert and one of a detector on trial have no lead."""
    false = alert(detector="returned_payment", severity="high")
    taken_back = alert("withdrawn", detector="returned_payment", severity="high", revision=2, hours=1)
    shadow = alert(detector="score_drop", mode="shadow", loan=None)
    late = alert(hours=10 * DAY, step=31, dpd=31)
    assert {"missed_installment": timedelta(0)} == warned(false, taken_back, shadow, late)[-1]


def test_thirty_days_are_not_yet_serious() -> None:
    """M2 begins at 31."""
    assert [{}] == warned(alert(step=30, dpd=30))
