"""Who gets a case: the collector with the fewest open ones, and of several with as few the first by name."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from streams.casework.changes import Acted, Change, differences, moved, sealed
from streams.casework.sla import CLOCKWORK
from streams.stores.case import CaseState, Entry

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from streams.stores.case import Book, Case


def least_loaded(staff: Mapping[str, int], *, besides: str | None = None) -> str | None:
    """The account with the fewest open cases; None if there is nobody. `staff` counts those of each collector."""
    others = [account for account in staff if account != besides]
    return min(others, key=lambda account: (staff[account], account), default=None)


def owned(case: Case, account: str) -> Case:
    """The case as somebody's work. What is paused or escalated stays so."""
    state = CaseState.IN_PROGRESS if case.state is CaseState.OPEN else case.state
    return replace(case, owner=account, state=state)


def handed_out(book: Book, staff: Mapping[str, int], now: datetime) -> Acted | None:
    """An open case that nobody has, given to the least loaded. None if somebody has it or nobody takes cases."""
    case, account = book.case, least_loaded(staff)
    if case is None or case.closed_at is not None or case.owner is not None or account is None:
        return None
    # It waits for the new owner as it waited before: the state says that nobody has begun.
    book = moved(book, replace(case, owner=account), now)
    assert book.case is not None
    detail = {"to": account, "changes": differences(case, book.case)}
    entries = sealed(book, (Entry(case.case_id, now, CLOCKWORK, "case.assigned", detail),))
    return Acted(book=book, case=book.case, change=Change.ASSIGNED, entries=entries)
