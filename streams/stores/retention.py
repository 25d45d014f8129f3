"""What the notifier knows in sum, and what it may forget: messages that have ended, and ids of alerts taken up.

A key must be kept for as long as its alert can be read again: after a topic that was mirrored or restored, or a
database that was put back. So nothing younger than `DAYS_MIN` is forgotten; offsets guard the everyday. Of an episode
all messages go together, so that staff are still told the end of one that they were told the beginning of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import delete, func, select

from streams.stores.messages import MessageStatus
from streams.stores.tables import applied_alerts, messages
from streams.stores.work_tables import refusals

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection, Table

    from streams.stores.database import Database

DAYS_MIN = 30
"""Longer than a restored backup or a mirrored topic is usually behind. An assumption."""
PRUNE_ROWS = 1_000
"""Rows that one transaction forgets, so that nobody waits for it."""


class Pruned(NamedTuple):
    """How many rows were forgotten."""

    messages: int
    applied_alerts: int


def prune(database: Database, before: datetime) -> Pruned:
    """Forget what ended before an instant. What waits is never forgotten, nor the contacts and refusals of the law."""
    return Pruned(_in_pages(database, messages, before), _in_pages(database, applied_alerts, before))


def refused_by_rule(database: Database, since: datetime) -> dict[str, int]:
    """How often each rule has stood against a contact since an instant."""
    query = (
        select(refusals.c.rule, func.count().label("number")).where(refusals.c.at >= since).group_by(refusals.c.rule)
    )
    with database.read() as connection:
        return {row.rule: row.number for row in connection.execute(query.order_by(refusals.c.rule))}


def _in_pages(database: Database, table: Table, before: datetime) -> int:
    pruned = 0
    while True:
        with database.write() as connection:
            gone = _messages(connection, before) if table is messages else _applied(connection, before)
        pruned += gone
        if not gone:
            return pruned


def _messages(connection: Connection, before: datetime) -> int:
    """Some episodes all of whose messages have ended and are old."""
    of_some = (
        select(messages.c.episode_id)
        .group_by(messages.c.episode_id)
        .having(
            func.max(messages.c.taken_at) < before,
            func.count().filter(messages.c.status == MessageStatus.WAITING.value) == 0,
        )
        .limit(PRUNE_ROWS)
    )
    return connection.execute(delete(messages).where(messages.c.episode_id.in_(of_some))).rowcount


def _applied(connection: Connection, before: datetime) -> int:
    some = select(applied_alerts.c.alert_id).where(applied_alerts.c.at < before).limit(PRUNE_ROWS)
    return connection.execute(delete(applied_alerts).where(applied_alerts.c.alert_id.in_(some))).rowcount
