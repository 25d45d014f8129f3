"""What an alert does to a borrower's case. Pure: the book and the alert in, the changed book and its audit lines out.

`now` is the alert's own time, so that a replay gives the same cases. Ids are derived from the data for the same reason.

    opened, escalated   from severity high: opens a case, with every live episode of the borrower that is open already;
                        into an open case: attaches from severity watch, and raises it
    withdrawn           takes back what it raised; the last open one closes the case as `withdrawn`
    resolved            the last open one resolves the case, with the reason (cured, rescheduled, ...)
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid5

from schemas.alerts import Mode
from streams.casework import promises
from streams.casework.alerts import Outcome, is_of_borrower
from streams.casework.changes import Change, differences, sealed, with_promises
from streams.casework.following import entry_of, followed, joins, loans_after, time_of
from streams.casework.ladder import placed
from streams.casework.sla import with_end
from streams.casework.standing import assessed, raised, reassessed, worst
from streams.stores.case import Book, Case, CaseState, Entry, Episode, Stage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from schemas.alerts import Alert
    from streams.casework.ladder import Ladder
    from streams.stores.work import Promise

CASES = UUID("0e6a3f2e-58c9-5c0b-8d3c-6a7d1f6b9e21")
"""The namespace of case ids. Changing it would make every case new."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What one alert changes. `case`, `episodes` and `promises` are to be written, `book` is what the next sees."""

    book: Book
    outcome: Outcome
    case: Case | None = None
    change: Change | None = None
    episodes: tuple[Episode, ...] = ()
    entries: tuple[Entry, ...] = ()
    revisions_missed: int = 0
    promises: tuple[Promise, ...] = ()


def case_id(borrower: str, opening_alert: UUID) -> str:
    """The id of the case that this alert opens for this borrower."""
    return str(uuid5(CASES, f"{borrower}\x1f{opening_alert}"))


def decide(book: Book, alert: Alert, rules: Ladder) -> Decision:
    """What `alert`, which was not taken up before, does to the borrower's book."""
    data = alert.data
    if not is_of_borrower(data):
        return Decision(book, Outcome.IGNORED)
    known = book.episodes.get(str(data.episode_id))
    if known is not None and data.revision <= known.revision:
        return _too_late(book, known, alert)
    missed = data.revision - 1 - (known.revision if known else 0)
    episode = followed(book, known, alert)
    if book.case is not None:
        decision = _into_case(book, book.case, episode, alert, rules)
    elif data.mode is Mode.LIVE and episode.is_open and episode.severity.rank >= rules.opens_from.rank:
        decision = _open(book, episode, alert, rules)
    else:
        decision = _without_case(book, known, episode, alert)
    return _note_gap(decision, missed, alert)


def _too_late(book: Book, known: Episode, alert: Alert) -> Decision:
    """A higher revision came first: nothing changes, the case notes it."""
    entries = (entry_of(known.case_id, alert, "alert.late", newest=known.revision),) if known.case_id else ()
    return Decision(book, Outcome.SUPERSEDED, entries=entries)


def _without_case(book: Book, known: Episode | None, episode: Episode, alert: Alert) -> Decision:
    """No case is open and none opens: the episode is only remembered. A case that it once belonged to notes it."""
    former = known.case_id if known else None
    entries = (entry_of(former, alert, f"episode.{episode.status}", after_closing=True),) if former else ()
    acted_on = former is not None or alert.data.mode is Mode.LIVE
    outcome = Outcome.HANDLED if acted_on else Outcome.IGNORED
    return Decision(_with(book, episode), outcome, episodes=(episode,), entries=entries)


def _open(book: Book, episode: Episode, alert: Alert, rules: Ladder) -> Decision:
    opened = case_id(book.borrower, alert.id)
    joined = [episode, *(e for e in book.loose() if joins(e, rules) and e.episode_id != episode.episode_id)]
    held = tuple(replace(e, case_id=opened) for e in joined)
    at = time_of(alert)
    severity = worst(held)
    case = Case(
        case_id=opened,
        borrower=book.borrower,
        opening_alert=str(alert.id),
        state=CaseState.OPEN,
        stage=Stage.REMINDER,
        needs_approval=False,
        severity=severity,
        next_step="",
        owner=None,
        due_at=at + rules.due_within(severity),
        opened_at=at,
        changed_at=at,
        closed_at=None,
        closed_as=None,
        version=1,
        loans=loans_after((), alert),
    )
    # What a case before left behind is its own.
    book = _with(replace(book, promises=(), approvals=(), plans=()), *held)
    case = placed(assessed(case, book, held, rules), book, rules)
    entry = entry_of(opened, alert, "case.opened", stage=str(case.stage), episodes=[e.episode_id for e in held])
    return _decided(replace(book, case=case), case, Change.OPENED, held, (entry,))


def _into_case(book: Book, case: Case, episode: Episode, alert: Alert, rules: Ladder) -> Decision:
    held = episode.case_id == case.case_id
    live = alert.data.mode is Mode.LIVE
    if not held and live and joins(episode, rules) and episode.is_open:
        episode, held = replace(episode, case_id=case.case_id), True
    if not live and not (held and not episode.is_open):
        return _only_followed(book, episode)
    at = time_of(alert)
    told = promises.told_by(book, episode, rules) if held else ()
    changed_book = with_promises(_with(book, episode), *told)
    after = reassessed(replace(case, loans=loans_after(case.loans, alert)), changed_book, episode, at, rules)
    if held:
        after = promises.after_alert(changed_book, after, episode, told, rules)
        after = placed(with_end(after, changed_book.promises, rules), changed_book, rules)
    if not held and after == case:
        return Decision(changed_book, Outcome.HANDLED, episodes=(episode,))
    after = replace(after, version=case.version + 1, changed_at=at)
    entries = tuple(_account(case, after, alert, held=held, told=told))
    decided = _decided(replace(changed_book, case=after), after, _change(case, after), (episode,), entries)
    return replace(decided, promises=told, book=_closed(decided.book) if after.closed_at else decided.book)


def _closed(book: Book) -> Book:
    """The book after its case has ended. That the borrower has died is not forgotten."""
    dead = book.deceased or (book.case is not None and book.case.deceased)
    return replace(book, case=None, promises=(), approvals=(), plans=(), deceased=dead)


def _only_followed(book: Book, episode: Episode) -> Decision:
    """A detector on trial, or a warm-up: its revision is remembered, an episode that a case holds stays as it was."""
    known = book.episodes.get(episode.episode_id)
    if known is not None and episode.case_id is not None:
        return Decision(book, Outcome.IGNORED)
    return Decision(_with(book, episode), Outcome.IGNORED, episodes=(episode,))


def _change(before: Case, after: Case) -> Change:
    if after.closed_at is not None:
        return Change.WITHDRAWN if after.state is CaseState.CLOSED else Change.RESOLVED
    if raised(before, after):
        return Change.ESCALATED
    return Change.DE_ESCALATED if raised(after, before) else Change.UPDATED


def _account(before: Case, after: Case, alert: Alert, *, held: bool, told: tuple[Promise, ...]) -> Iterable[Entry]:
    """The audit lines of a change: what was said of the episode and of promises, then what that made of the case."""
    if held:
        yield entry_of(after.case_id, alert, f"episode.{alert.data.status}")
    for promise in told:
        said = {"promise_id": promise.promise_id, "state": str(promise.state)}
        yield entry_of(after.case_id, alert, f"promise.{promise.state}", **said)
    changed = differences(before, after)
    if after.closed_at is not None:
        action = f"case.{_change(before, after)}"
        yield entry_of(after.case_id, alert, action, closed_as=after.closed_as, changes=changed)
    elif changed or not held:
        yield entry_of(after.case_id, alert, f"case.{_change(before, after)}", changes=changed)


def _decided(
    book: Book, case: Case, change: Change, episodes: tuple[Episode, ...], entries: tuple[Entry, ...]
) -> Decision:
    return Decision(book, Outcome.HANDLED, case=case, change=change, episodes=episodes, entries=sealed(book, entries))


def _note_gap(decision: Decision, missed: int, alert: Alert) -> Decision:
    if missed <= 0:
        return decision
    noted = replace(decision, revisions_missed=missed)
    if decision.case is None:
        return noted
    gap = entry_of(decision.case.case_id, alert, "alert.gap", revisions_missed=missed)
    return replace(noted, entries=(gap, *decision.entries))


def _with(book: Book, *changed: Episode) -> Book:
    return replace(book, episodes={**book.episodes, **{episode.episode_id: episode for episode in changed}})
