"""Rows of the contact store as the values that others use: which opt-out still stands is settled here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from streams.stores.contact import Address, Channel, ContactRecord
from streams.stores.contact_tables import addresses, opt_outs, records

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

EVERYTHING = ""
"""The channel of an opt-out from everything."""


def read_record(connection: Connection, borrower: str) -> ContactRecord | None:
    """How a borrower may be reached; None if nothing is known."""
    row = connection.execute(select(records).where(records.c.borrower == borrower)).one_or_none()
    if row is None:
        return None
    outs = read_opt_outs(connection, borrower)
    held = [address_from(kept, outs) for kept in read_addresses(connection, borrower)]
    return ContactRecord(
        borrower=borrower,
        zone=row.zone,
        language=row.language,
        packs=tuple(row.packs),
        country=row.country,
        preferred=None if row.preferred_from is None else (row.preferred_from, row.preferred_until),
        opted_out_at=outs.get(EVERYTHING),
        opted_out=_closed(outs, held),
        addresses=tuple(held),
    )


def read_addresses(connection: Connection, borrower: str) -> Sequence[Row[Any]]:
    """The rows of a borrower's addresses, in the order in which they were given."""
    query = select(addresses).where(addresses.c.borrower == borrower)
    return connection.execute(query.order_by(addresses.c.position, addresses.c.address_id)).all()


def read_opt_outs(connection: Connection, borrower: str) -> dict[str, datetime]:
    """Since when a borrower has been out of each channel (and of everything), but for what was taken back."""
    rows = connection.execute(select(opt_outs).where(opt_outs.c.borrower == borrower))
    return {row.channel: row.opted_out_at for row in rows if _stands(row)}


def _stands(row: Row[Any]) -> bool:
    return row.opted_out_at is not None and (row.lifted_at is None or row.lifted_at <= row.opted_out_at)


def address_from(row: Row[Any], outs: Mapping[str, datetime]) -> Address:
    """An address; an opt-out from its channel holds for it unless the borrower has agreed to it since."""
    out = outs.get(row.channel)
    stands = out is not None and (row.consented_at is None or row.consented_at <= out)
    return Address(
        address_id=row.address_id,
        channel=Channel(row.channel),
        consented_at=row.consented_at,
        opted_out_at=out if stands else None,
        third_party=row.third_party,
    )


def _closed(outs: Mapping[str, datetime], held: Sequence[Address]) -> tuple[Channel, ...]:
    """The channels that are opted out of and have no address of the borrower's own that was agreed to since."""
    usable = {
        address.channel
        for address in held
        if address.opted_out_at is None and address.consented_at is not None and not address.third_party
    }
    return tuple(channel for channel in Channel if channel.value in outs and channel not in usable)
