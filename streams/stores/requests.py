"""Answers to requests with an idempotency key, kept in the transaction of what they answer.

    with database.write() as connection:
        if not requests.claim(connection, account, key, fingerprint, at=now):
            ...                                    # answered before, or by another at the same moment: do nothing
        ...
        requests.finish(connection, account, key, Answer(fingerprint, 200, body, etag))

Of two requests with one key at the same moment the second waits at `claim` until the first has committed (then it is
told so) or was rolled back (then it goes on itself). A request that failed leaves nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from sqlalchemy import delete, select, update

from streams.stores.upsert import is_new
from streams.stores.work_tables import requests

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.stores.database import Database

KEPT: Final = timedelta(days=1)
"""How long an answer is kept: whoever has not had it by then asks what came of it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it was given, and the fingerprint of the request that got it."""

    fingerprint: str
    status: int
    body: str
    etag: str | None


def claim(connection: Connection, account: str, key: str, fingerprint: str, *, at: datetime) -> bool:
    """Take the key for this transaction. False if it is answered already. Sweeps out answers that are too old."""
    connection.execute(delete(requests).where(requests.c.at < at - KEPT))
    row = {"account": account, "key": key, "fingerprint": fingerprint, "status": 0, "body": "", "at": at}
    return is_new(connection, requests, row)


def finish(connection: Connection, account: str, key: str, answer: Answer) -> None:
    """Keep the answer, in the transaction that claimed the key."""
    values = {"status": answer.status, "body": answer.body, "etag": answer.etag}
    mine = (requests.c.account == account, requests.c.key == key)
    connection.execute(update(requests).where(*mine).values(**values))


def answer_of(database: Database, account: str, key: str) -> Answer | None:
    """The answer that a key got; None if there is none. Raises Unavailable."""
    query = select(requests).where(requests.c.account == account, requests.c.key == key)
    with database.read() as connection:
        row = connection.execute(query).one_or_none()
    return None if row is None else Answer(row.fingerprint, row.status, row.body, row.etag)
