"""Reading and writing cases. A `CaseTransaction` moves cases, audit lines and offset together or not at all."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, or_, select

from schemas.alerts import AlertStatus
from streams.stores import audit as trail
from streams.stores import offsets
from streams.stores.case import Book, Case, digest, of_case
from streams.stores.rows import case_from, case_row, episode_from, episode_row, loan_from
from streams.stores.tables import applied_alerts, case_loans, cases, episodes
from streams.stores.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sqlalchemy import Connection, Select

    from streams.stores.case import AuditLine, CaseLoan, CaseState, Changes, Episode, Stage
    from streams.stores.database import Database

CONSUMER = "case_creator"
OPEN_STATUSES = (AlertStatus.OPENED, AlertStatus.ESCALATED)
PAGE = 500
"""Values that one IN list holds; far below what any database allows."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with all that belongs to it."""

    case: Case
    episodes: tuple[Episode, ...]
    history: tuple[AuditLine, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: the sentences (none if all is well), and where the chain ends."""

    faults: tuple[str, ...]
    cases: int
    head: trail.Head


class CaseTransaction:
    """The reads and writes of one transaction. Comes from `CaseStore.begin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, topic: str, partition: int, *, start: int, end: int) -> None:
        """Move the consumed offset; call it first. Raises OffsetMovedError."""
        offsets.advance(self._connection, CONSUMER, topic, partition, start=start, end=end)

    def applied(self, alert_ids: Collection[str]) -> set[str]:
        """Those of the alerts that were taken up before."""
        column = applied_alerts.c.alert_id
        return {
            i for page in _pages(alert_ids) for i in self._connection.scalars(select(column).where(column.in_(page)))
        }

    def books(self, borrowers: Collection[str], episode_ids: Collection[str]) -> dict[str, Book]:
        """The book of each borrower: the open case, its episodes, loose open ones, those of `episode_ids`."""
        held = {case.borrower: case for case in self._open_cases(borrowers)}
        latest: dict[str, dict[str, Episode]] = {borrower: {} for borrower in borrowers}
        for episode in self._episodes(borrowers, episode_ids, [case.case_id for case in held.values()]):
            known = latest.setdefault(episode.borrower, {}).get(episode.episode_id)
            if known is None or (episode.revision, episode.case_id or "") > (known.revision, known.case_id or ""):
                latest[episode.borrower][episode.episode_id] = episode
        return {borrower: Book(borrower, held.get(borrower), latest[borrower]) for borrower in borrowers}

    def save(self, changes: Changes) -> None:
        """Write cases, episodes, audit lines and applied alerts."""
        upsert(self._connection, cases, [case_row(case) for case in changes.cases.values()])
        for page in _pages(changes.cases):
            self._connection.execute(delete(case_loans).where(case_loans.c.case_id.in_(page)))
        loans = [{"case_id": case.case_id, **asdict(loan)} for case in changes.cases.values() for loan in case.loans]
        upsert(self._connection, case_loans, loans)
        for page in _pages(changes.attached):
            loose = (episodes.c.episode_id.in_(page), episodes.c.case_id == "")
            self._connection.execute(delete(episodes).where(*loose))
        upsert(self._connection, episodes, [episode_row(episode) for episode in changes.episodes.values()])
        if changes.applied:
            self._connection.execute(applied_alerts.insert(), [asdict(alert) for alert in changes.applied])
        trail.append(self._connection, changes.entries)

    def _open_cases(self, borrowers: Collection[str]) -> Iterator[Case]:
        for page in _pages(borrowers):
            query = select(cases).where(cases.c.borrower.in_(page), cases.c.closed_at.is_(None))
            yield from _read_cases(self._connection, query)

    def _episodes(
        self, borrowers: Collection[str], episode_ids: Collection[str], case_ids: Collection[str]
    ) -> Iterator[Episode]:
        wanted = (
            *(episodes.c.borrower.in_(page) & episodes.c.status.in_(OPEN_STATUSES) for page in _pages(borrowers)),
            *(episodes.c.episode_id.in_(page) for page in _pages(episode_ids)),
            *(episodes.c.case_id.in_(page) for page in _pages(case_ids)),
        )
        for condition in wanted:
            yield from map(episode_from, self._connection.execute(select(episodes).where(condition)))


class CaseStore:
    """Cases in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def begin(self) -> Iterator[CaseTransaction]:
        """One transaction, committed at the end. Raises Unavailable, and then nothing was written."""
        with self.database.write() as connection:
            yield CaseTransaction(connection)

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition of the alerts topic."""
        with self.database.read() as connection:
            return offsets.positions(connection, CONSUMER, topic)

    def listed(self, *, state: CaseState | None = None, stage: Stage | None = None, limit: int = 50) -> list[Case]:
        """Cases, the most urgent first: open ones by due time, then closed ones, the latest first."""
        query = select(cases).order_by(
            cases.c.closed_at.isnot(None), cases.c.due_at, cases.c.closed_at.desc(), cases.c.case_id
        )
        if state is not None:
            query = query.where(cases.c.state == state)
        if stage is not None:
            query = query.where(cases.c.stage == stage)
        with self.database.read() as connection:
            return _read_cases(connection, query.limit(limit))

    def files_of(self, case_or_borrower: str) -> list[CaseFile]:
        """The case of that id, or every case of that borrower, the latest first."""
        query = select(cases).where(or_(cases.c.case_id == case_or_borrower, cases.c.borrower == case_or_borrower))
        with self.database.read() as connection:
            found = _read_cases(connection, query.order_by(cases.c.opened_at.desc(), cases.c.case_id))
            held = _read_episodes(connection, [case.case_id for case in found])
            return [
                CaseFile(case, tuple(of_case(case.case_id, held)), tuple(trail.lines_of(connection, case.case_id)))
                for case in found
            ]

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of cases by state and stage."""
        query = select(cases.c.state, cases.c.stage, func.count()).group_by(cases.c.state, cases.c.stage)
        with self.database.read() as connection:
            return {(state, stage): number for state, stage, number in connection.execute(query)}

    def verify(self) -> Verdict:
        """Check every line of the audit trail, and every case against the trail."""
        with self.database.read() as connection:
            digests: dict[str, str] = {}
            faults = list(trail.verify(connection, digests))
            checked = 0
            for case, held in _all(connection):
                checked += 1
                if digests.pop(case.case_id, None) != digest(case, held):
                    faults.append(f"case {case.case_id} is not as the audit trail left it")
            faults += [f"case {case_id} of the audit trail is gone" for case_id in digests]
            return Verdict(tuple(faults), checked, trail.head_of(connection))


def _all(connection: Connection) -> Iterator[tuple[Case, list[Episode]]]:
    after = ""
    while True:
        page = _read_cases(
            connection, select(cases).where(cases.c.case_id > after).order_by(cases.c.case_id).limit(PAGE)
        )
        held = _read_episodes(connection, [case.case_id for case in page])
        by_case: dict[str, list[Episode]] = {}
        for episode in held:
            by_case.setdefault(episode.case_id or "", []).append(episode)
        yield from ((case, by_case.get(case.case_id, [])) for case in page)
        if len(page) < PAGE:
            return
        after = page[-1].case_id


def _read_cases(connection: Connection, query: Select[Any]) -> list[Case]:
    rows = connection.execute(query).all()
    loans: dict[str, list[CaseLoan]] = {row.case_id: [] for row in rows}
    for page in _pages(loans):
        for row in connection.execute(
            select(case_loans).where(case_loans.c.case_id.in_(page)).order_by(case_loans.c.loan)
        ):
            loans[row.case_id].append(loan_from(row))
    return [case_from(row, tuple(loans[row.case_id])) for row in rows]


def _read_episodes(connection: Connection, case_ids: Sequence[str]) -> list[Episode]:
    return [
        episode_from(row)
        for page in _pages(case_ids)
        for row in connection.execute(select(episodes).where(episodes.c.case_id.in_(page)))
    ]


def _pages(values: Iterable[str]) -> Iterator[list[str]]:
    every = list(values)
    return (every[start : start + PAGE] for start in range(0, len(every), PAGE))
