"""What is known of reaching a borrower, as `streams.stores.contact` keeps it: one import for the rules."""

from __future__ import annotations

from streams.stores.contact import (
    Address,
    Allowed,
    Attempt,
    Channel,
    ContactRecord,
    Holds,
    IncomingRecord,
    Kind,
    NewAddress,
    PastContact,
    Refusal,
)

__all__ = [
    "Address",
    "Allowed",
    "Attempt",
    "Channel",
    "ContactRecord",
    "Holds",
    "IncomingRecord",
    "Kind",
    "NewAddress",
    "PastContact",
    "Refusal",
]
