"""Where the next page begins, as text that is passed back as it came: a time and an id, and what list it is of."""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import orjson

from schemas.alerts import Severity
from streams.errors import Rejected
from streams.stores.case_lists import Place, Row

if TYPE_CHECKING:
    from streams.stores.case import Case, Episode

OPEN, ENDED, INBOX = "o", "e", "i"
_PARTS = {OPEN: 2, ENDED: 2, INBOX: 3}
BAD = "the cursor is of another list: leave it out to begin anew"


def of_open(case: Case) -> str:
    """The place after an open case."""
    return _written(OPEN, None if case.due_at is None else case.due_at.isoformat(), case.case_id)


def of_ended(case: Case) -> str:
    """The place after a case that has ended."""
    assert case.closed_at is not None
    return _written(ENDED, case.closed_at.isoformat(), case.case_id)


def of_episode(episode: Episode) -> str:
    """The place after an episode of the inbox."""
    return _written(INBOX, episode.changed_at.isoformat(), episode.episode_id, episode.severity.value)


def place(cursor: str | None) -> Place | None:
    """Where a page of open cases begins. Raises Rejected."""
    if cursor is None:
        return None
    due_at, case_id = _read(cursor, OPEN)
    return Place(None if due_at is None else _time(due_at), str(case_id))


def ended(cursor: str | None) -> tuple[datetime, str] | None:
    """Where a page of ended cases begins. Raises Rejected."""
    if cursor is None:
        return None
    closed_at, case_id = _read(cursor, ENDED)
    return _time(closed_at), str(case_id)


def row(cursor: str | None) -> Row | None:
    """Where a page of the inbox begins. Raises Rejected."""
    if cursor is None:
        return None
    changed_at, episode_id, severity = _read(cursor, INBOX)
    if severity not in list(Severity):
        raise Rejected(BAD)
    return Row(Severity(str(severity)), _time(changed_at), str(episode_id))


def _written(*parts: str | None) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(parts)).decode().rstrip("=")


def _read(cursor: str, kind: str) -> list[str | None]:
    try:
        found = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error):
        raise Rejected(BAD) from None
    fits = isinstance(found, list) and len(found) == _PARTS[kind] + 1 and found[0] == kind
    if not fits or not all(part is None or (isinstance(part, str) and part.isprintable()) for part in found):
        raise Rejected(BAD)
    return list(found[1:])


def _time(text: str | None) -> datetime:
    try:
        found = datetime.fromisoformat(text or "")
        if found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise Rejected(BAD)
