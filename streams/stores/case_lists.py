"""Lists of cases and alerts, a page at a time: each page begins after the last row of the one before.

No list counts or skips rows, so the last page of a million cases is as quick as the first. The tables have indexes for
exactly these orders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, func, or_, select, tuple_

from schemas.alerts import Mode, Severity
from streams.stores.audit import head_of
from streams.stores.case import Stage
from streams.stores.case_reading import read_cases
from streams.stores.rows import approval_from, episode_from, plan_from, promise_from
from streams.stores.tables import audit, cases, episodes
from streams.stores.work import ApprovalState
from streams.stores.work_tables import approvals, plans, promises

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Connection, Select

    from streams.stores.case import Case, Episode
    from streams.stores.work import Approval, Plan, Promise

CHANGES_MAX = 1_000
"""Audit lines that one look at what has changed goes through."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of open cases begins: after this case. Without a due time it stands among the paused ones."""

    due_at: datetime | None
    case_id: str


def open_cases(
    connection: Connection, narrowed: Sequence[ColumnElement[bool]], after: Place | None, limit: int
) -> list[Case]:
    """Open cases by when they are due; after them the paused ones. Both databases sort alike: NULL is asked for."""
    found: list[Case] = []
    # A column that is NULL in every row has no part in the order, but PostgreSQL finds the index by it.
    nobodys = [cases.c.owner] if any(one.compare(cases.c.owner.is_(None)) for one in narrowed) else []
    order = (*nobodys, cases.c.due_at, cases.c.case_id)
    here = select(cases).where(cases.c.closed_at.is_(None), *narrowed).order_by(*order).limit(limit)
    if after is None or after.due_at is not None:
        query = here.where(cases.c.due_at.isnot(None))
        if after is not None:
            query = query.where(tuple_(cases.c.due_at, cases.c.case_id) > tuple_(after.due_at, after.case_id))
        found = read_cases(connection, query)
    if len(found) < limit:
        query = here.where(cases.c.due_at.is_(None)).limit(limit - len(found))
        if after is not None and after.due_at is None:
            query = query.where(cases.c.case_id > after.case_id)
        found += read_cases(connection, query)
    return found


def ended_cases(
    connection: Connection,
    narrowed: Sequence[ColumnElement[bool]],
    after: tuple[datetime, str] | None,
    limit: int,
) -> list[Case]:
    """Cases that have ended, the latest first."""
    query = select(cases).where(cases.c.closed_at.isnot(None), *narrowed)
    if after is not None:
        query = query.where(tuple_(cases.c.closed_at, cases.c.case_id) < tuple_(*after))
    return read_cases(connection, query.order_by(cases.c.closed_at.desc(), cases.c.case_id.desc()).limit(limit))


def narrowing(**wanted: Any) -> list[ColumnElement[bool]]:
    """Conditions on columns of `cases`; what is None narrows nothing, an empty owner is nobody."""
    return [
        cases.c[name].is_(None) if name == "owner" and value == "" else cases.c[name] == value
        for name, value in wanted.items()
        if value is not None
    ]


def overdue(now: datetime) -> ColumnElement[bool]:
    """Cases whose time to act has run out."""
    return cases.c.due_at <= now


@dataclass(frozen=True, slots=True)
class Row:
    """Where a page of the inbox begins: after this episode."""

    severity: Severity
    changed_at: datetime
    episode_id: str


def open_episodes(
    connection: Connection,
    *,
    severities: Sequence[Severity],
    detector: str | None,
    in_case: bool | None,
    after: Row | None,
    limit: int,
) -> list[Episode]:
    """Open episodes of live detectors: severity by severity, in each the latest first."""
    found: list[Episode] = []
    for severity in severities:
        if after is not None and severity.rank > after.severity.rank:
            continue
        query = _inbox(severity, detector, in_case)
        if after is not None and severity is after.severity:
            place = tuple_(episodes.c.changed_at, episodes.c.episode_id)
            query = query.where(place < tuple_(after.changed_at, after.episode_id))
        found += map(episode_from, connection.execute(query.limit(limit - len(found))))
        if len(found) >= limit:
            break
    return found


def _inbox(severity: Severity, detector: str | None, in_case: bool | None) -> Select[Any]:  # noqa: FBT001 - a filter
    """An episode that a case held when it was ended by hand stands here only as what became of it since."""
    held = cases.c.case_id == episodes.c.case_id
    query = (
        select(episodes)
        .select_from(episodes.outerjoin(cases, held))
        .where(
            episodes.c.status.in_(("opened", "escalated")),
            episodes.c.severity == severity.value,
            episodes.c.mode == Mode.LIVE.value,
            or_(episodes.c.case_id == "", cases.c.closed_at.is_(None)),
        )
        .order_by(episodes.c.changed_at.desc(), episodes.c.episode_id.desc())
    )
    if detector is not None:
        query = query.where(episodes.c.detector == detector)
    if in_case is not None:
        query = query.where(episodes.c.case_id != "" if in_case else episodes.c.case_id == "")
    return query


def by_stage(connection: Connection) -> dict[Stage, int]:
    """How many cases are open at each stage."""
    query = select(cases.c.stage, func.count()).where(cases.c.closed_at.is_(None)).group_by(cases.c.stage)
    return {Stage(stage): number for stage, number in connection.execute(query)}


def waiting_approvals(connection: Connection, limit: int) -> list[Approval]:
    """Requests of open cases that nobody has decided, the oldest first."""
    query = (
        select(approvals)
        .join(cases, cases.c.case_id == approvals.c.case_id)
        .where(and_(approvals.c.state == ApprovalState.REQUESTED.value, cases.c.closed_at.is_(None)))
        .order_by(approvals.c.requested_at, approvals.c.approval_id)
        .limit(limit)
    )
    return [approval_from(row) for row in connection.execute(query)]


def of_borrower(connection: Connection, borrower: str) -> tuple[list[Case], list[Episode], list[Promise], list[Plan]]:
    """Everything in cases about a borrower: cases the latest first, of each episode its latest revision."""
    found = read_cases(
        connection,
        select(cases).where(cases.c.borrower == borrower).order_by(cases.c.opened_at.desc(), cases.c.case_id),
    )
    latest: dict[str, Episode] = {}
    for row in connection.execute(
        select(episodes).where(episodes.c.borrower == borrower).order_by(episodes.c.revision)
    ):
        latest[row.episode_id] = episode_from(row)
    made = select(promises).where(promises.c.borrower == borrower).order_by(promises.c.made_at, promises.c.promise_id)
    agreed = select(plans).where(plans.c.borrower == borrower).order_by(plans.c.agreed_at, plans.c.plan_id)
    return (
        found,
        sorted(latest.values(), key=lambda e: (e.opened_at, e.episode_id)),
        [promise_from(row) for row in connection.execute(made)],
        [plan_from(row) for row in connection.execute(agreed)],
    )


def changed_since(connection: Connection, number: int) -> tuple[int, list[str]]:
    """The last audit line, and the cases that lines after `number` are about; at most the first `CHANGES_MAX` lines."""
    head = head_of(connection).number
    if number >= head:
        return head, []
    lines = (
        select(audit.c.number, audit.c.case_id)
        .where(audit.c.number > number)
        .order_by(audit.c.number)
        .limit(CHANGES_MAX)
    )
    rows = connection.execute(lines).all()
    last = rows[-1].number if len(rows) == CHANGES_MAX else head
    return last, sorted({row.case_id for row in rows if row.case_id})
