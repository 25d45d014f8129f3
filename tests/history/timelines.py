"""A borrower's events with some of everything that a timeline shows, and the timeline of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.bootstrap.policy import load_policy
from streams.engine.calendar import ms_of
from streams.history.explain.material import Fact
from streams.history.timeline import timeline_of
from tests.builders import booked, inquired, opened, paid, returned

if TYPE_CHECKING:
    from schemas.events import Event
    from streams.casework.timeline import TimelineView


def events() -> list[Event]:
    """An installment in time, one late after a returned payment, one unpaid, one ahead; a balance; two inquiries."""
    return [
        opened([10, 40, 80, 120]),
        paid(10),
        paid(40, payment="p-back"),
        returned(42, "p-back"),
        paid(70),
        booked(5, 50_000, 80_000),
        booked(20, -60_000, 20_000),
        booked(45, -30_000, -10_000),
        inquired(50, "bank-1"),
        inquired(60, "bank-2", kind="soft"),
        inquired(100, "bank-3"),
    ]


def facts() -> list[Fact]:
    """The events, each known when it occurred."""
    ordered = sorted(events(), key=lambda event: event.time)
    return [Fact(event, ms_of(event.time), f"line {number}") for number, event in enumerate(ordered)]


def a_view() -> TimelineView | None:
    """The timeline of them."""
    return timeline_of("b-1", facts(), load_policy(None))
