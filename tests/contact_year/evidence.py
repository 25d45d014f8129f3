"""What the checker of contacts is shown: who was contacted when, what was known of them then, what was found wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import date, datetime, time


@dataclass(frozen=True, kw_only=True)
class Contact:
    """One contact that was really made, by whatever machine or person."""

    contact_id: str
    borrower: str
    loan: str | None
    channel: str
    kind: str
    """`service` or `collection`."""
    at: datetime
    conversation_at: datetime | None = None
    address: str | None = None
    """None where a person acted by hand and no stored address was used."""
    text: str | None = None
    days_past_due: int | None = None
    """Of the loan, on the day of the contact, where it is known: a service message is one from before the due day."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """What the borrower's record said from `since` on, until the next version."""

    since: datetime
    zone: str
    country: str | None = None
    preferred: tuple[time, time] | None = None
    packs: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Consent:
    """The borrower agreed to a channel, at one address or (None) at any."""

    channel: str
    at: datetime
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class OptOut:
    """The borrower asked to be left alone on a channel, or (None) on all."""

    channel: str | None
    at: datetime
    address: str | None = None


@dataclass(frozen=True, kw_only=True)
class Record:
    """All that was ever known of how a borrower may be reached, with its times."""

    borrower: str
    versions: tuple[Version, ...]
    consents: tuple[Consent, ...] = ()
    opt_outs: tuple[OptOut, ...] = ()
    third_parties: frozenset[str] = frozenset()
    """Addresses that belong to somebody else."""
    secrets: tuple[str, ...] = ()
    """What must not be said to somebody else: loan numbers, amounts."""


@dataclass(frozen=True, kw_only=True)
class Hold:
    """Something that stood against collecting, from `since` until `until` (None: to the end of the year)."""

    borrower: str
    kind: str
    """`hardship`, `dispute`, `promise`, `hold` or `deceased`."""
    since: datetime
    until: datetime | None = None
    promised_on: date | None = None
    """The local day an open promise is due."""


@dataclass(frozen=True, kw_only=True, order=True)
class Violation:
    """A contact that a rule forbade. `doubt` names the looser reading by which it is none."""

    contact_id: str
    rule: str
    pack: str
    detail: str
    doubt: str = ""
