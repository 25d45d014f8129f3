"""One borrower erased everywhere that can be erased, and a proof: what was taken, what stays where and until when.

In this order, so that it may be run again after a failure at any point: contacts (nobody can be written to any more),
texts on cases, then the event by which workers forget. The log of the sources cannot be rewritten: docs/erasure.md.
"""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from schemas.codec import encode
from schemas.events import BorrowerErased, BorrowerErasedData, Topic
from streams import clock
from streams.bootstrap.contact_people import erase, token_of
from streams.bootstrap.contacts import contact_store
from streams.bootstrap.snooze import account
from streams.engine.calendar import ms_of
from streams.errors import NotFound, Rejected
from streams.history.states import inspect
from streams.kafka.traces import traces_of
from streams.kafka.writing import write
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.personal import held_of

if TYPE_CHECKING:
    from datetime import datetime

    from streams.bootstrap.contact_people import Erasure
    from streams.kafka.traces import Trace
    from streams.settings import Settings

SOURCE = "ews/erase"
NAMESPACE = uuid.UUID("6f1e6a52-6c1f-5f0e-9a44-0b7a3a2f2b11")
POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Holdings:
    """What is held of a borrower now."""

    at: datetime
    addresses: int
    contacts_erased_at: datetime | None
    rows: dict[str, int]
    """Rows in the database of cases, by table: tokens, figures, the audit trail."""
    texts: int
    """Of the notes among them, those that still have a text."""
    audit_faults: tuple[str, ...]
    state: str
    """`none`, `mark` (erased) or `state`."""
    state_bytes: int
    state_erased_at: int
    topics: tuple[Trace, ...]

    @property
    def nothing(self) -> bool:
        """Whether there is no trace at all."""
        held = self.addresses or self.rows or any(trace.records for trace in self.topics)
        return not held and self.contacts_erased_at is None and self.state == "none"


@dataclass(frozen=True, slots=True)
class Proof:
    """An erasure: what was there, what was taken, what is left."""

    borrower: str
    by: str
    before: Holdings
    taken: Erasure
    event: str
    place: str
    worker_forgot: bool
    after: Holdings

    def as_dict(self) -> dict[str, Any]:
        """For a file."""
        return asdict(self)


async def holdings(settings: Settings, borrower: str) -> Holdings:
    """What is held of a borrower, everywhere. Raises Misconfigured or Unavailable."""
    traces = await traces_of(settings, borrower)
    state, size, erased_ms = await _state(settings, borrower)
    with contact_store(settings) as contacts:
        record = contacts.record(borrower)
        addresses = len(record.addresses) if record else 0
        erased_at = contacts.erased_at(borrower)
    with open_database(settings.database_url) as database:
        rows = held_of(database, borrower)
        faults = CaseStore(database).verify().faults
    texts = sum(1 for note in rows.get("notes", ()) if note["text"])
    return Holdings(
        clock.now(), addresses, erased_at, {str(name): len(found) for name, found in rows.items()}, texts,
        tuple(faults),
        state, size, erased_ms, tuple(traces),
    )  # fmt: skip


async def erase_everywhere(
    settings: Settings, borrower: str, *, by: str, reason: str | None, wait_seconds: float, anyway: bool = False
) -> Proof:
    """Erase one borrower, and wait so long for a worker to forget. May be run again; then it does the same again.

    Raises NotFound for one of whom nothing is held (unless `anyway`), Misconfigured, Unavailable.
    """
    token_of(borrower)
    who, before = account(by), await holdings(settings, borrower)
    if before.nothing and not anyway:
        raise NotFound(
            f"nothing is held of {borrower}; if something may be on its way, --anyway makes workers pass it over"
        )
    at = clock.now()
    taken = await asyncio.to_thread(erase, settings, borrower, at)
    event = BorrowerErased(
        specversion="1.0",
        id=str(uuid.uuid5(NAMESPACE, f"{borrower} {at.isoformat()}")),
        source=SOURCE,
        subject=borrower,
        time=at,
        data=BorrowerErasedData(by=who, reason=reason),
    )
    (place,) = await write(settings, Topic.CONTACTS, [(borrower, encode(event))])
    forgot = await _forgotten(settings, borrower, ms_of(at), wait_seconds)
    return Proof(borrower, who, before, taken, event.id, place, forgot, await holdings(settings, borrower))


async def _forgotten(settings: Settings, borrower: str, at_ms: int, wait_seconds: float) -> bool:
    deadline, pause = clock.monotonic() + wait_seconds, POLL_SECONDS
    while True:
        _, _, erased_ms = await _state(settings, borrower)
        if erased_ms >= at_ms:
            return True
        if clock.monotonic() >= deadline:
            return False
        await asyncio.sleep(pause)
        pause *= 2  # Each look reads a partition of the states.


async def _state(settings: Settings, borrower: str) -> tuple[str, int, int]:
    try:
        found = await inspect(settings, borrower)
    except Rejected:
        return "none", 0, 0
    erased_ms = found.borrower.erased_ms
    is_mark = bool(erased_ms) and not (found.borrower.measured or found.borrower.episodes or found.borrower.waiting)
    return ("mark" if is_mark else "state"), found.size, erased_ms
