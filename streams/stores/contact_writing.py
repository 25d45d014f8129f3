"""Records on their way into the contact store: what is known is read once, added to in memory, and written at once."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from streams.stores.cipher import AddressUnreadable, Place
from streams.stores.contact import Channel
from streams.stores.contact_tables import SOURCE_CHARS_MAX, addresses, erasures, records
from streams.stores.upsert import upsert

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from streams.stores.cipher import AddressCipher
    from streams.stores.contact import IncomingRecord, NewAddress

PAGE = 500
"""Values that one IN list holds; far below what any database allows."""


class Writing:
    """What is known of some borrowers, being added to. `write` puts down what has changed."""

    def __init__(self, connection: Connection, cipher: AddressCipher, borrowers: Collection[str]) -> None:
        self._connection = connection
        self._cipher = cipher
        self._records = {row["borrower"]: row for row in self._rows(records, borrowers)}
        self._erased = {row["borrower"] for row in self._rows(erasures, borrowers)}
        self._addresses: dict[str, list[dict[str, Any]]] = {}
        for row in self._rows(addresses, borrowers):
            self._addresses.setdefault(row["borrower"], []).append(row)
        self._changed_records: set[str] = set()
        self._changed_addresses: set[str] = set()

    def knows(self, borrower: str) -> bool:
        """Whether there is a record of the borrower."""
        return borrower in self._records

    def is_erased(self, borrower: str) -> bool:
        """Whether the borrower was erased and not taken on again."""
        return borrower in self._erased and borrower not in self._records

    def add(self, record: IncomingRecord, at: datetime) -> bool:
        """Make the record as it is told and add the addresses. Whether anything is different now."""
        changed = self._put_record(record, at)
        for address in record.addresses:
            changed = self._put_address(record.borrower, address, at) or changed
        return changed

    def write(self) -> None:
        """Write what has changed."""
        upsert(self._connection, records, [self._records[borrower] for borrower in sorted(self._changed_records)])
        every = (row for held in self._addresses.values() for row in held)
        rows = [_without_text(row) for row in every if row["address_id"] in self._changed_addresses]
        upsert(self._connection, addresses, rows)

    def _put_record(self, record: IncomingRecord, at: datetime) -> bool:
        told = {
            "zone": record.zone,
            "language": record.language,
            "country": record.country,
            "packs": list(record.packs),
            "preferred_from": record.preferred[0] if record.preferred else None,
            "preferred_until": record.preferred[1] if record.preferred else None,
        }
        known = self._records.get(record.borrower)
        if known is not None and all(known[name] == value for name, value in told.items()):
            return False
        self._records[record.borrower] = {
            "borrower": record.borrower, **told, "source": record.source[:SOURCE_CHARS_MAX], "updated_at": at,
        }  # fmt: skip
        self._changed_records.add(record.borrower)
        return True

    def _put_address(self, borrower: str, new: NewAddress, at: datetime) -> bool:
        held = self._addresses.setdefault(borrower, [])
        known = next((row for row in held if row["channel"] == new.channel and self._text(row) == new.address), None)
        if known is None:
            held.append(self._sealed(borrower, new, at, position=len(held)))
            self._changed_addresses.add(held[-1]["address_id"])
            return True
        before = dict(known)
        known["third_party"] = new.third_party
        if new.consented_at and (known["consented_at"] is None or new.consented_at > known["consented_at"]):
            known |= {"consented_at": new.consented_at, "consent_source": new.consent_source}
        if known == before:
            return False
        self._changed_addresses.add(known["address_id"])
        return True

    def _sealed(self, borrower: str, new: NewAddress, at: datetime, position: int) -> dict[str, Any]:
        place = Place(borrower, new.channel, str(uuid.uuid4()))
        return {
            "address_id": place.address_id,
            "borrower": borrower,
            "channel": new.channel.value,
            "ciphertext": self._cipher.seal(place, new.address),
            "position": position,
            "consented_at": new.consented_at,
            "consent_source": new.consent_source,
            "third_party": new.third_party,
            "added_at": at,
            "text": new.address,
        }

    def _text(self, row: dict[str, Any]) -> str | None:
        """The address in a row; None for one that cannot be read, which is like no other."""
        if "text" not in row:
            place = Place(row["borrower"], Channel(row["channel"]), row["address_id"])
            try:
                row["text"] = self._cipher.open(place, row["ciphertext"])
            except AddressUnreadable:
                row["text"] = None
        text: str | None = row["text"]
        return text

    def _rows(self, table: Table, borrowers: Collection[str]) -> Iterator[dict[str, Any]]:
        wanted = sorted(borrowers)
        for start in range(0, len(wanted), PAGE):
            query = select(table).where(table.c.borrower.in_(wanted[start : start + PAGE]))
            yield from (dict(row) for row in self._connection.execute(query).mappings())


def _without_text(row: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "text"}
