"""The tables of the contact store, which are in no other database. `contact_migrations/` builds exactly these."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, ForeignKey, Index, Integer, MetaData, String, Table, Text, Time

from streams.stores.tables import UtcTime
from streams.stores.tables import metadata as of_cases

SOURCE_CHARS_MAX = 128
"""A longer name of a source (a file, an account) is cut off."""
metadata = MetaData(naming_convention=of_cases.naming_convention)

records = Table(
    "contact_records",
    metadata,
    Column("borrower", String(128), primary_key=True),
    Column("zone", String(64), nullable=False),
    Column("language", String(35), nullable=False),
    Column("country", String(6)),
    Column("packs", JSON, nullable=False),
    Column("preferred_from", Time),
    Column("preferred_until", Time),
    Column("source", String(SOURCE_CHARS_MAX), nullable=False),
    Column("updated_at", UtcTime, nullable=False),
)

addresses = Table(
    "contact_addresses",
    metadata,
    Column("address_id", String(36), primary_key=True),
    Column("borrower", ForeignKey("contact_records.borrower"), nullable=False),
    Column("channel", String(16), nullable=False),
    Column("ciphertext", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("consented_at", UtcTime),
    Column("consent_source", String(128)),
    Column("third_party", Boolean, nullable=False),
    Column("added_at", UtcTime, nullable=False),
    Index("ix_contact_addresses_borrower", "borrower", "position"),
)

opt_outs = Table(
    "contact_opt_outs",
    metadata,
    # No reference to a record: an opt-out may come before the record, and stays when the record is erased.
    Column("borrower", String(128), primary_key=True),
    # Empty for everything.
    Column("channel", String(16), primary_key=True),
    # None where only the consent below has been told so far: the two come in any order.
    Column("opted_out_at", UtcTime),
    # When the borrower last took the opt-out from everything back.
    Column("lifted_at", UtcTime),
    Column("source", String(SOURCE_CHARS_MAX), nullable=False),
)

erasures = Table(
    "contact_erasures",
    metadata,
    Column("borrower", String(128), primary_key=True),
    Column("erased_at", UtcTime, nullable=False),
)
"""Who was erased: an import from an older list does not bring them back."""

seals = Table(
    "contact_seals",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("ciphertext", Text, nullable=False),
)
"""A known text under the key that addresses are encrypted with, so that a wrong key is found before it is used."""
