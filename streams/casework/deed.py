"""One action under way: what it may see, and what it has made so far."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from streams.casework.changes import derived, hashed, with_promises
from streams.errors import Conflict
from streams.stores.case import CaseState
from streams.stores.work import Note

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from streams.casework.ladder import Ladder
    from streams.casework.roles import Actor
    from streams.stores.case import Book, Case, CaseLoan, Episode
    from streams.stores.work import Approval, Judgement, Outgoing, Plan, Promise


@dataclass(slots=True, kw_only=True)
class Deed:
    """Lives as long as one call of `act`. `case` is the case as the action found it."""

    book: Book
    case: Case
    actor: Actor
    at: datetime
    ladder: Ladder
    staff: Mapping[str, int]
    detail: dict[str, Any] = field(default_factory=dict)
    """For the audit line: tokens, ids, days and amounts, never free text."""
    episodes: list[Episode] = field(default_factory=list)
    promises: list[Promise] = field(default_factory=list)
    approvals: list[Approval] = field(default_factory=list)
    plans: list[Plan] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    judgements: list[Judgement] = field(default_factory=list)
    outgoing: list[Outgoing] = field(default_factory=list)

    def id(self, kind: str, *more: str) -> str:
        """An id for what this action makes."""
        return derived(self.case, kind, *more)

    def write(self, text: str | None) -> str:
        """Keep free text as a note; its id. The audit line gets the id and the hash."""
        if not text:
            return ""
        note_id = self.id("note")
        self.notes.append(
            Note(
                note_id=note_id,
                case_id=self.case.case_id,
                borrower=self.case.borrower,
                at=self.at,
                by=self.actor.account,
                text=text,
            )
        )
        self.detail.update(note_id=note_id, sha256=hashed(text))
        return note_id

    def change_promise(self, promise: Promise) -> None:
        """A promise as it now is."""
        self.promises.append(promise)
        self.book = with_promises(self.book, promise)

    def loan(self, token: str) -> CaseLoan:
        """A loan of the case. Raises Conflict: what is agreed on a loan must be on one of the borrower's."""
        found = next((loan for loan in self.case.loans if loan.loan == token), None)
        if found is None:
            raise Conflict("the case holds no such loan")
        return found


_BEGUN = (CaseState.OPEN, CaseState.ESCALATED, CaseState.BROKEN_PROMISE)


def begun(case: Case) -> Case:
    """The case as somebody's work that is under way. A pause is a person's word and stays."""
    return replace(case, state=CaseState.IN_PROGRESS) if case.state in _BEGUN else case
