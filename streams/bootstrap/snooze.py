"""Puts calm together: whose, until when, about which detector; and the event that asks the workers for it."""

from __future__ import annotations

import difflib
import re
import uuid
from typing import TYPE_CHECKING, NamedTuple

from pydantic import ValidationError

from schemas.codec import describe, encode
from schemas.events import BorrowerSnoozed, BorrowerSnoozedData, Topic
from streams import clock
from streams.bootstrap.cases import case_store
from streams.bootstrap.policy import detector_keys
from streams.errors import Misconfigured, Rejected
from streams.kafka.writing import write

if TYPE_CHECKING:
    from datetime import datetime

    from streams.settings import Settings

SOURCE = "ews/snooze"
TOKEN = re.compile(r"[\x21-\x7e]{1,128}")
DAYS_MAX = 400
"""Calm for longer than this is a mistake: nothing of the borrower would ever be seen again."""


class Snoozed(NamedTuple):
    """What was asked for, and where that stands."""

    event: BorrowerSnoozed
    place: str


async def snooze(
    settings: Settings,
    borrower: str,
    until: datetime,
    *,
    detector: str | None = None,
    reason: str | None = None,
    by: str,
) -> Snoozed:
    """Ask for calm about a borrower until an instant, of one detector or of all; one that is not ahead ends it.

    Raises Misconfigured for what cannot be asked for; Unavailable.
    """
    if not TOKEN.fullmatch(borrower):
        raise Misconfigured(f"{borrower!r} is no borrower's token: those are printable and without spaces")
    _check_detector(detector)
    now = clock.now()
    if (until - now).days > DAYS_MAX:
        raise Misconfigured(f"until {until:%Y-%m-%d} is more than {DAYS_MAX} days ahead: ask for less, and again then")
    try:
        event = BorrowerSnoozed(
            specversion="1.0",
            id=str(uuid.uuid4()),  # a person's act: asked for again it is another fact, and the later one counts
            source=SOURCE,
            subject=borrower,
            time=now,
            data=BorrowerSnoozedData(until=until, detector=detector, reason=reason, by=account(by)),
        )
    except ValidationError as invalid:
        raise Misconfigured(describe(invalid)) from None
    (place,) = await write(settings, Topic.CONTACTS, [(borrower, encode(event))])
    return Snoozed(event, place)


def borrower_of(settings: Settings, case_id: str) -> str:
    """The borrower of a case. Raises Rejected if there is no such case, Misconfigured or Unavailable."""
    with case_store(settings) as store:
        found = [file.case for file in store.files_of(case_id) if file.case.case_id == case_id]
    if not found:
        raise Rejected(f"there is no case {case_id}: look at `ews cases list`")
    return found[0].borrower


def account(name: str) -> str:
    """The name that somebody goes by in events. Raises Misconfigured."""
    if not TOKEN.fullmatch(name):
        raise Misconfigured(f"{name!r} is no account: write one without spaces, such as c-17 (--by)")
    return name


def _check_detector(key: str | None) -> None:
    keys = detector_keys()
    if key is not None and key not in keys:
        near = difflib.get_close_matches(key, keys, n=1)
        hint = f", did you mean {near[0]}?" if near else f"; there are {', '.join(keys)}"
        raise Misconfigured(f"no detector is called {key!r}{hint}")
