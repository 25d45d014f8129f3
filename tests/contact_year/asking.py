"""A year in which people ask the rules at every hour whether they may reach somebody, and come back when told.

It needs no alerts and no notifier: it is the product's `check`, its contact store and its log, against the checker.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from streams.casework.contact import Channel, Holds, Kind, Refusal
from streams.casework.packs import load_packs
from streams.stores.cipher import AddressCipher, new_key
from streams.stores.contacts import ContactStore
from streams.stores.database import CONTACTS, open_database
from tests.contact_year.agenda import Agenda
from tests.contact_year.checker import violations
from tests.contact_year.dialler import AGENCY, Dialler, LogOnPaper, Wish
from tests.contact_year.evidence import Hold
from tests.contact_year.people import CHANNELS, people

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from streams.casework.packs import Pack
    from streams.stores.contact import ContactRecord
    from tests.contact_year.dialler import Log
    from tests.contact_year.evidence import Contact, Violation
    from tests.contact_year.people import Person

BEGIN = datetime(2025, 1, 1, tzinfo=UTC)
RETRIES_MAX = 20
"""How often somebody comes back for one wish."""


@dataclass
class Asked:
    """What came of a year of asking."""

    packs: tuple[str, ...]
    wished: int = 0
    made: int = 0
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    waited: list[timedelta] = field(default_factory=list)
    """From the first refusal to the contact."""
    promised_too_early: int = 0
    """Times that the next permitted moment came, nothing else had changed, and it was refused again."""
    wrong: list[Violation] = field(default_factory=list)
    contacts: list[Contact] = field(default_factory=list)

    @property
    def certain(self) -> list[Violation]:
        """Those that are wrong by every reading."""
        return [v for v in self.wrong if not v.doubt]


def holds_of_a_year(borrowers: Sequence[str], begin: datetime, days: int, seed: int) -> list[Hold]:
    """Hardship, disputes, promises and holds that come and go, and some borrowers who die."""
    draw = random.Random(f"holds {seed}")  # noqa: S311 - the same for the same seed
    held = []
    for borrower in borrowers:
        for kind, likelihood in (
            ("hardship", 0.3),
            ("dispute", 0.4),
            ("promise", 0.6),
            ("hold", 0.3),
            ("deceased", 0.03),
        ):
            if draw.random() >= likelihood:
                continue
            since = begin + timedelta(days=draw.randrange(days), seconds=draw.randrange(86_400))
            until = since + timedelta(days=draw.randrange(1, 40), seconds=draw.randrange(86_400))
            day = (since + timedelta(days=draw.randrange(1, 25))).date() if kind == "promise" else None
            held.append(
                Hold(
                    borrower=borrower, kind=kind, since=since, promised_on=day,
                    until=None if kind == "deceased" else until,
                )
            )  # fmt: skip
    return held


class Standing:
    """What of the year's holds the product is told at a moment."""

    def __init__(self, held: Sequence[Hold]) -> None:
        self._held: dict[str, list[Hold]] = {}
        for hold in held:
            self._held.setdefault(hold.borrower, []).append(hold)

    def __call__(self, borrower: str, now: datetime) -> Holds:
        """As the open case would give it."""
        mine = [h for h in self._held.get(borrower, []) if h.since <= now and (h.until is None or now < h.until)]
        kinds = {h.kind for h in mine}
        days: list[date] = [h.promised_on for h in mine if h.promised_on is not None]
        until = [h.until for h in mine if h.kind == "hold" and h.until is not None]
        return Holds(
            hardship="hardship" in kinds, dispute="dispute" in kinds, deceased="deceased" in kinds,
            promise_until=max(days, default=None), until=max(until, default=None),
        )  # fmt: skip


class AskingYear:
    """One year under some packs."""

    def __init__(
        self,
        directory: Path,
        names: Sequence[str],
        *,
        borrowers: int,
        days: int,
        seed: int,
        packs: Sequence[Pack] = (),
        store: type[ContactStore] = ContactStore,
        log: Log | None = None,
        tells_of_holds: bool = True,
    ) -> None:
        """`packs`, `store`, `log` and `tells_of_holds` are for faults that the checker must find."""
        self.tokens = [f"b{i:05}" for i in range(borrowers)]
        self.days, self.end = days, BEGIN + timedelta(days=days)
        self.people: dict[str, Person] = people(self.tokens, BEGIN, self.end, seed)
        self.held = holds_of_a_year(self.tokens, BEGIN, days, seed)
        self.agenda = Agenda(BEGIN - timedelta(days=500))
        self._database = open_database(f"sqlite:///{directory}/contacts.db", CONTACTS)
        self.store = store(self._database, AddressCipher(new_key()))
        self.records: dict[str, ContactRecord | None] = {}
        self.log = log or LogOnPaper()
        self._standing = Standing(self.held if tells_of_holds else ())
        self.dialler = Dialler(
            record=self._record, reveal=self.store.reveal, log=self.log, holds=self._standing, agenda=self.agenda,
            packs=packs or load_packs(names), seed=seed,
        )  # fmt: skip
        self.asked = Asked(packs=tuple(names))
        self._draw = random.Random(f"wishes {seed}")  # noqa: S311 - the same for the same seed

    def run(self, *, bursts: float) -> Asked:
        """Let the year pass. `bursts` is how often a borrower is wished for, in times a day."""
        for token, person in self.people.items():
            for at, telling in person.told:
                self.agenda.at(at, lambda token=token, telling=telling: self._tell(token, telling))  # type: ignore[misc]
        for token in self.tokens:
            for _ in range(round(self.days * bursts)):
                self._burst(token)
        while self.agenda.next_at is not None and self.agenda.next_at < self.end:
            self.agenda.step()
        return self._judged()

    def _tell(self, borrower: str, telling: Callable[[ContactStore], object]) -> None:
        telling(self.store)
        self.records.pop(borrower, None)

    def _record(self, borrower: str) -> ContactRecord | None:
        """What the store knows; asked once after each thing it was told."""
        if borrower not in self.records:
            self.records[borrower] = self.store.record(borrower)
        return self.records[borrower]

    def _burst(self, borrower: str) -> None:
        """Somebody tries several times within a day and a half."""
        start = BEGIN + timedelta(seconds=self._draw.randrange(self.days * 86_400))
        asks = self._draw.random() > 0.05
        channel = Channel.CALL if self._draw.random() < 0.7 else self._draw.choice(CHANNELS)
        kind = Kind.SERVICE if self._draw.random() < 0.15 else Kind.COLLECTION
        for _ in range(self._draw.randrange(1, 7)):
            loan = self._draw.choice((f"{borrower}-1", f"{borrower}-1", f"{borrower}-2", None))
            wish = Wish(borrower=borrower, loan=loan, channel=channel, kind=kind, asks=asks)
            at = start + timedelta(seconds=self._draw.randrange(130_000))
            self.agenda.at(at, lambda wish=wish: self._try(wish, None, None, 0))  # type: ignore[misc]

    def _try(self, wish: Wish, since: datetime | None, told: object, tries: int) -> None:
        """Try now, and again when we are told to."""
        now = self.agenda.now
        answer = self.dialler.wish(wish, now)
        if not isinstance(answer, Refusal):
            if since is not None:
                self.asked.waited.append(now - since)
            return
        self.asked.refused[answer.pack, answer.rule] += 1
        state = self._state(wish, now)
        self.asked.promised_too_early += told == state
        if answer.next_at is not None and tries < RETRIES_MAX:
            self.agenda.at(answer.next_at, lambda: self._try(wish, since or now, state, tries + 1))

    def _state(self, wish: Wish, now: datetime) -> object:
        """What the answer rests on, but for the time."""
        return (
            self.store.record(wish.borrower),
            Standing(self.held)(wish.borrower, now),
            self.log.past(wish.borrower, BEGIN),
        )

    def _judged(self) -> Asked:
        made = self.dialler.made.contacts
        records = [p.record for p in self.people.values() if p.record is not None]
        found = violations(made, records, self.held, self.asked.packs)
        self.asked.wrong = [v for v in found if not v.contact_id.startswith(AGENCY)]
        self.asked.contacts = [c for c in made if not c.contact_id.startswith(AGENCY)]
        self.asked.wished, self.asked.made = self.dialler.made.wished, len(self.asked.contacts)
        self._database.close()
        return self.asked
