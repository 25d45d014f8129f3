"""Leases: work that one process at a time does, of however many run. A holder that dies loses it when its time is up.

Who holds one is told by a name that no two processes share. Whatever must not be done by one that has lost its lease
without knowing it is written in a transaction that begins with `require`.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from sqlalchemy import delete, or_, select

from streams.stores.upsert import insert
from streams.stores.work_tables import leases

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from streams.stores.database import Database

LEASE_SECONDS = 30
"""How long a lease is held without being renewed: far more than clocks of two machines differ."""
RENEW_SECONDS = LEASE_SECONDS / 3


class LeaseLost(Exception):  # noqa: N818 - named for what happened
    """Another process has it now. Nothing was written."""


class Leases:
    """The leases of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def take(self, name: str, holder: str, now: datetime) -> bool:
        """Take a lease that is free, or renew one's own. Whether it is ours until `LEASE_SECONDS` from now."""
        until = now + timedelta(seconds=LEASE_SECONDS)
        with self._database.write() as connection:
            first = insert(connection, leases).values(name=name, holder=holder, until=until)
            taken = first.on_conflict_do_update(
                index_elements=["name"],
                set_={"holder": holder, "until": until},
                where=or_(leases.c.holder == holder, leases.c.until <= now),
            )
            return connection.scalar(taken.returning(leases.c.name)) is not None

    def release(self, name: str, holder: str) -> None:
        """Give a lease back, if it is ours, so that nobody has to wait for its end."""
        with self._database.write() as connection:
            connection.execute(delete(leases).where(leases.c.name == name, leases.c.holder == holder))


def require(connection: Connection, name: str, holder: str, now: datetime) -> None:
    """Hold on to a lease until the end of this transaction. Raises LeaseLost."""
    row = connection.execute(select(leases).where(leases.c.name == name).with_for_update()).one_or_none()
    if row is None or row.holder != holder or row.until <= now:
        raise LeaseLost(name)
