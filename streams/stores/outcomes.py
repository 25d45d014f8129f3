"""What anybody says of alerts, as the topic `alert-outcomes` tells it, and how right the detectors were by that.

Of an episode the latest decision counts. What was judged in our own cases stands here before it is published, and its
event changes nothing when it comes back.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from sqlalchemy import func, select

from streams.stores import offsets
from streams.stores.rows import work_row
from streams.stores.upsert import insert
from streams.stores.work_tables import outcomes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sqlalchemy import Connection

    from streams.stores.database import Database
    from streams.stores.work import Judgement

CONSUMER = "outcome_keeper"


class OutcomeTransaction:
    """The writes of one transaction. Comes from `OutcomeStore.begin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, topic: str, partition: int, *, start: int, end: int) -> None:
        """Move the consumed offset; call it first. Raises OffsetMovedError."""
        offsets.advance(self._connection, CONSUMER, topic, partition, start=start, end=end)

    def keep(self, judgements: Sequence[Judgement]) -> None:
        """Keep what was said, unless something later is known. Of two of the same moment the one told last counts."""
        if not judgements:
            return
        statement = insert(self._connection, outcomes)
        new = statement.excluded
        told = {name: new[name] for name in ("alert_id", "detector", "borrower", "verdict", "decided_at", "decided_by")}
        kept = statement.on_conflict_do_update(
            index_elements=["episode_id"],
            set_=told | {"case_id": func.coalesce(new["case_id"], outcomes.c.case_id)},
            where=new["decided_at"] >= outcomes.c.decided_at,
        )
        self._connection.execute(kept, [work_row(judgement) for judgement in judgements])


class OutcomeStore:
    """Outcomes in the database of the cases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def begin(self) -> Iterator[OutcomeTransaction]:
        """One transaction, committed at the end. Raises Unavailable, and then nothing was written."""
        with self._database.write() as connection:
            yield OutcomeTransaction(connection)

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition of the topic."""
        with self._database.read() as connection:
            return offsets.positions(connection, CONSUMER, topic)

    def counts(self) -> dict[str, dict[str, int]]:
        """How many episodes of each detector were judged, by verdict."""
        query = select(outcomes.c.detector, outcomes.c.verdict, func.count()).group_by(
            outcomes.c.detector, outcomes.c.verdict
        )
        found: dict[str, dict[str, int]] = {}
        with self._database.read() as connection:
            for detector, verdict, number in connection.execute(query.order_by(outcomes.c.detector)):
                found.setdefault(detector, {})[verdict] = number
        return found
