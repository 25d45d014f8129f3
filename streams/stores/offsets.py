"""Which alerts a consumer has taken up: its next offset of each partition, moved in the transaction of what it wrote.

The group's own offsets are not used. A move names the offset that it starts from, so that a process which lost its
partition and does not know it yet changes nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from streams.stores.tables import consumed_offsets
from streams.stores.upsert import insert

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sqlalchemy import Connection


class OffsetMovedError(Exception):
    """Somebody else has moved the offset: read it again, and take the records from there. Nothing was changed."""


def positions(connection: Connection, consumer: str, topic: str) -> Mapping[int, int]:
    """The next offset of each partition that has one. A partition without one begins at 0."""
    table = consumed_offsets
    rows = connection.execute(
        select(table.c.partition, table.c.next_offset).where(table.c.consumer == consumer, table.c.topic == topic)
    )
    return {row.partition: row.next_offset for row in rows}


def advance(connection: Connection, consumer: str, topic: str, partition: int, *, start: int, end: int) -> None:
    """Move from `start` to `end`, first in its transaction: it holds off everybody else. Raises OffsetMovedError."""
    table = consumed_offsets
    row = {"consumer": consumer, "topic": topic, "partition": partition}
    connection.execute(insert(connection, table).values(**row, next_offset=0).on_conflict_do_nothing())
    moved = connection.execute(
        table.update()
        .where(*(table.c[name] == value for name, value in row.items()), table.c.next_offset == start)
        .values(next_offset=end)
    )
    if moved.rowcount != 1:
        raise OffsetMovedError(f"{topic}/{partition} no longer stands at {start}")
