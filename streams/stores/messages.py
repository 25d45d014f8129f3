"""Messages of the notifier: taken down with the offset, then sent, each with what became of it.

A message waits from the moment its alert was read until a channel has taken or refused it. So an outage of hours is
rows that wait, and a crash is at worst a message sent again under the same key.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import and_, delete, exists, func, or_, select, text

from streams.stores import offsets
from streams.stores.tables import messages, switches
from streams.stores.upsert import insert

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from sqlalchemy import Connection, Row

    from streams.stores.database import Database

    Then = Callable[[Connection, Sequence[tuple["Message", "Verdict"]]], None]
    """What follows from verdicts, in the transaction that records them."""

CONSUMER = "notifier"
STAFF, BORROWER = "staff", "borrower"
"""Whom a message is for."""
PAUSED = "notifier_paused"


class MessageStatus(StrEnum):
    """What became of a message. All but the first are ends."""

    WAITING = "waiting"
    SENT = "sent"
    REJECTED = "rejected"
    """The other side said no for good."""
    REFUSED = "refused"
    """The contact policy said no."""
    SUPERSEDED = "superseded"
    """A later revision of the same episode had gone out before; or, to a borrower, the episode has moved on."""
    EXPIRED = "expired"
    """It was no longer worth sending."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message on one channel. `key` is the idempotency key: whoever gets it twice may drop the second."""

    key: str
    channel: str
    audience: str
    partition: int
    borrower: str
    alert_id: str
    episode_id: str
    revision: int
    body: str
    taken_at: datetime
    number: int = 0
    status: MessageStatus = MessageStatus.WAITING
    attempts: int = 0
    not_before: datetime | None = None
    detail: str | None = None
    sent_at: datetime | None = None
    step: str | None = None
    """The step of the ladder, where it goes to a borrower."""
    loan: str | None = None
    expires_at: datetime | None = None
    """From when on it is no longer worth sending."""
    traceparent: str | None = None
    """The trace of the event that raised its alert (`schemas.traces`)."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a try has come to."""

    status: MessageStatus
    attempts: int = 0
    detail: str | None = None
    not_before: datetime | None = None
    sent_at: datetime | None = None


class MessageTransaction:
    """The reads and writes of one transaction. Comes from `MessageStore.begin`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def advance(self, topic: str, partition: int, *, start: int, end: int) -> None:
        """Move the consumed offset; call it first. Raises OffsetMovedError."""
        offsets.advance(self._connection, CONSUMER, topic, partition, start=start, end=end)

    def told(self, episode_ids: Collection[str]) -> set[str]:
        """Those of the episodes about which there is a message already."""
        column = messages.c.episode_id
        return set(self._connection.scalars(select(column).where(column.in_(episode_ids)).distinct()))

    def take_down(self, new: Sequence[Message]) -> int:
        """Keep messages to be sent. How many were new: one whose key and channel are known is dropped."""
        if not new:
            return 0
        keys = select(messages.c.key, messages.c.channel).where(messages.c.key.in_([message.key for message in new]))
        known = {(row.key, row.channel) for row in self._connection.execute(keys)}
        rows = {(m.key, m.channel): _row(m) for m in new if (m.key, m.channel) not in known}
        if rows:
            statement = insert(self._connection, messages).on_conflict_do_nothing(index_elements=["key", "channel"])
            self._connection.execute(statement, list(rows.values()))
        return len(rows)

    def steps_taken(self, episode_ids: Collection[str]) -> set[tuple[str, str]]:
        """The steps of the episodes that have gone to the borrower or wait to."""
        table = messages.c
        query = select(table.episode_id, table.step).where(
            table.episode_id.in_(episode_ids),
            table.audience == BORROWER,
            table.status.in_((MessageStatus.WAITING.value, MessageStatus.SENT.value)),
        )
        return {(row.episode_id, row.step) for row in self._connection.execute(query)}

    def end_earlier(self, episode_id: str, revision: int, *, but: str | None) -> int:
        """Nothing from before this revision goes to the borrower any more, save one step; how many waited."""
        table = messages.c
        ended = messages.update().where(
            table.episode_id == episode_id,
            table.audience == BORROWER,
            table.status == MessageStatus.WAITING.value,
            table.revision < revision,
            table.step != (but or ""),
        )
        values = {"status": MessageStatus.SUPERSEDED.value, "detail": "the episode has moved on or is over"}
        return self._connection.execute(ended.values(**values)).rowcount

    def alone_with(self, borrowers: Sequence[str]) -> None:
        """No other transaction that asks so much goes on with these until this one has ended. In one fixed order."""
        if self._connection.dialect.name == "postgresql":  # SQLite has one writer anyway.
            lock = text("SELECT pg_advisory_xact_lock(hashtext(:room), hashtext(:borrower))")
            for borrower in borrowers:
                self._connection.execute(lock, {"room": CONSUMER, "borrower": borrower})

    def end(self, message: Message, verdict: Verdict) -> None:
        """It ends here."""
        row = messages.update().where(messages.c.number == message.number)
        self._connection.execute(row.values(status=verdict.status.value, detail=verdict.detail))

    def still_waiting(self, some: Sequence[Message]) -> set[int]:
        """The numbers of those that are to go out even now. Until the end of the transaction nobody changes that."""
        table = messages.c
        query = select(table.number).where(
            table.number.in_([message.number for message in some]), table.status == MessageStatus.WAITING.value
        )
        return set(self._connection.scalars(query.order_by(table.number).with_for_update()))

    def offered(self, borrowers: Collection[str], step: str, since: datetime) -> set[str]:
        """The borrowers to whom this step waits to go or went out since an instant."""
        table = messages.c
        query = select(table.borrower).where(
            table.borrower.in_(borrowers),
            table.audience == BORROWER,
            table.step == step,
            or_(
                table.status == MessageStatus.WAITING.value,
                and_(table.status == MessageStatus.SENT.value, table.sent_at >= since),
            ),
        )
        return set(self._connection.scalars(query))


class MessageStore:
    """Messages in a database."""

    def __init__(self, database: Database) -> None:
        self.database = database

    @contextmanager
    def begin(self) -> Iterator[MessageTransaction]:
        """One transaction, committed at the end. Raises Unavailable, and then nothing was written."""
        with self.database.write() as connection:
            yield MessageTransaction(connection)

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition of the alerts topic."""
        with self.database.read() as connection:
            return offsets.positions(connection, CONSUMER, topic)

    def due(
        self, *, channels: Collection[str], partitions: Collection[int], now: datetime, limit: int
    ) -> list[Message]:
        """Messages that may go out now, oldest first; none to staff behind one of the same borrower that must wait."""
        earlier = messages.alias()
        held_up = exists().where(
            earlier.c.borrower == messages.c.borrower,
            earlier.c.channel == messages.c.channel,
            earlier.c.audience == STAFF,  # Staff read of an episode in its order; a borrower gets single steps.
            earlier.c.status == MessageStatus.WAITING.value,
            earlier.c.not_before > now,
            earlier.c.number < messages.c.number,
        )
        query = select(messages).where(
            messages.c.status == MessageStatus.WAITING.value,
            messages.c.channel.in_(channels),
            messages.c.partition.in_(partitions),
            or_(messages.c.not_before.is_(None), messages.c.not_before <= now),
            ~held_up,
        )
        with self.database.read() as connection:
            return [_message(row) for row in connection.execute(query.order_by(messages.c.number).limit(limit))]

    def overtaken(self, waiting: Sequence[Message]) -> set[int]:
        """The numbers of those messages of whose episode a later revision has gone out on the same channel."""
        later = messages.alias()
        query = select(messages.c.number).where(
            messages.c.number.in_([message.number for message in waiting]),
            exists().where(
                later.c.episode_id == messages.c.episode_id,
                later.c.channel == messages.c.channel,
                later.c.revision > messages.c.revision,
                later.c.status == MessageStatus.SENT.value,
            ),
        )
        with self.database.read() as connection:
            return set(connection.scalars(query))

    def record(self, verdicts: Sequence[tuple[Message, Verdict]], then: Then | None = None) -> None:
        """Write down what became of messages, and whatever follows from it, in one transaction."""
        if not verdicts:
            return
        with self.database.write() as connection:
            for message, verdict in verdicts:
                values = asdict(verdict) | {
                    "status": verdict.status.value,
                    "attempts": message.attempts + verdict.attempts,
                }
                row = messages.update().where(messages.c.number == message.number)
                if verdict.status is MessageStatus.WAITING:  # What has come to its end in the meantime stays there.
                    row = row.where(messages.c.status == MessageStatus.WAITING.value)
                connection.execute(row.values(**values))
            if then is not None:
                then(connection, verdicts)

    def counts(self) -> dict[tuple[str, str], int]:
        """Number of messages by channel and status."""
        query = select(messages.c.channel, messages.c.status, func.count()).group_by(
            messages.c.channel, messages.c.status
        )
        with self.database.read() as connection:
            return {(channel, status): number for channel, status, number in connection.execute(query)}

    def of_alert(self, alert_id: str) -> list[Message]:
        """Every message about an alert."""
        with self.database.read() as connection:
            rows = connection.execute(
                select(messages).where(messages.c.alert_id == alert_id).order_by(messages.c.number)
            )
            return [_message(row) for row in rows]

    def pause(self, now: datetime) -> None:
        """Stop all sending from now on. A pause that is on already stays as old as it is."""
        with self.database.write() as connection:
            connection.execute(insert(connection, switches).values(name=PAUSED, since=now).on_conflict_do_nothing())

    def resume(self) -> None:
        """End the pause."""
        with self.database.write() as connection:
            connection.execute(delete(switches).where(switches.c.name == PAUSED))

    def paused_since(self) -> datetime | None:
        """Since when all sending is stopped; None if it is not."""
        with self.database.read() as connection:
            return connection.scalar(select(switches.c.since).where(switches.c.name == PAUSED))


def _row(message: Message) -> dict[str, Any]:
    row = asdict(message) | {"status": message.status.value}
    del row["number"]  # The database counts.
    return row


def _message(row: Row[Any]) -> Message:
    values = dict(row._mapping)  # noqa: SLF001 - SQLAlchemy's public name for it
    return Message(**(values | {"status": MessageStatus(row.status)}))
