"""What is known of reaching a borrower: how, with whose consent, what was tried. Values only, and no address itself.

An address itself is in `NewAddress` alone, on its way into the store, and is left out of its representation.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime, time


class Kind(StrEnum):
    """What a contact is for. Collection caps and holds bind the second; hours and consent bind both."""

    SERVICE = "service"
    COLLECTION = "collection"


class Channel(StrEnum):
    """A way to reach a borrower, as `schemas.events.ContactData` names it."""

    CALL = "call"
    SMS = "sms"
    EMAIL = "email"
    PUSH = "push"
    LETTER = "letter"
    VISIT = "visit"
    CHAT = "chat"


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """One way to reach the borrower, without the number or address itself, which only the contact store holds."""

    address_id: str
    channel: Channel
    consented_at: datetime | None
    """When the borrower agreed to be contacted there; None is no consent."""
    opted_out_at: datetime | None = None
    third_party: bool = False
    """It belongs to somebody else (a relative, an employer, a guarantor): nothing of a debt may be said there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactRecord:
    """How and when a borrower may be reached. `zone` is an IANA name, the debtor's own."""

    borrower: str
    zone: str
    language: str
    """BCP 47, such as `en` or `zh`."""
    packs: tuple[str, ...] = ()
    """Packs of contact rules that hold for this borrower beside those of the installation."""
    country: str | None = None
    """ISO 3166-1, with a subdivision or without (`US-CA`): whose holidays count."""
    preferred: tuple[time, time] | None = None
    """Local hours that the borrower asked for, from and until (which may lie before `from`: over midnight)."""
    opted_out_at: datetime | None = None
    """When the borrower opted out of everything."""
    opted_out: tuple[Channel, ...] = ()
    """Channels that the borrower has opted out of, whether or not an address of theirs is known."""
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NewAddress:
    """An address to be kept, with where the borrower's consent came from."""

    channel: Channel
    address: str = field(repr=False)
    consented_at: datetime | None = None
    consent_source: str | None = None
    third_party: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingRecord:
    """What a source says of reaching a borrower: to be added to, or to replace, what is kept."""

    borrower: str
    zone: str
    language: str
    source: str
    packs: tuple[str, ...] = ()
    country: str | None = None
    preferred: tuple[time, time] | None = None
    opted_out_at: datetime | None = None
    """Of everything. None takes no opt-out back: only a later consent does."""
    addresses: tuple[NewAddress, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Holds:
    """What stands against collecting from a borrower now, whatever the hour. Comes from the open case."""

    hardship: bool = False
    dispute: bool = False
    deceased: bool = False
    promise_until: date | None = None
    """The day an open promise is due: nobody is dunned before it has passed."""
    until: datetime | None = None
    """The end of a hold that a person has set; None is no such hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PastContact:
    """A contact that was tried, on whatever channel, by whomever."""

    contact_id: str
    borrower: str
    loan: str | None
    channel: Channel
    kind: Kind
    at: datetime
    reached_at: datetime | None = None
    """When a conversation took place."""
    undeliverable_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """A contact that is to be made now."""

    borrower: str
    loan: str | None
    channel: Channel
    kind: Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why not now: the rule and its pack, what it says with its source, and when it may be tried again."""

    rule: str
    pack: str
    detail: str
    next_at: datetime | None
    """The first moment at which no rule is known to stand against it; None: never without something changing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The contact may be made now, at this address."""

    address_id: str | None
    """None where a person acts (a visit, a letter, a call by hand) and no address of ours is used."""
