"""Rows of cases and of what belongs to them, read page by page. For transactions, lists and the check of the trail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from streams.stores.rows import (
    approval_from,
    case_from,
    episode_from,
    judgement_from,
    loan_from,
    note_from,
    plan_from,
    promise_from,
)
from streams.stores.tables import case_loans, cases, episodes
from streams.stores.work_tables import approvals, notes, outcomes, plans, promises

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from sqlalchemy import Connection, Row, Select, Table

    from streams.stores.case import Case, CaseLoan, Episode
    from streams.stores.work import Approval, Judgement, Note, Plan, Promise

PAGE = 500
"""Values that one IN list holds; far below what any database allows."""


@dataclass(frozen=True, slots=True)
class Work:
    """What people made in a case and its digest vouches for, each by its id."""

    promises: tuple[Promise, ...] = ()
    approvals: tuple[Approval, ...] = ()
    plans: tuple[Plan, ...] = ()


def read_cases(connection: Connection, query: Select[Any]) -> list[Case]:
    """The cases of a query over `cases`, with their loans."""
    rows = connection.execute(query).all()
    loans: dict[str, list[CaseLoan]] = {row.case_id: [] for row in rows}
    for page in pages(loans):
        for row in connection.execute(
            select(case_loans).where(case_loans.c.case_id.in_(page)).order_by(case_loans.c.loan)
        ):
            loans[row.case_id].append(loan_from(row))
    return [case_from(row, tuple(loans[row.case_id])) for row in rows]


def read_episodes(connection: Connection, case_ids: Iterable[str]) -> list[Episode]:
    """The episodes that these cases hold."""
    return [
        episode_from(row)
        for page in pages(case_ids)
        for row in connection.execute(select(episodes).where(episodes.c.case_id.in_(page)))
    ]


def read_work(connection: Connection, case_ids: Sequence[str]) -> dict[str, Work]:
    """What people made in each of these cases."""
    made = _by_case(connection, promises, "promise_id", case_ids, promise_from)
    asked = _by_case(connection, approvals, "approval_id", case_ids, approval_from)
    agreed = _by_case(connection, plans, "plan_id", case_ids, plan_from)
    return {each: Work(tuple(made[each]), tuple(asked[each]), tuple(agreed[each])) for each in case_ids}


def read_notes(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Note]]:
    """What was written on each of these cases, by note id; people read them by time."""
    return _by_case(connection, notes, "note_id", case_ids, note_from)


def read_judgements(connection: Connection, case_ids: Sequence[str]) -> dict[str, list[Judgement]]:
    """What was judged in each of these cases, by episode."""
    return _by_case(connection, outcomes, "episode_id", case_ids, judgement_from)


def _by_case(
    connection: Connection, table: Table, key: str, case_ids: Sequence[str], made: Callable[[Row[Any]], Any]
) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {each: [] for each in case_ids}
    for page in pages(case_ids):
        for row in connection.execute(select(table).where(table.c.case_id.in_(page)).order_by(table.c[key])):
            found[row.case_id].append(made(row))
    return found


def every_case(connection: Connection) -> Iterator[tuple[Case, list[Episode], Work]]:
    """All cases with what their digests vouch for."""
    after = ""
    while True:
        query = select(cases).where(cases.c.case_id > after).order_by(cases.c.case_id).limit(PAGE)
        page = read_cases(connection, query)
        by_case: dict[str, list[Episode]] = {case.case_id: [] for case in page}
        for episode in read_episodes(connection, by_case):
            by_case[episode.case_id or ""].append(episode)
        work = read_work(connection, list(by_case))
        yield from ((case, by_case[case.case_id], work[case.case_id]) for case in page)
        if len(page) < PAGE:
            return
        after = page[-1].case_id


def pages(values: Iterable[str]) -> Iterator[list[str]]:
    """Values in lists that a database takes."""
    every = list(values)
    return (every[start : start + PAGE] for start in range(0, len(every), PAGE))
