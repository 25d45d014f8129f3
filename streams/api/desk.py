"""The desk: what people ask about cases and do to them. HTTP, the console and the command line all go through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from schemas.alerts import Severity
from schemas.outcomes import Verdict
from streams.api import cursors
from streams.api.contacts_made import count
from streams.casework.acting import act
from streams.casework.actions import Assign
from streams.casework.changes import gather
from streams.casework.facts import traced
from streams.errors import Conflict, NotFound, Stale
from streams.stores import case_lists as lists
from streams.stores import requests
from streams.stores.case import Changes, Stage
from streams.stores.cases import CaseStore
from streams.stores.contact_log import ContactLog
from streams.stores.outcomes import OutcomeStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.casework.actions import Action
    from streams.casework.contact import PastContact
    from streams.casework.ladder import Ladder
    from streams.casework.roles import Actor
    from streams.stores.case import AuditLine, Case, CaseState, Episode
    from streams.stores.cases import CaseFile as StoredFile
    from streams.stores.cases import CaseTransaction
    from streams.stores.contact_log import PastRefusal
    from streams.stores.database import Database
    from streams.stores.work import Approval, Judgement, Note, Plan, Promise

Item = TypeVar("Item")
PAGE_DEFAULT = 50
PAGE_MAX = 500
CONTACTS_SHOWN = timedelta(days=400)
"""How far back a borrower's file shows contacts: as long as bureau events are taken."""


class Answered(Conflict):
    """A request with this idempotency key was answered in the meantime: its answer is kept, and nothing was done."""


@dataclass(frozen=True, slots=True)
class Reply:
    """How a request's answer is kept, so that the same request again is answered alike and done once.

    `render` makes (status, body, ETag) of the case as the action left it; it runs inside the transaction.
    """

    account: str
    key: str
    fingerprint: str
    render: Callable[[CaseFile], tuple[int, str, str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFile:
    """A case with all that belongs to it; lists of what was done have the oldest first."""

    case: Case
    episodes: tuple[Episode, ...] = ()
    history: tuple[AuditLine, ...] = ()
    promises: tuple[Promise, ...] = ()
    approvals: tuple[Approval, ...] = ()
    plans: tuple[Plan, ...] = ()
    notes: tuple[Note, ...] = ()
    judgements: tuple[Judgement, ...] = ()
    contacts: tuple[PastContact, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseQuery:
    """Which cases, in which order. What is None narrows nothing."""

    state: CaseState | None = None
    stage: Stage | None = None
    owner: str | None = None
    """An account; empty for cases that nobody has."""
    tier: str | None = None
    severity: Severity | None = None
    borrower: str | None = None
    overdue_only: bool = False
    """Only cases whose time to act has run out."""
    closed: bool = False
    """The ended ones instead of the open ones."""
    cursor: str | None = None
    limit: int = PAGE_DEFAULT


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxQuery:
    """Which open episodes. What is None narrows nothing."""

    severity: Severity | None = None
    detector: str | None = None
    in_case: bool | None = None
    """Only those that a case holds (or holds not)."""
    cursor: str | None = None
    limit: int = PAGE_DEFAULT


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list, and where the next ones begin; None at the end."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One stage of the board: how many open cases, and the most urgent of them."""

    count: int
    cases: tuple[Case, ...]


@dataclass(frozen=True, slots=True)
class Precision:
    """How right a detector's alerts were, as people judged them."""

    detector: str
    confirmed_risk: int
    valuable_alert: int
    false_positive: int

    @property
    def precision(self) -> float:
        """The share that was worth raising."""
        true = self.confirmed_risk + self.valuable_alert
        return true / (true + self.false_positive)


@dataclass(frozen=True, slots=True, kw_only=True)
class BorrowerFile:
    """All that is known of a borrower besides how to reach them."""

    borrower: str
    cases: tuple[Case, ...] = ()
    """The latest first."""
    episodes: tuple[Episode, ...] = ()
    promises: tuple[Promise, ...] = ()
    plans: tuple[Plan, ...] = ()
    contacts: tuple[PastContact, ...] = ()
    refusals: tuple[PastRefusal, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """The use cases. `now` gives the time of what people do."""

    database: Database
    ladder: Ladder
    now: Callable[[], datetime] = field(kw_only=True)

    def act(
        self,
        case_id: str,
        action: Action,
        actor: Actor,
        *,
        version: int | None,
        reply: Reply | None = None,
        traceparent: str | None = None,
    ) -> CaseFile:
        """Do it, in one transaction. Raises NotFound, NotAllowed, Conflict, Stale (another version) or Unavailable.

        `traceparent` is the trace that it belongs to, for the events that are published because of it.
        """
        now = self.now()
        with CaseStore(self.database).begin() as transaction:
            if reply is not None:
                self._claim(transaction, reply, now)
            book = transaction.book_of(case_id)
            assert book.case is not None
            if version is not None and version != book.case.version:
                raise Stale(f"the case is at version {book.case.version} by now: read it again")
            staff = _staff(transaction, action)
            changes = Changes()
            acted = act(book, action, actor, now, self.ladder, staff=staff)
            gather(changes, acted)
            changes.outgoing = [traced(each, traceparent) for each in changes.outgoing]
            transaction.save(changes)
            count(transaction.connection, changes.outgoing)
            file = self._whole(transaction.file_of(acted.book), transaction.connection)
            if reply is not None:
                self._finish(transaction, reply, file)
            return file

    def case(self, case_id: str) -> CaseFile:
        """A case with everything. Raises NotFound."""
        return self._whole(CaseStore(self.database).file(case_id))

    def cases(self, query: CaseQuery) -> Page[Case]:
        """Open cases by when they are due (paused ones last), or ended ones, the latest first. Raises Rejected."""
        limit = min(max(query.limit, 1), PAGE_MAX)
        narrowed = lists.narrowing(
            state=query.state and query.state.value,
            stage=query.stage and query.stage.value,
            owner=query.owner,
            tier=query.tier,
            severity=query.severity and query.severity.value,
            borrower=query.borrower,
        )
        if query.overdue_only:
            narrowed.append(lists.overdue(self.now()))
        with self.database.read() as connection:
            if query.closed:
                ended = lists.ended_cases(connection, narrowed, cursors.ended(query.cursor), limit + 1)
                return _page(ended, limit, cursors.of_ended)
            found = lists.open_cases(connection, narrowed, cursors.place(query.cursor), limit + 1)
            return _page(found, limit, cursors.of_open)

    def inbox(self, query: InboxQuery) -> Page[Episode]:
        """Open episodes, the most severe first, then the latest. Raises Rejected for a cursor of something else."""
        limit = min(max(query.limit, 1), PAGE_MAX)
        severities = [query.severity] if query.severity else sorted(Severity, key=lambda each: -each.rank)
        with self.database.read() as connection:
            found = lists.open_episodes(
                connection,
                severities=severities,
                detector=query.detector,
                in_case=query.in_case,
                after=cursors.row(query.cursor),
                limit=limit + 1,
            )
        return _page(found, limit, cursors.of_episode)

    def board(self, limit_per_stage: int = 20) -> Mapping[Stage, Column]:
        """The open cases by stage."""
        with self.database.read() as connection:
            counts = lists.by_stage(connection)
            return {
                stage: Column(
                    counts.get(stage, 0),
                    tuple(lists.open_cases(connection, lists.narrowing(stage=stage.value), None, limit_per_stage))
                    if limit_per_stage and counts.get(stage)
                    else (),
                )
                for stage in Stage
            }

    def approvals(self) -> list[Approval]:
        """Requests for hard steps that wait for a supervisor, the oldest first."""
        with self.database.read() as connection:
            return lists.waiting_approvals(connection, PAGE_MAX)

    def precision(self) -> list[Precision]:
        """The live precision of each detector that somebody has judged."""
        return [
            Precision(detector, *(verdicts.get(verdict.value, 0) for verdict in Verdict))
            for detector, verdicts in OutcomeStore(self.database).counts().items()
        ]

    def borrower(self, token: str) -> BorrowerFile:
        """All about a borrower. Raises NotFound."""
        with self.database.read() as connection:
            cases, episodes, promises, plans = lists.of_borrower(connection, token)
        if not cases and not episodes:
            raise NotFound("there is no borrower of that token with an alert or a case")
        log = ContactLog(self.database)
        return BorrowerFile(
            borrower=token,
            cases=tuple(cases),
            episodes=tuple(episodes),
            promises=tuple(promises),
            plans=tuple(plans),
            contacts=tuple(log.past(token, self.now() - CONTACTS_SHOWN)),
            refusals=tuple(log.refusals(token)),
        )

    def changes_since(self, number: int) -> tuple[int, list[str]]:
        """The number of the last audit line, and the cases that lines after `number` are about."""
        with self.database.read() as connection:
            return lists.changed_since(connection, number)

    def _whole(self, kept: StoredFile, connection: Connection | None = None) -> CaseFile:
        """With the contacts of the borrower, which other processes know too."""
        since = self.now() - CONTACTS_SHOWN
        past = ContactLog(self.database).past(kept.case.borrower, since, connection=connection)
        mine = {name: getattr(kept, name) for name in type(kept).__dataclass_fields__}
        return CaseFile(**mine, contacts=tuple(past))

    @staticmethod
    def _claim(transaction: CaseTransaction, reply: Reply, now: datetime) -> None:
        if not requests.claim(transaction.connection, reply.account, reply.key, reply.fingerprint, at=now):
            raise Answered("this request was answered already")

    @staticmethod
    def _finish(transaction: CaseTransaction, reply: Reply, file: CaseFile) -> None:
        answer = requests.Answer(reply.fingerprint, *reply.render(file))
        requests.finish(transaction.connection, reply.account, reply.key, answer)


def _staff(transaction: CaseTransaction, action: Action) -> Mapping[str, int]:
    """Whom a case may be given to; their open cases are counted only where that decides."""
    if not isinstance(action, Assign):
        return {}
    return transaction.takers() if action.to else transaction.staff()


def _page(found: Sequence[Item], limit: int, cursor: Callable[[Item], str]) -> Page[Item]:
    """One more than asked for was read, which tells whether there is a next page."""
    items = tuple(found[:limit])
    return Page(items, cursor(items[-1]) if len(found) > limit else None)
