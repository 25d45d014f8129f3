"""Short ways to say who is to be contacted, when, after what."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from streams.casework.contact import (
    Address,
    Allowed,
    Attempt,
    Channel,
    ContactRecord,
    Holds,
    Kind,
    PastContact,
    Refusal,
)
from streams.casework.contact_rules import check
from streams.casework.packs import load_packs

if TYPE_CHECKING:
    from collections.abc import Sequence

AGREED = datetime(2000, 1, 1, tzinfo=UTC)
NOTHING = Holds()
NEW_YORK = "America/New_York"


def local(text: str, zone: str = NEW_YORK, fold: int = 0) -> datetime:
    """The instant of a local time."""
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold).astimezone(UTC)


def address(channel: str = "call", identity: str = "a-1", **more: Any) -> Address:
    """An own address with consent, unless said otherwise."""
    return Address(**{"address_id": identity, "channel": Channel(channel), "consented_at": AGREED, **more})


ADDRESSES = tuple(address(channel, f"a-{channel}") for channel in Channel)


def record(zone: str = NEW_YORK, **more: Any) -> ContactRecord:
    """Somebody who agreed to every channel."""
    return ContactRecord(**{"borrower": "b-1", "zone": zone, "language": "en", "addresses": ADDRESSES, **more})


def attempt(channel: str = "call", kind: str = "collection", loan: str | None = "l-1") -> Attempt:
    """A call to collect the first loan, unless said otherwise."""
    return Attempt(borrower="b-1", loan=loan, channel=Channel(channel), kind=Kind(kind))


_numbers = iter(range(10**9))


def past(
    at: datetime,
    channel: str = "call",
    *,
    kind: str = "collection",
    loan: str | None = "l-1",
    reached: bool = False,
) -> PastContact:
    """A call for the first loan that nobody answered, unless said otherwise."""
    return PastContact(
        contact_id=f"c-{next(_numbers)}",
        borrower="b-1",
        loan=loan,
        channel=Channel(channel),
        kind=Kind(kind),
        at=at,
        reached_at=at if reached else None,
    )


def tried(
    now: datetime,
    *packs: str,
    of: ContactRecord | None = None,
    on: Attempt | None = None,
    holds: Holds = NOTHING,
    history: Sequence[PastContact] = (),
) -> Allowed | Refusal:
    """What the rules say of a contact."""
    return check(on or attempt(), of or record(), holds, history, load_packs(packs or ("us",)), now)


def rule(outcome: Allowed | Refusal) -> str:
    """The rule that refused, or that it is allowed."""
    return outcome.rule if isinstance(outcome, Refusal) else "allowed"
