"""Contacts that came to nothing, told together from what was attempted, what came back and who was reached."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from streams.engine.calendar import midnight_ms
from streams.engine.measure import Kind, Measure

if TYPE_CHECKING:
    from streams.engine.detector import BorrowerView
    from streams.engine.measure import Seen

ATTEMPTED, REACHED = "ews.contact.attempted.v1", "ews.contact.reached.v1"
UNDELIVERABLE, CHANGED = "ews.contact.undeliverable.v1", "ews.contact.details_changed.v1"
EVENTS = frozenset({ATTEMPTED, REACHED, UNDELIVERABLE, CHANGED})
"""What tells whether a borrower can be reached."""


class Kept(NamedTuple):
    """What is kept of contacts: those tried and those that came back (each by channel), answers, and new details."""

    tried: Measure
    dead: Measure
    answered: Measure
    changed: Measure


def kept(days: int, channels: frozenset[str], details: frozenset[str]) -> Kept:
    """Contacts tried on some channels, all that came back, all answers, and changes of some details."""
    return Kept(
        Measure(
            "contacts.attempted", ATTEMPTED, Kind.DISTINCT, days, (("channel", channels),), field="contact_id",
            per="channel",
        ),
        Measure("contacts.undeliverable", UNDELIVERABLE, Kind.DISTINCT, days, field="contact_id", per="channel"),
        Measure("contacts.reached", REACHED, Kind.LAST, days),
        Measure("contact_details.changed", CHANGED, Kind.DISTINCT, days, (("detail", details),), field="detail"),
    )  # fmt: skip


class Silence(NamedTuple):
    """An attempt that came to nothing so far, and whether it could not even be delivered."""

    channel: str
    seen: Seen
    dead: bool


def silences(view: BorrowerView, kept: Kept, since_ms: int) -> list[Silence]:
    """The attempts since an instant and since somebody was reached last, each contact once, oldest first."""
    answers = view.store(kept.answered).seen
    since_ms = max(since_ms, answers[-1].at if answers else 0)
    found = [Silence(channel, seen, dead=True) for channel, store in view.stores(kept.dead) for seen in store.seen]
    known = {silence.seen.what for silence in found}
    found += [
        Silence(channel, seen, dead=False)
        for channel, store in view.stores(kept.tried)
        for seen in store.seen
        if seen.what not in known
    ]
    return sorted((s for s in found if s.seen.at >= since_ms), key=lambda s: (s.seen.at, s.seen.event))


def missed_ms(view: BorrowerView) -> int | None:
    """When the oldest miss that goes on became one, on any loan, or None if nothing is overdue."""
    missed = []
    for loan in view.loans:
        day = view.day(loan)
        line = loan.oldest_unpaid(day)
        if line is not None and loan.days_late(line.due, day):
            missed.append(midnight_ms(line.due + 1, loan.zone))
    return min(missed, default=None)
