"""What an alert does to a borrower's case. Pure: the book and the alert in, the changed book and its audit lines out.

`now` is the alert's own time, so that a replay gives the same cases. Ids are derived from the data for the same reason.

    opened, escalated   from severity high: opens a case, with every live episode of the borrower that is open already;
                        into an open case: attaches from severity watch, and raises it
    withdrawn           takes back what it raised; the last open one closes the case as `withdrawn`
    resolved            the last open one resolves the case, with the reason (cured, rescheduled, ...)
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from schemas.alerts import AlertStatus, Mode
from streams.casework.alerts import Outcome, is_of_borrower
from streams.casework.ladder import leading, next_step
from streams.stores.case import ENDED, Book, Case, CaseLoan, CaseState, Entry, Episode, digest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from schemas.alerts import Alert, AlertData
    from streams.casework.ladder import Ladder

CASES = UUID("0e6a3f2e-58c9-5c0b-8d3c-6a7d1f6b9e21")
"""The namespace of case ids. Changing it would make every case new."""
ACTOR = "alerts"
"""Who the audit trail says did it, when an alert did."""


class Change(StrEnum):
    """What was done to a case, as `ews_case_changes_total` counts it."""

    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    DE_ESCALATED = "de_escalated"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"


@dataclass(frozen=True, slots=True)
class Decision:
    """What one alert changes. `case` and `episodes` are what is to be written, `book` is what the next alert sees."""

    book: Book
    outcome: Outcome
    case: Case | None = None
    change: Change | None = None
    episodes: tuple[Episode, ...] = ()
    entries: tuple[Entry, ...] = ()
    revisions_missed: int = 0


_OF_LOANS = {field.name for field in fields(CaseLoan)} - {"as_of"}
"""What a case keeps of a loan's position. An alert may say more, as it may gain fields."""


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
    episode = _follow(book, known, alert)
    if book.case is not None:
        decision = _into_case(book, book.case, episode, alert, rules)
    elif data.mode is Mode.LIVE and episode.is_open and episode.severity.rank >= rules.opens_from.rank:
        decision = _open(book, episode, alert, rules)
    else:
        decision = _without_case(book, known, episode, alert)
    return _note_gap(decision, missed, alert)


def _follow(book: Book, known: Episode | None, alert: Alert) -> Episode:
    """The episode as the alert leaves it. When it ends it keeps the severity that it had while it was open."""
    data, at = alert.data, _time(alert)
    ended = data.status in ENDED
    held = known is not None and book.case is not None and known.case_id == book.case.case_id
    return Episode(
        episode_id=str(data.episode_id),
        case_id=known.case_id if known and held else None,
        borrower=data.borrower,
        detector=data.detector,
        loan=data.loan,
        onset=data.onset,
        mode=data.mode,
        status=data.status,
        severity=known.severity if known and ended else data.severity,
        step=data.step,
        revision=data.revision,
        reason=data.reason,
        first_step=known.first_step if known and ended else data.first_step,
        resolution=data.resolution,
        measures=tuple(measure.model_dump(exclude_none=True) for measure in data.measures),
        opened_at=known.opened_at if known and (known.is_open or ended) else at,
        changed_at=at,
    )


def _too_late(book: Book, known: Episode, alert: Alert) -> Decision:
    """A higher revision came first: nothing changes, the case notes it."""
    entries = (_entry(known.case_id, alert, "alert.late", newest=known.revision),) if known.case_id else ()
    return Decision(book, Outcome.SUPERSEDED, entries=entries)


def _without_case(book: Book, known: Episode | None, episode: Episode, alert: Alert) -> Decision:
    """No case is open and none opens: the episode is only remembered. A case that it once belonged to notes it."""
    former = known.case_id if known else None
    entries = (_entry(former, alert, f"episode.{episode.status}", after_closing=True),) if former else ()
    acted_on = former is not None or alert.data.mode is Mode.LIVE
    outcome = Outcome.HANDLED if acted_on else Outcome.IGNORED
    return Decision(_with(book, episode), outcome, episodes=(episode,), entries=entries)


def _open(book: Book, episode: Episode, alert: Alert, rules: Ladder) -> Decision:
    opened = case_id(book.borrower, alert.id)
    joined = [episode, *(e for e in book.loose() if _joins(e, rules) and e.episode_id != episode.episode_id)]
    held = tuple(replace(e, case_id=opened) for e in joined)
    severity = max((e.severity for e in held), key=lambda s: s.rank)
    at = _time(alert)
    loans = _loans((), alert)
    stage = rules.stage(max((loan.days_past_due for loan in loans), default=0), severity)
    case = Case(
        case_id=opened,
        borrower=book.borrower,
        opening_alert=str(alert.id),
        state=CaseState.OPEN,
        stage=stage,
        needs_approval=stage.hard,
        severity=severity,
        next_step="",
        owner=None,
        due_at=at + rules.due_within(severity),
        opened_at=at,
        changed_at=at,
        closed_at=None,
        closed_as=None,
        version=1,
        loans=loans,
    )
    case = replace(case, next_step=next_step(case, leading(held).first_step, rules))
    entries = (_entry(opened, alert, "case.opened", stage=str(stage), episodes=[e.episode_id for e in held]),)
    return _decided(_with(book, *held, case=case), case, Change.OPENED, held, entries)


def _into_case(book: Book, case: Case, episode: Episode, alert: Alert, rules: Ladder) -> Decision:
    held = episode.case_id == case.case_id
    live = alert.data.mode is Mode.LIVE
    if not held and live and _joins(episode, rules) and episode.is_open:
        episode, held = replace(episode, case_id=case.case_id), True
    if not live and not (held and not episode.is_open):
        return _only_followed(book, episode)
    changed_book = _with(book, episode)
    after = _reassess(replace(case, loans=_loans(case.loans, alert)), changed_book, episode, _time(alert), rules)
    if not held and after == case:
        return Decision(changed_book, Outcome.HANDLED, episodes=(episode,))
    after = replace(after, version=case.version + 1, changed_at=_time(alert))
    entries = tuple(_account(case, after, alert, held=held))
    closed_book = replace(changed_book, case=None if after.closed_at else after)
    return _decided(closed_book, after, _change(case, after), (episode,), entries)


def _only_followed(book: Book, episode: Episode) -> Decision:
    """A detector on trial, or a warm-up: its revision is remembered, an episode that a case holds stays as it was."""
    known = book.episodes.get(episode.episode_id)
    if known is not None and episode.case_id is not None:
        return Decision(book, Outcome.IGNORED)
    return Decision(_with(book, episode), Outcome.IGNORED, episodes=(episode,))


def _joins(episode: Episode, rules: Ladder) -> bool:
    return episode.mode is Mode.LIVE and episode.severity.rank >= rules.attaches_from.rank


def _reassess(case: Case, book: Book, last: Episode, at: datetime, rules: Ladder) -> Case:
    """Where the case stands with the episodes that it now holds."""
    held = book.attached()
    still = [episode for episode in held if episode.is_open]
    if not still:
        return _close(case, held, last, at, rules)
    severity = max((e.severity for e in still), key=lambda s: s.rank)
    stage = rules.stage(case.days_past_due, severity)
    moved = replace(
        case,
        severity=severity,
        stage=stage,
        needs_approval=stage.hard,
    )
    moved = replace(moved, next_step=next_step(moved, leading(still).first_step, rules))
    due = at + rules.due_within(severity)
    if _raised(case, moved):
        return replace(moved, state=_STATE_RAISED.get(case.state, case.state), due_at=min(case.due_at or due, due))
    if _raised(moved, case):
        calmed = CaseState.IN_PROGRESS if case.owner else CaseState.OPEN
        return replace(moved, state=calmed if case.state is CaseState.ESCALATED else case.state, due_at=due)
    return moved


_STATE_RAISED = dict.fromkeys((CaseState.OPEN, CaseState.IN_PROGRESS, CaseState.BROKEN_PROMISE), CaseState.ESCALATED)
"""Promises, hardship and holds are a person's word and stay."""


def _close(case: Case, held: Sequence[Episode], last: Episode, at: datetime, rules: Ladder) -> Case:
    """No episode is open any more. Withdrawn, unless something that deserves a case was true."""
    true = [e for e in held if e.status is AlertStatus.RESOLVED and e.severity.rank >= rules.opens_from.rank]
    state, closed_as = CaseState.CLOSED, "withdrawn"
    if last.status is AlertStatus.RESOLVED:
        state, closed_as = CaseState.RESOLVED, last.resolution or "resolved"
    elif true:
        latest = max(true, key=lambda e: (e.changed_at, e.episode_id))
        state, closed_as = CaseState.RESOLVED, latest.resolution or "resolved"
    return replace(
        case, state=state, closed_as=closed_as, closed_at=at, due_at=None, next_step="", needs_approval=False
    )


def _raised(before: Case, after: Case) -> bool:
    return after.severity.rank > before.severity.rank or after.stage.rank > before.stage.rank


def _change(before: Case, after: Case) -> Change:
    if after.closed_at is not None:
        return Change.WITHDRAWN if after.state is CaseState.CLOSED else Change.RESOLVED
    if _raised(before, after):
        return Change.ESCALATED
    return Change.DE_ESCALATED if _raised(after, before) else Change.UPDATED


def _loans(known: Iterable[CaseLoan], alert: Alert) -> tuple[CaseLoan, ...]:
    """The loans with what the alert says of them. What a loan was later than this alert stays."""
    at = _time(alert)
    loans = {loan.loan: loan for loan in known}
    for position in alert.data.loans:
        before = loans.get(position.loan)
        if before is None or before.as_of <= at:
            loans[position.loan] = CaseLoan(**position.model_dump(include=_OF_LOANS), as_of=at)
    return tuple(loans[name] for name in sorted(loans))


def _account(before: Case, after: Case, alert: Alert, *, held: bool) -> Iterable[Entry]:
    """The audit lines of a change: what was said of the episode, then what that made of the case."""
    if held:
        yield _entry(after.case_id, alert, f"episode.{alert.data.status}")
    changed = _differences(before, after)
    if after.closed_at is not None:
        yield _entry(after.case_id, alert, f"case.{_change(before, after)}", closed_as=after.closed_as, changes=changed)
    elif changed or not held:
        yield _entry(after.case_id, alert, f"case.{_change(before, after)}", changes=changed)


def _differences(before: Case, after: Case) -> dict[str, Any]:
    names = ("state", "stage", "severity", "days_past_due", "due_at", "next_step")
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in names}
    return {name: [_plain(old), _plain(new)] for name, (old, new) in pairs.items() if old != new}


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def _entry(case: str, alert: Alert, action: str, **more: Any) -> Entry:
    return Entry(case, _time(alert), ACTOR, action, {**_quoted(alert.data), **more})


def _quoted(data: AlertData) -> dict[str, Any]:
    return {
        "alert_id": str(data.alert_id),
        "episode_id": str(data.episode_id),
        "detector": data.detector,
        "severity": str(data.severity),
        "step": data.step,
        "revision": data.revision,
        "reason": data.reason,
        **({"resolution": data.resolution} if data.resolution else {}),
    }


def _decided(
    book: Book, case: Case, change: Change, episodes: tuple[Episode, ...], entries: tuple[Entry, ...]
) -> Decision:
    sealed = _sealed(entries, digest(case, book.episodes.values()))
    return Decision(book, Outcome.HANDLED, case=case, change=change, episodes=episodes, entries=sealed)


def _sealed(entries: tuple[Entry, ...], case_digest: str) -> tuple[Entry, ...]:
    return (*entries[:-1], replace(entries[-1], case_digest=case_digest)) if entries else ()


def _note_gap(decision: Decision, missed: int, alert: Alert) -> Decision:
    if missed <= 0:
        return decision
    noted = replace(decision, revisions_missed=missed)
    if decision.case is None:
        return noted
    gap = _entry(decision.case.case_id, alert, "alert.gap", revisions_missed=missed)
    return replace(noted, entries=(gap, *decision.entries))


def _with(book: Book, *changed: Episode, case: Case | None = None) -> Book:
    episodes = {**book.episodes, **{episode.episode_id: episode for episode in changed}}
    return Book(book.borrower, case or book.case, episodes)


def _time(alert: Alert) -> datetime:
    return alert.time.astimezone(UTC)
