"""How borrowers may be reached, in a database of its own, with every address encrypted.

An opt-out stands until a later consent; neither depends on the order in which they are told, nor on whether a record
is there yet. Erasing a borrower takes the record and the addresses; the token stays on the list of those who opted out.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, func, select, text

from streams.errors import Misconfigured, NotFound
from streams.stores.cipher import SETTING, AddressUnreadable, Place
from streams.stores.contact import Address, Channel, ContactRecord, IncomingRecord, NewAddress
from streams.stores.contact_tables import addresses, erasures, opt_outs, records, seals
from streams.stores.upsert import insert, upsert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from streams.stores.cipher import AddressCipher
    from streams.stores.database import Database

PAGE = 500
"""Values that one IN list holds, and addresses that one transaction of `rekey` rewrites."""
WRITERS = 4_919_216_302
"""Key of PostgreSQL's advisory lock: one writer of records at a time, as SQLite has it anyway."""
EVERYTHING = ""
KEY_MARK = "key"


class Put(StrEnum):
    """What became of a record that was given to the store."""

    NEW = "new"
    CHANGED = "changed"
    SAME = "same"
    ERASED = "erased"
    """The borrower was erased, and is not taken on again by the way."""


@dataclass(frozen=True, slots=True)
class Revealed:
    """An address with the address itself."""

    known: Address
    address: str = field(repr=False)
    consent_source: str | None


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure took."""

    record: bool
    addresses: int


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What a rotation did: addresses that are under the newest key now, and those that could not be read."""

    addresses: int
    unreadable: tuple[str, ...]


class ContactStore:
    """Contact records. Without a cipher it knows channels, consents and hours, and no address."""

    def __init__(self, database: Database, cipher: AddressCipher | None = None) -> None:
        self.database = database
        self._cipher = cipher

    def record(self, borrower: str) -> ContactRecord | None:
        """How a borrower may be reached; None if nothing is known. Needs no key."""
        raise NotImplementedError

    def reveal(self, borrower: str, address_id: str) -> str:
        """One address. Raises NotFound, AddressUnreadable (both Rejected), Misconfigured without a key."""
        raise NotImplementedError

    def revealed(self, borrower: str) -> list[Revealed]:
        """Every address of a borrower. Raises AddressUnreadable, Misconfigured without a key."""
        raise NotImplementedError

    def put(self, record: IncomingRecord, at: datetime, *, again: bool = False) -> Put:
        """Add to what is known of a borrower, or make it so. The same again changes nothing."""
        raise NotImplementedError

    def opt_out(self, borrower: str, channel: Channel | None, at: datetime, *, source: str) -> None:
        """No more on this channel, or on none at all. Holds for a borrower of whom nothing is known yet too."""
        raise NotImplementedError

    def consent(self, borrower: str, channel: Channel | None, at: datetime, *, source: str) -> int:
        """The borrower agrees to a channel, or takes back the opt-out from everything. How many addresses it is of."""
        raise NotImplementedError

    def erase(self, borrower: str, at: datetime) -> Erased:
        """Delete the record and the addresses of a borrower. Again, it finds nothing."""
        raise NotImplementedError

    def check_key(self) -> None:
        """Raises Misconfigured if the addresses were encrypted with keys that are not ours."""
        raise NotImplementedError
