"""How borrowers may be reached, in a database of its own, with every address encrypted.

An opt-out stands until a later consent; neither depends on the order in which they are told, nor on whether a record
is there yet. Erasing a borrower takes the record and the addresses; the token stays on the list of those who opted out.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import bindparam, case, delete, func, select, text

from streams.errors import Misconfigured, NotFound
from streams.stores.cipher import SETTING, AddressUnreadable, Place
from streams.stores.contact import Address, Channel
from streams.stores.contact_rows import EVERYTHING, address_from, read_addresses, read_opt_outs, read_record
from streams.stores.contact_tables import SOURCE_CHARS_MAX, addresses, erasures, opt_outs, records, seals
from streams.stores.contact_writing import Writing
from streams.stores.upsert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from streams.stores.cipher import AddressCipher
    from streams.stores.contact import ContactRecord, IncomingRecord
    from streams.stores.database import Database

REKEY_PAGE = 500
"""Addresses that one transaction of `rekey` rewrites."""
WRITERS = 4_919_216_302
"""Key of PostgreSQL's advisory lock: one writer of records at a time, as SQLite has it anyway."""
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
    traceless: bool = True
    """False while another process still reads what SQLite's log holds of it: erase again later."""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """What a rotation did: how many addresses are under the newest key now, and those that could not be read."""

    addresses: int
    unreadable: tuple[str, ...]


class ContactStore:
    """Contact records. Without a cipher it knows channels, consents and hours, and no address."""

    def __init__(self, database: Database, cipher: AddressCipher | None = None) -> None:
        self.database = database
        self._cipher = cipher

    def record(self, borrower: str) -> ContactRecord | None:
        """How a borrower may be reached; None if nothing is known. Needs no key."""
        with self.database.read() as connection:
            return read_record(connection, borrower)

    def records(self, borrowers: Iterable[str]) -> dict[str, ContactRecord]:
        """The same of several, as one moment has them; those of whom nothing is known are left out."""
        with self.database.read() as connection:
            found = {borrower: read_record(connection, borrower) for borrower in borrowers}
        return {borrower: record for borrower, record in found.items() if record is not None}

    def reveal(self, borrower: str, address_id: str) -> str:
        """One address. Raises NotFound, AddressUnreadable (both Rejected), Misconfigured without a key."""
        query = select(addresses).where(addresses.c.borrower == borrower, addresses.c.address_id == address_id)
        with self.database.read() as connection:
            row = connection.execute(query).one_or_none()
        if row is None:
            raise NotFound(f"{borrower} has no address {address_id}: it was erased, or never kept")
        return self._key().open(_place(row), row.ciphertext)

    def revealed(self, borrower: str) -> list[Revealed]:
        """Every address of a borrower. Raises AddressUnreadable, Misconfigured without a key."""
        with self.database.read() as connection:
            outs = read_opt_outs(connection, borrower)
            rows = read_addresses(connection, borrower)
        return [
            Revealed(address_from(row, outs), self._key().open(_place(row), row.ciphertext), row.consent_source)
            for row in rows
        ]

    def put(self, record: IncomingRecord, at: datetime, *, again: bool = False) -> Put:
        """Add to what is known of a borrower. Said again, it changes nothing. `again` takes on who was erased."""
        return self.put_all([record], at, again=again)[0]

    def put_all(self, incoming: Sequence[IncomingRecord], at: datetime, *, again: bool = False) -> list[Put]:
        """Add many in one transaction, all or none. What became of each, in order. Raises Misconfigured."""
        with self.putting(at, again=again) as put:
            return put(incoming)

    @contextmanager
    def putting(
        self, at: datetime, *, again: bool = False
    ) -> Iterator[Callable[[Sequence[IncomingRecord]], list[Put]]]:
        """One transaction that takes any number of batches, committed at the end. Raises Misconfigured."""
        cipher = self._key()

        def put(incoming: Sequence[IncomingRecord]) -> list[Put]:
            writing = Writing(connection, cipher, {record.borrower for record in incoming})
            done = [_put(connection, writing, record, at, again=again) for record in incoming]
            writing.write()
            return done

        with self.database.write() as connection:
            _one_writer(connection)
            self._keep_mark(connection)
            yield put

    def opt_out(self, borrower: str, channel: Channel | None, at: datetime, *, source: str) -> None:
        """No more on this channel, or on none at all. Holds for a borrower of whom nothing is known yet, too."""
        with self.database.write() as connection:
            _opt_out(connection, borrower, channel, at, source)

    def opt_outs(self, borrower: str) -> dict[str, datetime]:
        """The opt-outs that stand, by channel; "" for everything. Also of a borrower without a record."""
        with self.database.read() as connection:
            return read_opt_outs(connection, borrower)

    def consent(self, borrower: str, channel: Channel | None, at: datetime, *, source: str) -> int:
        """The borrower agrees to a channel: the number of addresses it is of. None takes back the general opt-out."""
        with self.database.write() as connection:
            _one_writer(connection)
            if channel is None:
                _lift(connection, borrower, at, source)
                return 0
            older = addresses.c.consented_at.is_(None) | (addresses.c.consented_at < at)
            mine = addresses.c.borrower == borrower, addresses.c.channel == channel.value
            given = addresses.update().where(*mine, older, ~addresses.c.third_party)
            connection.execute(given.values(consented_at=at, consent_source=source))
            return connection.scalar(select(func.count()).where(*mine, ~addresses.c.third_party)) or 0

    def erase(self, borrower: str, at: datetime) -> Erased:
        """Delete the record and the addresses of a borrower. Again, it finds nothing."""
        with self.database.write() as connection:
            _one_writer(connection)
            gone = connection.execute(delete(addresses).where(addresses.c.borrower == borrower)).rowcount
            record = connection.execute(delete(records).where(records.c.borrower == borrower)).rowcount
            statement = insert(connection, erasures).values(borrower=borrower, erased_at=at)
            connection.execute(statement.on_conflict_do_nothing())
        return Erased(record=record > 0, addresses=gone, traceless=self.database.scrub())

    def erased_at(self, borrower: str) -> datetime | None:
        """When a borrower was first erased; None if never."""
        with self.database.read() as connection:
            return connection.scalar(select(erasures.c.erased_at).where(erasures.c.borrower == borrower))

    def counts(self) -> dict[str, int]:
        """Number of records, addresses and opt-outs."""
        tables = {"records": records, "addresses": addresses, "opt_outs": opt_outs}
        with self.database.read() as connection:
            return {
                name: connection.scalar(select(func.count()).select_from(table)) or 0 for name, table in tables.items()
            }

    def check_key(self) -> None:
        """Raises Misconfigured if there is no key, or the addresses were encrypted with others."""
        cipher = self._key()
        with self.database.read() as connection:
            mark = connection.scalar(select(seals.c.ciphertext).where(seals.c.name == KEY_MARK))
        if mark is not None and not cipher.knows(mark):
            raise _wrong_key(self.database)

    def rekey(self, progress: Callable[[int], None] = lambda _: None) -> Rekeyed:
        """Encrypt every address with the newest key. Stopped half way, it may be run again. Raises Misconfigured."""
        self.check_key()
        done, unreadable, after = 0, list[str](), ""
        while True:
            with self.database.write() as connection:
                _one_writer(connection)
                query = select(addresses).where(addresses.c.address_id > after)
                page = connection.execute(query.order_by(addresses.c.address_id).limit(REKEY_PAGE)).all()
                bad = self._rotate(connection, page)
            done += len(page) - len(bad)
            unreadable += bad
            progress(done)
            if len(page) < REKEY_PAGE:
                break
            after = page[-1].address_id
        if not unreadable:  # Else the mark goes on asking for the older key.
            with self.database.write() as connection:
                connection.execute(seals.update().values(ciphertext=self._key().mark()))
        self.database.scrub()
        return Rekeyed(done, tuple(unreadable))

    def _rotate(self, connection: Connection, page: Sequence[Row[Any]]) -> list[str]:
        """Rewrite a page. The ids of those that could not be read, which stay as they are."""
        fresh, unreadable = [], []
        for row in page:
            try:
                fresh.append({"which": row.address_id, "under": self._key().rotate(_place(row), row.ciphertext)})
            except AddressUnreadable:
                unreadable.append(row.address_id)
        if fresh:
            rewrite = addresses.update().where(addresses.c.address_id == bindparam("which"))
            connection.execute(rewrite.values(ciphertext=bindparam("under")), fresh)
        return unreadable

    def _keep_mark(self, connection: Connection) -> None:
        """Leave the mark of the key at the first writing, and see that later ones have it."""
        mark = connection.scalar(select(seals.c.ciphertext).where(seals.c.name == KEY_MARK))
        if mark is None:
            connection.execute(insert(connection, seals).values(name=KEY_MARK, ciphertext=self._key().mark()))
        elif not self._key().knows(mark):
            raise _wrong_key(self.database)

    def _key(self) -> AddressCipher:
        if self._cipher is None:
            raise Misconfigured(f"addresses are encrypted: set {SETTING} (`ews contacts key` makes one)")
        return self._cipher


def _put(connection: Connection, writing: Writing, record: IncomingRecord, at: datetime, *, again: bool) -> Put:
    if writing.is_erased(record.borrower) and not again:
        return Put.ERASED
    new = not writing.knows(record.borrower)
    changed = writing.add(record, at)
    if record.opted_out_at is not None:
        changed = _opt_out(connection, record.borrower, None, record.opted_out_at, record.source) or changed
    if new:
        return Put.NEW
    return Put.CHANGED if changed else Put.SAME


def _opt_out(connection: Connection, borrower: str, channel: Channel | None, at: datetime, source: str) -> bool:
    """Keep an opt-out; an earlier one than is known is nothing new. Whether it was."""
    statement = insert(connection, opt_outs).values(
        borrower=borrower,
        channel=channel.value if channel else EVERYTHING,
        opted_out_at=at,
        source=source[:SOURCE_CHARS_MAX],
    )
    new = statement.excluded
    kept = connection.execute(
        statement.on_conflict_do_update(
            index_elements=["borrower", "channel"],
            set_={"opted_out_at": new.opted_out_at, "source": new.source},
            where=opt_outs.c.opted_out_at.is_(None) | (new.opted_out_at > opt_outs.c.opted_out_at),
        ).returning(opt_outs.c.borrower)
    )
    return kept.first() is not None


def _lift(connection: Connection, borrower: str, at: datetime, source: str) -> None:
    """Take the opt-out from everything back, also one that is yet to be told."""
    row = {"borrower": borrower, "channel": EVERYTHING, "lifted_at": at, "source": source[:SOURCE_CHARS_MAX]}
    statement = insert(connection, opt_outs).values(**row)
    lifted = opt_outs.c.lifted_at
    later = case((lifted.is_(None) | (lifted < at), at), else_=lifted)
    connection.execute(
        statement.on_conflict_do_update(index_elements=["borrower", "channel"], set_={"lifted_at": later})
    )


def _one_writer(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": WRITERS})


def _place(row: Row[Any]) -> Place:
    return Place(row.borrower, Channel(row.channel), row.address_id)


def _wrong_key(database: Database) -> Misconfigured:
    return Misconfigured(
        f"the addresses in {database.name} were encrypted with another key than {SETTING} holds: add that key behind "
        "the newest one, separated by a comma"
    )
