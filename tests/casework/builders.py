"""Books and people for tests of what is done to cases."""

from __future__ import annotations

from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from streams.casework.acting import act
from streams.casework.actions import ACTIONS
from streams.casework.decisions import decide
from streams.casework.ladder import Ladder
from streams.casework.roles import Actor, Role
from streams.stores.case import Book
from tests.consumers.builders import START

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.alerts import Alert
    from streams.casework.changes import Acted
    from streams.stores.case import Case

RULES = Ladder.standard()
ANNA = Actor("anna", Role.COLLECTOR)
BORIS = Actor("boris", Role.COLLECTOR)
SUE = Actor("sue", Role.SUPERVISOR)
TOM = Actor("tom", Role.SUPERVISOR)
VIEW = Actor("view", Role.VIEWER)
TODAY = date(2026, 3, 2)


def told(*alerts: Alert, book: Book | None = None, rules: Ladder = RULES) -> Book:
    """The book after these alerts."""
    book = book or Book("b-1")
    for alert in alerts:
        book = decide(book, alert, rules).book
    return book


def do(
    book: Book,
    kind: str,
    actor: Actor = ANNA,
    *,
    hours: float = 1,
    rules: Ladder = RULES,
    staff: Mapping[str, int] | None = None,
    **fields: Any,
) -> Acted:
    """An action, so many hours after the start."""
    action = ACTIONS.validate_python({"kind": kind, **fields})
    return act(book, action, actor, START + timedelta(hours=hours), rules, staff=staff)


def promise(book: Book, *, days: int = 3, hours: float = 1, loan: str = "l-1") -> Acted:
    """A promise of 100.00 CNY in so many days."""
    on = TODAY + timedelta(days=days)
    return do(book, "promise", hours=hours, loan=loan, amount_minor=10_000, currency="CNY", promised_on=on)


def open_case(book: Book) -> Case:
    """The open case, which there must be."""
    assert book.case is not None
    return book.case
