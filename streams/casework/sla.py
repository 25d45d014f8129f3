"""The time to act: when it runs, when it stands still, what it is after a pause, and what time alone changes.

    running    due_at is set
    paused     for one or more reasons (`Pause`): sla_left_seconds holds what was left, due_at is empty
    over       the case has ended: neither is set

A promise pauses until its day and the days of grace have passed, a hold until its end, hardship and a dispute until
somebody decides. What was left is given back when the last reason has gone.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from streams.casework.changes import Acted, Change, differences, moved, sealed
from streams.stores.case import CaseState, Entry, Pause
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from streams.casework.ladder import Ladder
    from streams.stores.case import Book, Case
    from streams.stores.work import Promise

CLOCKWORK = "clockwork"
"""Who the audit trail says did it, when time did."""


def paused(case: Case, why: Pause, at: datetime) -> Case:
    """The case with the clock standing still for this reason too."""
    pauses = tuple(each for each in Pause if each in {*case.pauses, why})
    if case.is_paused:
        return replace(case, pauses=pauses, state=state_of(case, pauses))
    left = 0 if case.due_at is None else max(0, int((case.due_at - at).total_seconds()))
    return replace(case, pauses=pauses, state=state_of(case, pauses), sla_left_seconds=left, due_at=None)


def lifted(case: Case, why: Pause, at: datetime) -> Case:
    """The case without this reason; when it was the last one the clock runs on with what was left."""
    if why not in case.pauses:
        return case
    pauses = tuple(each for each in case.pauses if each is not why)
    case = replace(case, pauses=pauses, hold_until=case.hold_until if Pause.HOLD in pauses else None)
    if pauses:
        return replace(case, state=state_of(case, pauses))
    due = at + timedelta(seconds=case.sla_left_seconds or 0)
    return replace(case, state=state_of(case, ()), sla_left_seconds=None, resume_at=None, due_at=due)


def restarted(case: Case, at: datetime, ladder: Ladder) -> Case:
    """Somebody has acted, or must act anew: the whole time is given again, now or after the pause."""
    within = ladder.due_within(case.severity)
    if case.is_paused:
        return replace(case, sla_left_seconds=int(within.total_seconds()), breached_at=None)
    return replace(case, due_at=at + within, breached_at=None)


def stopped(case: Case) -> Case:
    """The clock of a case that has ended. That the borrower has died holds on."""
    return replace(
        case,
        due_at=None,
        sla_left_seconds=None,
        resume_at=None,
        breached_at=None,
        pauses=(),
        hold_until=None,
        hardship_granted=False,
        needs_approval=False,
        next_step="",
    )


def state_of(case: Case, pauses: Iterable[Pause]) -> CaseState:
    """The state that a case's pauses make; without one it is whoever's work it is."""
    held = set(pauses)
    if held & {Pause.HOLD, Pause.DISPUTE}:
        return CaseState.ON_HOLD
    if Pause.HARDSHIP in held:
        return CaseState.HARDSHIP_REQUESTED
    if Pause.PROMISE in held:
        return CaseState.PROMISE_TO_PAY
    return CaseState.IN_PROGRESS if case.owner else CaseState.OPEN


def with_end(case: Case, promises: Iterable[Promise], ladder: Ladder) -> Case:
    """The case with the moment at which the next of its pauses ends by itself."""
    return replace(case, resume_at=min(_ends(case, promises, ladder).values(), default=None))


def _ends(case: Case, promises: Iterable[Promise], ladder: Ladder) -> dict[Pause, datetime]:
    ends = {}
    if Pause.PROMISE in case.pauses:
        waited = [p.promised_on for p in promises if p.case_id == case.case_id and p.state is PromiseState.OPEN]
        if waited:
            ends[Pause.PROMISE] = ladder.promise_ends(max(waited))
    if Pause.HOLD in case.pauses and case.hold_until is not None:
        ends[Pause.HOLD] = case.hold_until
    return ends


def tick(book: Book, now: datetime, ladder: Ladder) -> Acted | None:
    """What time alone has changed: pauses that are over, a time to act that has run out. None if nothing has."""
    case = book.case
    if case is None or case.closed_at is not None:
        return None
    after, ended = case, []
    for why, end in sorted(_ends(case, book.promises, ladder).items(), key=lambda pair: pair[1]):
        if end <= now:
            after = lifted(after, why, end)
            ended.append(why)
    after = with_end(after, book.promises, ladder)
    late = after.due_at is not None and after.due_at <= now and after.breached_at is None
    if late:
        after = replace(after, breached_at=after.due_at)
    if not ended and not late:
        return None
    return _told(book, case, after, now, ended, late=late)


def _told(book: Book, before: Case, after: Case, now: datetime, ended: list[Pause], *, late: bool) -> Acted:
    book = moved(book, after, now)
    assert book.case is not None
    changes = differences(before, after)
    lines = [Entry(before.case_id, now, CLOCKWORK, "pause.ended", {"pauses": list(map(str, ended))})] if ended else []
    if late:
        lines.append(Entry(before.case_id, now, CLOCKWORK, "sla.breached", {"due_at": str(after.breached_at)}))
    lines[-1] = replace(lines[-1], detail={**lines[-1].detail, "changes": changes})
    change = Change.BREACHED if late else Change.RESUMED
    return Acted(book=book, case=book.case, change=change, entries=sealed(book, tuple(lines)))
