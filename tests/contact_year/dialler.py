"""People and machines beside the notifier who want to reach borrowers at any hour: they ask the rules first, mostly.

Whoever asks gets the product's answer (`check`) on what the product's stores know at that moment. An agency does not
ask: its calls count for everybody, and are nobody's fault here.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from streams.casework.contact import Allowed, Attempt, Channel, Holds, Kind, PastContact, Refusal
from streams.casework.contact_rules import check
from streams.casework.packs import known_packs, packs_for
from tests.contact_year.evidence import Contact

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from streams.casework.packs import Pack
    from streams.stores.contact import ContactRecord
    from streams.stores.contact_log import ContactLog
    from tests.contact_year.agenda import Agenda

AGENCY = "agency"
MEMORY = timedelta(days=60)
"""How far back the dialler asks the log; longer than any rule reaches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """Somebody would like to reach a borrower."""

    borrower: str
    loan: str | None
    channel: Channel
    kind: Kind
    asks: bool = True


@dataclass
class Made:
    """What the dialler did."""

    contacts: list[Contact] = field(default_factory=list)
    refused: list[tuple[Wish, Refusal, datetime]] = field(default_factory=list)
    wished: int = 0


class Log(Protocol):
    """Where contacts are written down and counted."""

    def past(self, borrower: str, since: datetime) -> Sequence[PastContact]:
        """The contacts tried with a borrower from an instant on."""
        ...

    def note(self, contact: PastContact, who: str) -> None:
        """Write down a contact, or what has become of it."""
        ...


class LogOnPaper(Log):
    """Kept in memory."""

    def __init__(self) -> None:
        self._of: dict[str, dict[str, PastContact]] = {}

    def past(self, borrower: str, since: datetime) -> Sequence[PastContact]:
        """All but what is too old."""
        return [c for c in self._of.get(borrower, {}).values() if (c.reached_at or c.at) >= since]

    def note(self, contact: PastContact, who: str) -> None:  # noqa: ARG002 - the other log keeps it
        """The latest word counts."""
        self._of.setdefault(contact.borrower, {})[contact.contact_id] = contact


class LogInDatabase(Log):
    """The product's own."""

    def __init__(self, log: ContactLog) -> None:
        self._log = log

    def past(self, borrower: str, since: datetime) -> Sequence[PastContact]:
        """As the product reads it."""
        return self._log.past(borrower, since)

    def note(self, contact: PastContact, who: str) -> None:
        """As what comes from the topic `contacts` is written."""
        with self._log.database.write() as connection:
            self._log.reserve(connection, contact, who)


class Dialler:
    """Makes the contacts that people wish for, where the rules allow them."""

    def __init__(
        self,
        *,
        record: Callable[[str], ContactRecord | None],
        reveal: Callable[[str, str], str],
        log: Log,
        packs: Sequence[Pack],
        holds: Callable[[str, datetime], Holds],
        agenda: Agenda,
        seed: int,
    ) -> None:
        self._record, self._reveal, self._log = record, reveal, log
        self._packs, self._holds, self._agenda = packs, holds, agenda
        self._known = known_packs()
        self._draw = random.Random(f"dialler {seed}")  # noqa: S311 - the same for the same seed
        self.made = Made()

    def ask(self, wish: Wish, now: datetime) -> Allowed | Refusal:
        """What the rules say at this moment."""
        record = self._record(wish.borrower)
        attempt = Attempt(borrower=wish.borrower, loan=wish.loan, channel=wish.channel, kind=wish.kind)
        past = self._log.past(wish.borrower, now - MEMORY)
        packs = packs_for(record, self._packs, self._known)
        return check(attempt, record, self._holds(wish.borrower, now), past, packs, now)

    def wish(self, wish: Wish, now: datetime) -> Allowed | Refusal | None:
        """Reach the borrower if it is allowed. None for who does not ask."""
        self.made.wished += 1
        answer = self.ask(wish, now) if wish.asks else None
        if isinstance(answer, Refusal):
            self.made.refused.append((wish, answer, now))
            return answer
        self._make(wish, now, None if answer is None else answer.address_id)
        return answer

    def _make(self, wish: Wish, now: datetime, address_id: str | None) -> None:
        """Write it down; three calls of ten become a conversation, a few seconds or minutes later."""
        who = "desk" if wish.asks else AGENCY
        ident = f"{who}-{len(self.made.contacts):06}"
        spoken = None
        if wish.channel is Channel.CALL and self._draw.random() < 0.3:
            spoken = now + timedelta(seconds=self._draw.randrange(5, 400))
        past = PastContact(
            contact_id=ident, borrower=wish.borrower, loan=wish.loan, channel=wish.channel, kind=wish.kind, at=now
        )
        self._log.note(past, who)
        if spoken is not None:
            self._agenda.at(spoken, lambda: self._log.note(replace(past, reached_at=spoken), who))
        address = None if address_id is None else self._reveal(wish.borrower, address_id)
        self.made.contacts.append(
            Contact(
                contact_id=ident, borrower=wish.borrower, loan=wish.loan, channel=wish.channel.value,
                kind=wish.kind.value, at=now, conversation_at=spoken, address=address,
            )
        )  # fmt: skip
