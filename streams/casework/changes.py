"""What a change to a case is, whoever made it: an alert, a person or time. Written by `CaseTransaction.save`."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from streams.stores.case import digest

if TYPE_CHECKING:
    from datetime import datetime

    from streams.stores.case import Book, Case, Changes, Entry, Episode
    from streams.stores.work import Approval, Judgement, Note, Outgoing, Plan, Promise

WORK = UUID("7d4c1f0a-93b6-5e5d-8a2f-2b1c0e9d7f44")
"""The namespace of the ids of what is done to cases. Changing it would make every promise and plan new."""


class Change(StrEnum):
    """What was done to a case, as `ews_case_changes_total` counts it."""

    OPENED = "opened"
    UPDATED = "updated"
    ESCALATED = "escalated"
    DE_ESCALATED = "de_escalated"
    WITHDRAWN = "withdrawn"
    RESOLVED = "resolved"
    WORKED = "worked"
    CLOSED = "closed"
    REOPENED = "reopened"
    RESUMED = "resumed"
    BREACHED = "breached"
    ASSIGNED = "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class Acted:
    """What a person or time changes. `book` is what the next change sees, the rest is what is to be written."""

    book: Book
    case: Case
    change: Change
    entries: tuple[Entry, ...]
    episodes: tuple[Episode, ...] = ()
    promises: tuple[Promise, ...] = ()
    approvals: tuple[Approval, ...] = ()
    plans: tuple[Plan, ...] = ()
    notes: tuple[Note, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    outgoing: tuple[Outgoing, ...] = ()


def derived(case: Case, kind: str, *more: str) -> str:
    """An id for what this change of the case makes: the case's id and version, so a second try makes the same."""
    return str(uuid5(WORK, "\x1f".join([case.case_id, str(case.version), kind, *more])))


def hashed(text: str) -> str:
    """SHA-256 of a text, which is all of it that the audit trail keeps."""
    return hashlib.sha256(text.encode()).hexdigest()


def moved(book: Book, case: Case, at: datetime) -> Book:
    """The book with the case as the next version of itself."""
    assert book.case is not None
    return replace(book, case=replace(case, version=book.case.version + 1, changed_at=at))


def sealed(book: Book, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """The lines of a change, the last one with the digest of the case as it now is."""
    assert book.case is not None
    assert entries
    vouched = digest(book.case, book.episodes.values(), book.promises, book.approvals, book.plans)
    return (*entries[:-1], replace(entries[-1], case_digest=vouched))


def with_promises(book: Book, *changed: Promise) -> Book:
    """The book with these promises as they now are."""
    every = {promise.promise_id: promise for promise in (*book.promises, *changed)}
    return replace(book, promises=tuple(every[each] for each in sorted(every)))


def differences(before: Case, after: Case) -> dict[str, Any]:
    """What an audit line says of a change: each field that matters to a person, before and after."""
    pairs = {name: (getattr(before, name), getattr(after, name)) for name in _TOLD}
    return {name: [_plain(old), _plain(new)] for name, (old, new) in pairs.items() if old != new}


_TOLD = (
    "state", "stage", "severity", "days_past_due", "due_at", "next_step", "owner", "tier", "stance", "approved_stage",
    "sla_left_seconds", "resume_at", "breached_at", "outcome", "deceased", "hardship_granted",
)  # fmt: skip


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int) else str(value)


def gather(changes: Changes, acted: Acted) -> None:
    """Add a change by a person or by time to those that are written together. No loan changes by it."""
    if acted.case.case_id not in changes.cases:
        changes.same_loans.add(acted.case.case_id)
    changes.cases[acted.case.case_id] = acted.case
    for episode in acted.episodes:
        changes.add_episode(episode)
    changes.promises.update({promise.promise_id: promise for promise in acted.promises})
    changes.approvals.update({approval.approval_id: approval for approval in acted.approvals})
    changes.plans.update({plan.plan_id: plan for plan in acted.plans})
    changes.notes.update({note.note_id: note for note in acted.notes})
    changes.judgements.update({judgement.episode_id: judgement for judgement in acted.judgements})
    changes.entries.extend(acted.entries)
    changes.outgoing.extend(acted.outgoing)
