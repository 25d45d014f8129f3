"""What alerts say of promises to pay: that one is broken, and that it never was. `keeping` has what repayments say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from schemas.alerts import AlertStatus
from streams.casework.agreements import open_promises
from streams.casework.sla import lifted, paused, restarted, state_of
from streams.stores.case import CaseState, Pause
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from datetime import datetime

    from streams.casework.ladder import Ladder
    from streams.stores.case import Book, Case, Episode
    from streams.stores.work import Promise


def told_by(book: Book, episode: Episode, rules: Ladder) -> tuple[Promise, ...]:
    """The promises that an alert of the detector of broken promises changes, as they then are."""
    if episode.detector != rules.promises.detector or episode.loan is None:
        return ()
    if episode.status is AlertStatus.WITHDRAWN:
        return _mended(book, episode, rules)
    due = [
        p for p in open_promises(book.promises) if p.loan == episode.loan and p.promised_on < episode.changed_at.date()
    ]
    if not episode.is_open or not due:
        return ()
    latest = max(due, key=lambda p: (p.promised_on, p.made_at, p.promise_id))
    return (replace(latest, state=PromiseState.BROKEN, changed_at=episode.changed_at),)


def _mended(book: Book, episode: Episode, rules: Ladder) -> tuple[Promise, ...]:
    """What the episode called broken never was: kept if it is paid, else open as before."""
    wrong = [
        p
        for p in book.promises
        if p.loan == episode.loan and p.state is PromiseState.BROKEN and p.changed_at >= episode.opened_at
    ]
    return tuple(
        replace(p, state=PromiseState.KEPT if is_kept(p, rules) else PromiseState.OPEN, changed_at=episode.changed_at)
        for p in wrong
    )


def is_kept(promise: Promise, rules: Ladder) -> bool:
    """Whether enough of it was paid."""
    return promise.paid_minor >= rules.promises.kept_share * promise.amount_minor


def after_alert(book: Book, case: Case, episode: Episode, changed: tuple[Promise, ...], rules: Ladder) -> Case:
    """The case after an alert of the detector of broken promises; `book` has the promises as they now are."""
    if case.closed_at is not None or episode.detector != rules.promises.detector:
        return case
    at = episode.changed_at
    if episode.is_open and _is_broken(book, episode, changed):
        return broken(case, at, rules)
    if any(rules.promise_ends(p.promised_on) > at for p in open_promises(changed)):
        case = paused(case, Pause.PROMISE, at)
    if episode.status is AlertStatus.WITHDRAWN and case.state is CaseState.BROKEN_PROMISE:
        case = replace(case, state=state_of(case, case.pauses))
    return case


def _is_broken(book: Book, episode: Episode, changed: tuple[Promise, ...]) -> bool:
    """A promise was just broken, or one that was made elsewhere: the case knows of none on that loan."""
    return bool(changed) or not any(promise.loan == episode.loan for promise in book.promises)


def broken(case: Case, at: datetime, rules: Ladder) -> Case:
    """Somebody must act now, with the whole time; other pauses stay."""
    case = restarted(lifted(case, Pause.PROMISE, at), at, rules)
    return case if case.is_paused else replace(case, state=CaseState.BROKEN_PROMISE)
