"""Puts together what is asked about one borrower's contacts: shown, erased, exported, judged by the contact rules."""

from __future__ import annotations

import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from streams.bootstrap.contacts import contact_store
from streams.casework.contact import Channel
from streams.casework.contact_rules import check
from streams.casework.holds import holds_of
from streams.casework.packs import known_packs, load_packs, packs_for
from streams.errors import Misconfigured
from streams.stores.case_books import CaseBooks
from streams.stores.contact_log import ContactLog
from streams.stores.database import open_database
from streams.stores.personal import Texts, erase_texts, held_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from streams.casework.contact import Allowed, Attempt, Refusal
    from streams.casework.packs import Pack
    from streams.settings import Settings
    from streams.stores.contacts import ContactStore, Erased, Revealed
    from streams.stores.database import Database

TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
PAST_DAYS = 62
"""How far back contacts are read: further than any cap or wait of a pack may reach."""
PHONES = frozenset({Channel.CALL, Channel.SMS})
SHOWN_FIRST, SHOWN_LAST = 3, 2
"""Characters of a number that are shown masked: the country, and enough to be told from another."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was taken of a borrower from both databases."""

    contacts: Erased
    texts: Texts


def token_of(text: str) -> str:
    """A borrower's token. Raises Misconfigured."""
    if not TOKEN.fullmatch(text):
        raise Misconfigured("that is no borrower's token: those are printable, without spaces, at most 128 characters")
    return text


def erase(settings: Settings, borrower: str, at: datetime) -> Erasure:
    """First what could be sent to, then the texts: stopped half way, it may be run again. Raises Unavailable."""
    with contact_store(settings) as store:
        contacts = store.erase(borrower, at)
    with open_database(settings.database_url) as database:
        return Erasure(contacts, erase_texts(database, borrower, at))


def export(settings: Settings, borrower: str) -> dict[str, Any]:
    """All that both databases hold of a borrower, with the addresses themselves. Raises Misconfigured, Unavailable."""
    with contact_store(settings, needs_key=True) as store:
        record = store.record(borrower)
        contacts = {
            "record": None if record is None else {k: v for k, v in asdict(record).items() if k != "addresses"},
            "addresses": [revealed_row(held) for held in store.revealed(borrower)],
            "opt_outs": store.opt_outs(borrower),
            "erased_at": store.erased_at(borrower),
        }
    with open_database(settings.database_url) as database:
        return {"borrower": borrower, "contacts": contacts, "cases": held_of(database, borrower)}


def revealed_row(held: Revealed) -> dict[str, Any]:
    """An address with all that is known of it."""
    return asdict(held.known) | {"address": held.address, "consent_source": held.consent_source}


def masked(channel: Channel, address: str) -> str:
    """Enough of an address for whoever knows it to see that it is the one: +86*******12, w***@m***.example."""
    if channel in PHONES:
        hidden = "*" * max(0, len(address) - SHOWN_FIRST - SHOWN_LAST)
        return address[:SHOWN_FIRST] + hidden + address[-SHOWN_LAST:]
    if channel is Channel.EMAIL:
        name, _, domain = address.rpartition("@")
        return f"{name[:1]}***@{domain[:1]}***.{domain.rpartition('.')[2]}"
    return "********"


@contextmanager
def judge(settings: Settings) -> Iterator[Judge]:
    """The contact rules on both databases. Raises Misconfigured or Unavailable."""
    known = known_packs(settings.contact_packs_dir)
    packs = load_packs(settings.contact_packs.split(","), settings.contact_packs_dir)
    with contact_store(settings) as store, open_database(settings.database_url) as database:
        yield Judge(store, database, packs, known)


@dataclass(frozen=True, slots=True)
class Judge:
    """Says whether a contact may be made, as the notifier would decide. Writes nothing down."""

    store: ContactStore
    database: Database
    packs: tuple[Pack, ...]
    known: dict[str, Pack]

    def says(self, attempt: Attempt, at: datetime) -> Allowed | Refusal:
        """The answer at a moment, on what is known now."""
        record = self.store.record(attempt.borrower)
        with self.database.read() as connection:
            book = CaseBooks(connection).books([attempt.borrower], [])[attempt.borrower]
            since = at - timedelta(days=PAST_DAYS)
            past = ContactLog(self.database).past(attempt.borrower, since, connection=connection)
        packs = packs_for(record, self.packs, self.known)
        return check(attempt, record, holds_of(book), past, packs, at)
