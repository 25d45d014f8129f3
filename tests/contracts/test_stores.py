"""One suite for every database: what is promised of SQLite is promised of PostgreSQL."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import date, timedelta
from typing import TYPE_CHECKING

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

from schemas.alerts import Severity
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.errors import Unavailable
from streams.metrics import Metrics
from streams.stores import tables
from streams.stores.audit import GENESIS, chained
from streams.stores.case import CaseState, Changes, Stage, content
from streams.stores.cases import CaseStore
from streams.stores.database import Database, migrate, open_database
from streams.stores.messages import Message, MessageStatus, MessageStore, Verdict
from streams.stores.offsets import OffsetMovedError
from tests.consumers.builders import START, alert, episode, position
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from schemas.alerts import Alert


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/cases.db"
    request.getfixturevalue("docker")
    return new_postgres(request.getfixturevalue("postgres"))


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    """A database with its tables."""
    with open_database(url) as opened:
        yield opened


def apply(store: CaseStore, *alerts: Alert, start: int = 0) -> None:
    """Take a batch, as the loop would."""
    creator = CaseCreator(store, Ladder.standard(), Metrics())
    creator.take(Batch("alerts", 0, start, start + len(alerts), alerts))


def test_open_cases_are_counted_by_how_their_time_to_act_stands(database: Database) -> None:
    """One runs, one is paused, one ran out; a closed one is not counted."""
    store = CaseStore(database)
    told = [alert(borrower=f"b-{n}", dpd=1) for n in range(4)]
    over = alert("withdrawn", borrower="b-3", revision=2, hours=1)
    apply(store, *told, over)
    with database.write() as connection:
        table = tables.cases
        connection.execute(table.update().where(table.c.borrower == "b-1").values(sla_left_seconds=60))
        connection.execute(table.update().where(table.c.borrower == "b-2").values(breached_at=START))
    counts = dict.fromkeys([("call", "running"), ("call", "paused"), ("call", "breached")], 1)
    assert counts == store.clocks()


def a_message(number: int = 1, **more: object) -> Message:
    """A message that waits."""
    values = {
        "key": f"staff-{number}",
        "channel": "outbox",
        "audience": "staff",
        "partition": 0,
        "borrower": "b-1",
        "alert_id": f"a-{number}",
        "episode_id": "e-1",
        "revision": number,
        "body": "{}",
        "taken_at": START,
    }
    return Message(**(values | more))


def waiting(store: MessageStore, *, hours: float = 0, channels: tuple[str, ...] = ("outbox",)) -> list[Message]:
    """What may go out `hours` after the start."""
    return store.due(channels=channels, partitions=[0], now=START + timedelta(hours=hours), limit=100)


def take_down(store: MessageStore, *messages: Message) -> int:
    """Keep messages."""
    with store.begin() as transaction:
        return transaction.take_down(messages)


def test_a_case_comes_back_as_it_was_written(database: Database) -> None:
    """Every field of a case, its loans and its episodes survives the database, times with their offset."""
    store = CaseStore(database)
    apply(store, alert(dpd=16, step=15), alert(detector="income_missing", loan=None, severity="watch", hours=1))

    [file] = store.files_of("b-1")

    assert file.case.severity is Severity.HIGH
    assert file.case.stage is Stage.COLLECTOR
    assert file.case.opened_at == START
    assert [16] == [loan.days_past_due for loan in file.case.loans]
    assert ["missed_installment", "income_missing"] == [e.detector for e in file.episodes]
    assert file.episodes[0].measures[0] == {"name": "days_past_due", "value": 15, "threshold": 1, "window": "P30D"}
    assert ["case.opened", "episode.opened"] == [line.action for line in file.history]
    assert store.files_of(file.case.case_id) == [file]


def test_the_offset_moves_with_the_cases(database: Database) -> None:
    """After a batch the next offset is the batch's end, for its topic and partition only."""
    store = CaseStore(database)
    apply(store, alert())

    assert {0: 1} == store.positions("alerts")
    assert {} == store.positions("other")


def test_a_batch_that_starts_elsewhere_changes_nothing(database: Database) -> None:
    """Whoever lost the partition without knowing it is told so, and nothing of its batch is kept."""
    store = CaseStore(database)
    apply(store, alert())

    with pytest.raises(OffsetMovedError):
        apply(store, alert(borrower="b-2"), start=0)

    assert [] == store.files_of("b-2")
    assert {0: 1} == store.positions("alerts")


def test_a_failing_transaction_leaves_nothing(database: Database) -> None:
    """A fault in the middle takes back the offset too."""
    store = CaseStore(database)

    def cut() -> None:
        with store.begin() as transaction:
            transaction.advance("alerts", 0, start=0, end=1)
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cut()

    assert {} == store.positions("alerts")


def test_two_creators_at_once_apply_each_alert_once(database: Database) -> None:
    """Of two that take the same batch at the same time one does all of it, the other nothing."""
    store = CaseStore(database)
    barrier = threading.Barrier(2)
    lost: list[Exception] = []

    def take() -> None:
        barrier.wait()
        try:
            apply(store, *(alert(borrower=f"b-{n}") for n in range(50)))
        except OffsetMovedError as moved:
            lost.append(moved)

    threads = [threading.Thread(target=take) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 1 == len(lost)
    assert 50 == len(store.listed(limit=100))
    assert () == store.verify().faults


def test_the_database_itself_allows_one_open_case_per_borrower(database: Database) -> None:
    """A second open case is refused by the database, whatever a program believes: it may try again on what there is."""
    store = CaseStore(database)
    apply(store, alert())
    [file] = store.files_of("b-1")

    with pytest.raises(Unavailable, match="same borrower"), store.begin() as transaction:
        transaction.save(Changes(cases={"x": replace(file.case, case_id="x")}))


def test_lists_are_by_urgency_and_filtered(database: Database) -> None:
    """Open cases come by due time, closed ones last; state, stage and limit narrow the list."""
    store = CaseStore(database)
    apply(
        store,
        alert(borrower="b-late", hours=5),
        alert(borrower="b-soon", severity="critical"),
        *episode("b-done", [("opened", "high", 1), ("resolved", "high", 1)]),
    )

    assert ["b-soon", "b-late", "b-done"] == [case.borrower for case in store.listed()]
    assert ["b-done"] == [case.borrower for case in store.listed(state=CaseState.RESOLVED)]
    assert ["b-soon"] == [case.borrower for case in store.listed(stage=Stage.COLLECTOR)]
    assert ["b-soon"] == [case.borrower for case in store.listed(limit=1)]
    assert {("open", "call"): 1, ("open", "collector"): 1, ("resolved", "call"): 1} == store.counts()


@pytest.mark.parametrize(
    "crime",
    [
        "UPDATE audit SET actor = 'nobody' WHERE number = 2",
        "UPDATE audit SET detail = '{}' WHERE number = 1",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit WHERE number = (SELECT max(number) FROM audit)",
        "UPDATE cases SET severity = 'info'",
        "UPDATE case_loans SET overdue_minor = 0",
        "UPDATE episodes SET reason = 'nothing'",
        "DELETE FROM case_loans",
    ],
)
def test_verify_finds_what_was_changed_behind_its_back(database: Database, crime: str) -> None:
    """A changed, deleted or truncated audit line shows, and so does a changed case, loan or episode."""
    store = CaseStore(database)
    apply(store, *episode("b-1", [("opened", "high", 5), ("escalated", "critical", 15)], dpd=15))
    assert () == store.verify().faults

    with database.write() as connection:
        connection.execute(text(crime))

    assert store.verify().faults


def test_verify_finds_a_line_whose_own_hash_was_forged_too(database: Database) -> None:
    """A line that was changed together with its hash no longer fits the one after it."""
    store = CaseStore(database)
    apply(store, *episode("b-1", [("opened", "high", 5), ("escalated", "critical", 15)]))
    [file] = store.files_of("b-1")
    first = file.history[0]
    line = {
        "number": 1,
        "case_id": first.case_id,
        "at": first.at,
        "actor": "somebody else",
        "action": first.action,
        "detail": first.detail,
        "case_digest": first.case_digest,
    }

    with database.write() as connection:
        forged = {"actor": "somebody else", "hash": chained(GENESIS, line)}
        connection.execute(tables.audit.update().where(tables.audit.c.number == 1).values(**forged))

    [fault] = store.verify().faults
    assert "line 2" in fault


def test_a_change_of_amounts_alone_is_vouched_for(database: Database) -> None:
    """An alert that no case holds may bring a loan's new amounts: the case has them, and the audit trail agrees."""
    store = CaseStore(database)
    apply(store, alert(dpd=5))
    paid = position("l-1", 5).model_copy(update={"overdue_minor": 7})

    apply(store, alert(detector="upcoming", severity="info", hours=1, loans=(paid,)), start=1)

    [file] = store.files_of("b-1")
    assert [7] == [loan.overdue_minor for loan in file.case.loans]
    assert () == store.verify().faults


def test_an_episode_that_joined_a_case_is_gone_with_it(database: Database) -> None:
    """What was watched, joined a case and was resolved with it does not join the next one."""
    store = CaseStore(database)
    watched = [
        alert(detector="income_missing", severity="watch"),
        alert("resolved", detector="income_missing", severity="watch", revision=2, hours=2),
    ]
    alerts = [watched[0], alert(hours=1), watched[1], alert("resolved", revision=2, hours=3)]
    again = alert(onset=date(2026, 4, 1), hours=800)
    for number, told in enumerate([*alerts, again]):
        apply(store, told, start=number)

    new, old = store.files_of("b-1")

    assert [1, 2] == [len(new.episodes), len(old.episodes)]


def test_a_closed_case_keeps_its_episodes_when_one_comes_back(database: Database) -> None:
    """An episode that opens again after its case was closed belongs to the new case, and the old one still shows it."""
    store = CaseStore(database)
    apply(store, *episode("b-1", [("opened", "high", 1), ("resolved", "high", 1), ("opened", "high", 1)]))

    new, old = store.files_of("b-1")

    assert (CaseState.OPEN, CaseState.RESOLVED) == (new.case.state, old.case.state)
    assert ["opened"] == [e.status for e in new.episodes]
    assert ["resolved"] == [e.status for e in old.episodes]
    assert () == store.verify().faults


def test_the_same_alerts_give_the_same_cases_in_every_batching(database: Database) -> None:
    """Batches of one and one batch of all give equal cases, digests and history."""
    alerts = episode("b-1", [("opened", "high", 1), ("escalated", "critical", 15), ("withdrawn", "critical", 15)])
    one = CaseStore(database)
    for number, told in enumerate(alerts):
        apply(one, told, start=number)
    with open_database("sqlite://") as other:
        whole = CaseStore(other)
        apply(whole, *alerts)
        assert pictures(whole) == pictures(one)


def pictures(store: CaseStore) -> list[object]:
    """Everything that a case is, as plain values."""
    return [(content(f.case, f.episodes), f.history) for f in store.files_of("b-1")]


def test_a_message_is_taken_down_once(database: Database) -> None:
    """The same key on the same channel is one message; on another channel it is another."""
    store = MessageStore(database)

    assert 2 == take_down(store, a_message(), a_message(channel="webhook"))
    assert 1 == take_down(store, a_message(), a_message(2))
    assert ["staff-1", "staff-2"] == [message.key for message in waiting(store)]


def test_a_message_that_must_wait_holds_up_its_borrower_only(database: Database) -> None:
    """Order within a borrower is kept over a retry; others, and other channels, go on."""
    store = MessageStore(database)
    take_down(store, a_message(1), a_message(2), a_message(3, borrower="b-2"), a_message(4, channel="webhook"))
    first = waiting(store)[0]
    later = Verdict(MessageStatus.WAITING, attempts=3, not_before=START + timedelta(hours=1), detail="away")

    store.record([(first, later)])

    assert ["staff-3"] == [message.key for message in waiting(store)]
    assert ["staff-4"] == [message.key for message in waiting(store, channels=("webhook",))]
    assert ["staff-1", "staff-2", "staff-3"] == [message.key for message in waiting(store, hours=2)]
    assert 3 == waiting(store, hours=2)[0].attempts


def test_a_verdict_is_kept(database: Database) -> None:
    """A sent message is no longer due, and says when and after how many attempts."""
    store = MessageStore(database)
    take_down(store, a_message())

    store.record([(waiting(store)[0], Verdict(MessageStatus.SENT, attempts=2, sent_at=START))])

    [kept] = store.of_alert("a-1")
    assert (MessageStatus.SENT, 2, START) == (kept.status, kept.attempts, kept.sent_at)
    assert [] == waiting(store)
    assert {("outbox", "sent"): 1} == store.counts()


def test_an_overtaken_revision_is_known(database: Database) -> None:
    """A message is overtaken when a later revision of its episode has gone out on its channel."""
    store = MessageStore(database)
    take_down(store, a_message(3), a_message(2), a_message(1, channel="webhook"))
    third, second = waiting(store)
    store.record([(third, Verdict(MessageStatus.SENT, attempts=1, sent_at=START))])

    assert {second.number} == store.overtaken([second, *waiting(store, channels=("webhook",))])


def test_a_pause_is_seen_until_it_ends(database: Database) -> None:
    """A pause keeps its beginning when it is asked for again."""
    store = MessageStore(database)
    assert store.paused_since() is None

    store.pause(START)
    store.pause(START + timedelta(hours=1))
    assert START == store.paused_since()

    store.resume()
    assert store.paused_since() is None


def test_the_migrations_build_the_tables_of_the_code(database: Database) -> None:
    """`tables.py` and the migrations say the same."""
    with database.read() as connection:
        assert [] == compare_metadata(MigrationContext.configure(connection), tables.metadata)


def test_migrations_go_down_and_up_with_data(url: str) -> None:
    """A step down drops what that step brought and keeps the rest; up again it is as before; down to nothing works."""
    with open_database(url) as database:
        store = CaseStore(database)
        apply(store, alert(), alert(borrower="b-2"))
        take_down(MessageStore(database), a_message())
        before = pictures(store)

        migrate(database, "0002", down=True)
        assert "promises" not in inspect(database.engine).get_table_names()
        assert ["a-1"] == [m for (m,) in rows(database, "SELECT alert_id FROM messages")]
        migrate(database)
        assert before == pictures(store)
        assert () == store.verify().faults

        migrate(database, "0001", down=True)
        assert "messages" not in inspect(database.engine).get_table_names()
        migrate(database)
        assert () == store.verify().faults
        assert before == pictures(store)
        assert [] == waiting(MessageStore(database))

        migrate(database, "base", down=True)
        assert ["alembic_version"] == inspect(database.engine).get_table_names()
        migrate(database)
        assert [] == store.listed()


def rows(database: Database, query: str) -> list[tuple[object, ...]]:
    """What a database of an older release answers."""
    with database.read() as connection:
        return [tuple(row) for row in connection.execute(text(query))]


def test_many_processes_may_open_a_new_database_at_once(url: str) -> None:
    """The migrations run once, whoever comes first; nobody fails."""
    barrier = threading.Barrier(4)
    faults: list[Exception] = []

    def start() -> None:
        barrier.wait()
        try:
            open_database(url).close()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the test shows it
            faults.append(fault)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [] == faults


@pytest.mark.docker
def test_a_connection_that_is_lost_is_unavailable_and_changes_nothing(postgres: str) -> None:
    """A server that goes away in the middle of a batch leaves no part of it, and the next attempt works."""
    with open_database(new_postgres(postgres)) as database:
        store = CaseStore(database)

        def lose() -> None:
            with store.begin() as transaction:
                transaction.advance("alerts", 0, start=0, end=1)
                with psycopg.connect(
                    database.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
                ) as other:
                    other.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE state LIKE 'idle in%'")
                transaction.applied({"x"})

        with pytest.raises(Unavailable):
            lose()

        assert {} == store.positions("alerts")
        apply(store, alert())
        assert {0: 1} == store.positions("alerts")


def test_a_locked_file_is_unavailable_and_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another writer that does not finish is waited for, then it is a fault that passes."""
    monkeypatch.setattr("streams.stores.database.BUSY_SECONDS", 0.05)
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        store = CaseStore(database)
        with database.write(), pytest.raises(Unavailable, match="locked"):
            apply(store, alert())

        apply(store, alert())
        assert {0: 1} == store.positions("alerts")
