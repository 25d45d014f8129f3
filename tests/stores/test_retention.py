from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from streams.stores.database import Database, open_database
from streams.stores.messages import Message, MessageStatus, MessageStore, Verdict
from streams.stores.retention import Pruned, prune
from streams.stores.tables import applied_alerts
from tests.consumers.builders import START

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BEFORE = START + timedelta(days=30)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        yield database


def keep(database: Database, key: str, *, episode: str, days: int, status: MessageStatus) -> None:
    """A message of an episode, so many days after the start."""
    store = MessageStore(database)
    message = Message(
        key=key, channel="outbox", audience="staff", partition=0, borrower="b-1", alert_id=key, episode_id=episode,
        revision=1, body="{}", taken_at=START + timedelta(days=days),
    )  # fmt: skip
    with store.begin() as transaction:
        transaction.take_down([message])
    if status is not MessageStatus.WAITING:
        store.record([(store.of_alert(key)[0], Verdict(status))])


def left(database: Database) -> list[str]:
    """The keys that are still known."""
    return sorted(m.key for key in "abcdef" for m in MessageStore(database).of_alert(key))


def test_what_ended_long_ago_is_forgotten_with_its_whole_episode(database: Database) -> None:
    """Not what waits, not what is young, and nothing of an episode that has either."""
    keep(database, "a", episode="old", days=1, status=MessageStatus.SENT)
    keep(database, "b", episode="old", days=2, status=MessageStatus.REFUSED)
    keep(database, "c", episode="waits", days=1, status=MessageStatus.SENT)
    keep(database, "d", episode="waits", days=2, status=MessageStatus.WAITING)
    keep(database, "e", episode="goes on", days=1, status=MessageStatus.SENT)
    keep(database, "f", episode="goes on", days=30, status=MessageStatus.SENT)

    assert Pruned(messages=2, applied_alerts=0) == prune(database, BEFORE)
    assert ["c", "d", "e", "f"] == left(database)
    assert Pruned(messages=0, applied_alerts=0) == prune(database, BEFORE)


def test_ids_of_alerts_go_by_their_age(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Page by page, until none is left that is old enough."""
    monkeypatch.setattr("streams.stores.retention.PRUNE_ROWS", 3)
    rows = [
        {"alert_id": str(n), "episode_id": "e", "revision": n, "case_id": None, "outcome": "handled",
         "at": START + timedelta(days=n)}
        for n in range(40)
    ]  # fmt: skip
    with database.write() as connection:
        connection.execute(applied_alerts.insert(), rows)

    assert Pruned(messages=0, applied_alerts=30) == prune(database, BEFORE)
