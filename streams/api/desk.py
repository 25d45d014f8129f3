"""The desk: what people ask about cases and do to them. HTTP, the console and the command line all go through it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from streams.errors import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

    from schemas.alerts import Severity
    from streams.casework.actions import Action
    from streams.casework.contact import PastContact
    from streams.casework.ladder import Ladder
    from streams.casework.roles import Actor
    from streams.stores.case import AuditLine, Case, CaseState, Episode, Stage
    from streams.stores.database import Database
    from streams.stores.work import Approval, Judgement, Note, Plan, Promise

Item = TypeVar("Item")
PAGE_DEFAULT = 50
PAGE_MAX = 500


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
    """A case with all that belongs to it."""

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
    refusals: tuple[object, ...] = ()
    messages: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class Desk:
    """The use cases. `now` gives the time of what people do."""

    database: Database
    ladder: Ladder
    now: Callable[[], datetime] = field(kw_only=True)

    def act(
        self, case_id: str, action: Action, actor: Actor, *, version: int | None, reply: Reply | None = None
    ) -> CaseFile:
        """Do it, in one transaction. Raises NotFound, NotAllowed, Conflict, Stale (another version) or Unavailable."""
        raise NotImplementedError

    def case(self, case_id: str) -> CaseFile:
        """A case with everything. Raises NotFound."""
        raise NotImplementedError

    def cases(self, query: CaseQuery) -> Page[Case]:
        """Open cases by when they are due (paused ones last), or ended ones, the latest first."""
        raise NotImplementedError

    def inbox(self, query: InboxQuery) -> Page[Episode]:
        """Open episodes, the most severe first, then the latest."""
        raise NotImplementedError

    def board(self, limit_per_stage: int = 20) -> Mapping[Stage, Column]:
        """The open cases by stage."""
        raise NotImplementedError

    def approvals(self) -> list[Approval]:
        """Requests for hard steps that wait for a supervisor, the oldest first."""
        raise NotImplementedError

    def precision(self) -> list[Precision]:
        """The live precision of each detector that somebody has judged."""
        raise NotImplementedError

    def borrower(self, token: str) -> BorrowerFile:
        """All about a borrower. Raises NotFound."""
        raise NotImplementedError

    def changes_since(self, number: int) -> tuple[int, list[str]]:
        """The number of the last audit line, and the cases that lines after `number` are about."""
        raise NotImplementedError
