"""Reading and writing cases. A `CaseTransaction` moves cases, audit lines, events and offset together or not at all.

The open cases that a transaction reads are locked until its end, in the order of their ids: what an alert, a person and
time do to one case at the same moment is done one after the other, each on what the one before left.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from sqlalchemy import and_, delete, func, or_, select, true
from sqlalchemy import case as where_case
from sqlalchemy.exc import IntegrityError

from streams.errors import NotFound, Unavailable
from streams.stores import audit as trail
from streams.stores import offsets, outbox
from streams.stores.case import Book, Case, Episode, digest, of_case
from streams.stores.case_books import CaseBooks
from streams.stores.case_reading import (
    Work,
    every_case,
    pages,
    read_cases,
    read_episodes,
    read_judgements,
    read_notes,
    read_work,
)
from streams.stores.outcomes import OutcomeTransaction
from streams.stores.rows import case_row, episode_row, plan_row, work_row
from streams.stores.tables import applied_alerts, case_loans, cases, episodes
from streams.stores.upsert import upsert
from streams.stores.work_tables import accounts, approvals, notes, plans, promises

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from sqlalchemy import ColumnElement, Connection

    from streams.stores.case import AuditLine, CaseState, Changes, Stage
    from streams.stores.database import Database
    from streams.stores.work import Approval, Judgement, Note, Plan, Promise

CONSUMER = "case_creator"
ONE_OPEN = "uq_cases_open_borrower"
"""The index that keeps one open case per borrower."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    """A case with all that belongs to it."""

    case: Case
    episodes: tuple[Episode, ...]
    history: tuple[AuditLine, ...]
    promises: tuple[Promise, ...] = ()
    approvals: tuple[Approval, ...] = ()
    plans: tuple[Plan, ...] = ()
    notes: tuple[Note, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    """All of them the oldest first."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `verify` found: the sentences (none if all is well), and where the chain ends."""

    faults: tuple[str, ...]
    cases: int
    head: trail.Head


class CaseTransaction(CaseBooks):
    """The reads and writes of one transaction, with a lock on what is read. Comes from `CaseStore.begin`."""

    locks = True

    def advance(self, topic: str, partition: int, *, start: int, end: int) -> None:
        """Move the consumed offset; call it first. Raises OffsetMovedError."""
        offsets.advance(self.connection, CONSUMER, topic, partition, start=start, end=end)

    def applied(self, alert_ids: Collection[str]) -> set[str]:
        """Those of the alerts that were taken up before."""
        column = applied_alerts.c.alert_id
        return {i for page in pages(alert_ids) for i in self.connection.scalars(select(column).where(column.in_(page)))}

    def file(self, case_id: str) -> CaseFile:
        """A case with all that belongs to it, as it is within this transaction. Raises NotFound."""
        return _file_of(self.connection, case_id)

    def file_of(self, book: Book) -> CaseFile:
        """The case of a book that was just written, with all that belongs to it."""
        assert book.case is not None
        work = {book.case.case_id: Work(book.promises, book.approvals, book.plans)}
        return _files(self.connection, [book.case], book.attached(), work)[0]

    def staff(self) -> dict[str, int]:
        """The collectors who take cases, each with the number of their open ones."""
        held = select(func.count()).where(cases.c.owner == accounts.c.account, cases.c.closed_at.is_(None))
        query = select(accounts.c.account, held.scalar_subquery().label("number")).where(_takes_cases())
        return {row.account: row.number for row in self.connection.execute(query)}

    def takers(self) -> dict[str, int]:
        """The same, uncounted: for who knows already whom to give a case to. Counting goes through every open case."""
        query = select(accounts.c.account).where(_takes_cases())
        return dict.fromkeys(self.connection.scalars(query), 0)

    def save(self, changes: Changes) -> None:
        """Write cases, episodes, what people made, audit lines, applied alerts and events that wait."""
        upsert(self.connection, cases, [case_row(case) for case in changes.cases.values()])
        with_loans = {case_id: case for case_id, case in changes.cases.items() if case_id not in changes.same_loans}
        for page in pages(with_loans):
            self.connection.execute(delete(case_loans).where(case_loans.c.case_id.in_(page)))
        loans = [{"case_id": case.case_id, **asdict(loan)} for case in with_loans.values() for loan in case.loans]
        upsert(self.connection, case_loans, loans)
        for page in pages(changes.attached):
            loose = (episodes.c.episode_id.in_(page), episodes.c.case_id == "")
            self.connection.execute(delete(episodes).where(*loose))
        upsert(self.connection, episodes, [episode_row(episode) for episode in changes.episodes.values()])
        self._save_work(changes)
        if changes.applied:
            self.connection.execute(applied_alerts.insert(), [asdict(alert) for alert in changes.applied])
        trail.append(self.connection, changes.entries)
        outbox.add(self.connection, changes.outgoing)

    def _save_work(self, changes: Changes) -> None:
        upsert(self.connection, promises, [work_row(promise) for promise in changes.promises.values()])
        upsert(self.connection, approvals, [work_row(approval) for approval in changes.approvals.values()])
        upsert(self.connection, plans, [plan_row(plan) for plan in changes.plans.values()])
        upsert(self.connection, notes, [work_row(note) for note in changes.notes.values()])
        OutcomeTransaction(self.connection).keep(list(changes.judgements.values()))


def _takes_cases() -> ColumnElement[bool]:
    return and_(accounts.c.role == "collector", accounts.c.takes_cases == true(), accounts.c.revoked_at.is_(None))


class CaseStore:
    """Cases in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def begin(self) -> Iterator[CaseTransaction]:
        """One transaction, committed at the end. Raises Unavailable, and then nothing was written."""
        try:
            with self.database.write() as connection:
                yield CaseTransaction(connection)
        except IntegrityError as clash:
            if ONE_OPEN not in str(clash.orig) and "cases.borrower" not in str(clash.orig):
                raise
            raise Unavailable("a case of the same borrower was opened at the same moment: try again") from clash

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
            return read_cases(connection, query.limit(limit))

    def files_of(self, case_or_borrower: str) -> list[CaseFile]:
        """The case of that id, or every case of that borrower, the latest first."""
        query = select(cases).where(or_(cases.c.case_id == case_or_borrower, cases.c.borrower == case_or_borrower))
        with self.database.read() as connection:
            return files(connection, read_cases(connection, query.order_by(cases.c.opened_at.desc(), cases.c.case_id)))

    def file(self, case_id: str) -> CaseFile:
        """A case with all that belongs to it. Raises NotFound."""
        with self.database.read() as connection:
            return _file_of(connection, case_id)

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of cases by state and stage."""
        query = select(cases.c.state, cases.c.stage, func.count()).group_by(cases.c.state, cases.c.stage)
        with self.database.read() as connection:
            return {(state, stage): number for state, stage, number in connection.execute(query)}

    def clocks(self) -> dict[tuple[str, str], int]:
        """Number of open cases by stage and by how their time to act stands: running, breached, paused."""
        stands = where_case(
            (cases.c.sla_left_seconds.isnot(None), "paused"),
            (cases.c.breached_at.isnot(None), "breached"),
            else_="running",
        ).label("stands")
        query = select(cases.c.stage, stands, func.count()).where(cases.c.closed_at.is_(None))
        with self.database.read() as connection:
            rows = connection.execute(query.group_by(cases.c.stage, stands))
            return {(stage, clock): number for stage, clock, number in rows}

    def unowned(self, limit: int) -> list[str]:
        """Borrowers whose open case nobody has, the most urgent first."""
        query = select(cases.c.borrower).where(cases.c.owner.is_(None), cases.c.closed_at.is_(None))
        with self.database.read() as connection:
            return list(connection.scalars(query.order_by(cases.c.due_at, cases.c.case_id).limit(limit)))

    def verify(self) -> Verdict:
        """Check every line of the audit trail, and every case and note against the trail."""
        with self.database.read() as connection:
            vouched = trail.Vouched()
            faults = list(trail.verify(connection, vouched))
            checked = 0
            for case, held, work in every_case(connection):
                checked += 1
                found = digest(case, held, work.promises, work.approvals, work.plans)
                if vouched.cases.pop(case.case_id, None) != found:
                    faults.append(f"case {case.case_id} is not as the audit trail left it")
            faults += [f"case {case_id} of the audit trail is gone" for case_id in vouched.cases]
            faults += trail.verify_notes(connection, vouched)
            return Verdict(tuple(faults), checked, trail.head_of(connection))


def files(connection: Connection, found: Iterable[Case]) -> list[CaseFile]:
    """These cases with all that belongs to them."""
    every = list(found)
    case_ids = [case.case_id for case in every]
    return _files(connection, every, read_episodes(connection, case_ids), read_work(connection, case_ids))


def _files(connection: Connection, every: list[Case], held: list[Episode], work: Mapping[str, Work]) -> list[CaseFile]:
    """With what stands beside a case and no digest vouches for: the history, notes, judgements."""
    case_ids = [case.case_id for case in every]
    written, judged = read_notes(connection, case_ids), read_judgements(connection, case_ids)
    return [
        CaseFile(
            case,
            tuple(of_case(case.case_id, held)),
            tuple(trail.lines_of(connection, case.case_id)),
            promises=tuple(sorted(work[case.case_id].promises, key=lambda p: (p.made_at, p.promise_id))),
            approvals=tuple(sorted(work[case.case_id].approvals, key=lambda a: (a.requested_at, a.approval_id))),
            plans=tuple(sorted(work[case.case_id].plans, key=lambda p: (p.agreed_at, p.plan_id))),
            notes=tuple(sorted(written[case.case_id], key=lambda n: (n.at, n.note_id))),
            judgements=tuple(sorted(judged[case.case_id], key=lambda j: (j.decided_at, j.episode_id))),
        )
        for case in every
    ]


def _file_of(connection: Connection, case_id: str) -> CaseFile:
    found = files(connection, read_cases(connection, select(cases).where(cases.c.case_id == case_id)))
    if not found:
        raise NotFound("there is no such case")
    return found[0]
