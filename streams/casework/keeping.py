"""What repayments make of promises. Pure: the book and what was paid in, the changed book and its audit lines out.

A promise is kept as soon as its share is paid by value date, from the day on which it was made to the last day of
grace: exactly what the detector `broken_promise` counts. That it is broken is never decided here: the detector says so,
since only the engine knows when a source is complete.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from streams.casework.changes import Acted, Change, differences, moved, sealed, with_promises
from streams.casework.ladder import placed
from streams.casework.promises import is_kept
from streams.casework.sla import lifted, paused, state_of, with_end
from streams.stores.case import CaseState, Entry, Pause
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date, datetime
    from zoneinfo import ZoneInfo

    from streams.casework.ladder import Ladder
    from streams.stores.case import Book, Case
    from streams.stores.work import Promise

KEEPER: Final = "repayments"
"""Who the audit trail says did it, when repayments did."""


@dataclass(frozen=True, slots=True)
class Window:
    """The local days on which a payment of a promise must be valued, the first and the last included."""

    first: date
    last: date

    def holds(self, valued_at: datetime, zone: ZoneInfo) -> bool:
        """Whether a payment of this value date counts."""
        return self.first <= valued_at.astimezone(zone).date() <= self.last


def window(promise: Promise, zone: ZoneInfo, ladder: Ladder) -> Window:
    """When a promise can be paid."""
    last = promise.promised_on + timedelta(days=ladder.promises.grace_days)
    return Window(promise.made_at.astimezone(zone).date(), last)


def settled(book: Book, paid: Mapping[str, int], at: datetime, ladder: Ladder) -> Acted | None:
    """The book after what was paid for its promises (by their ids) is known anew. None if that changes nothing."""
    case = book.case
    if case is None:
        return None
    told = [_paid(p, paid[p.promise_id], at, ladder) for p in book.promises if p.promise_id in paid]
    changed = [promise for promise in told if promise not in book.promises]
    if not changed:
        return None
    known = {promise.promise_id: promise for promise in book.promises}
    book = with_promises(book, *changed)
    reversed_ = any(p.state is PromiseState.OPEN and known[p.promise_id].state is PromiseState.KEPT for p in changed)
    after = placed(_case(case, book, at, ladder, pause=reversed_), book, ladder)
    book = moved(book, after, at)
    assert book.case is not None
    lines = [_line(known[promise.promise_id], promise, at) for promise in changed]
    lines[-1] = replace(lines[-1], detail={**lines[-1].detail, "changes": differences(case, book.case)})
    return Acted(
        book=book, case=book.case, change=Change.UPDATED, promises=tuple(changed), entries=sealed(book, tuple(lines))
    )


def _paid(promise: Promise, paid_minor: int, at: datetime, ladder: Ladder) -> Promise:
    """A promise after so much was paid for it. One that was taken back stays so."""
    after = replace(promise, paid_minor=paid_minor, changed_at=max(at, promise.made_at))
    if promise.state is PromiseState.CANCELLED or paid_minor == promise.paid_minor:
        return promise
    if is_kept(after, ladder):
        return replace(after, state=PromiseState.KEPT)
    if promise.state is PromiseState.KEPT:
        return replace(after, state=PromiseState.OPEN)  # A payment was returned. If it is broken now, an alert says so.
    return after


def _case(case: Case, book: Book, at: datetime, ladder: Ladder, *, pause: bool) -> Case:
    """The clock runs on when no promise is waited for any more; it stops again when one is that had been kept."""
    waited = any(p.state is PromiseState.OPEN and ladder.promise_ends(p.promised_on) > at for p in book.promises)
    if waited and pause:
        case = paused(case, Pause.PROMISE, at)
    elif not waited:
        case = lifted(case, Pause.PROMISE, at)
    broken = any(promise.state is PromiseState.BROKEN for promise in book.promises)
    if case.state is CaseState.BROKEN_PROMISE and not broken:
        case = replace(case, state=state_of(case, case.pauses))
    return with_end(case, book.promises, ladder)


def _line(before: Promise, after: Promise, at: datetime) -> Entry:
    """What is said of one promise: kept, taken back by a returned payment, or just paid in part."""
    action = "promise.paid"
    if after.state is not before.state:
        action = "promise.kept" if after.state is PromiseState.KEPT else "promise.reversed"
    detail = {"promise_id": after.promise_id, "paid_minor": [before.paid_minor, after.paid_minor]}
    return Entry(after.case_id, at, KEEPER, action, detail)
