"""One suite for both databases: what people do at the desk is kept whole, loses nothing, and is vouched for."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from schemas.alerts import Severity
from streams.api.desk import Answered, CaseQuery, Desk, InboxQuery, Reply
from streams.casework.actions import ACTIONS
from streams.casework.ladder import Ladder
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.errors import Conflict, NotFound, Rejected, Stale, Unavailable
from streams.metrics import Metrics
from streams.stores import requests
from streams.stores.accounts import AccountStore
from streams.stores.case import CaseState, Stage
from streams.stores.case_books import CaseBooks
from streams.stores.cases import CaseStore
from streams.stores.database import Database, migrate, open_database
from streams.stores.outbox import Outbox
from streams.stores.personal import erase_texts
from streams.stores.work import PromiseState
from tests.casework.builders import ANNA, BORIS, SUE, TODAY
from tests.consumers.builders import START, alert, episode
from tests.stores.databases import new_postgres, postgres_server

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from schemas.alerts import Alert
    from streams.api.desk import CaseFile
    from streams.casework.roles import Actor

LADDER = Ladder.standard().with_hard_steps("litigation")
NOW = START + timedelta(hours=2)


@pytest.fixture(scope="module")
def postgres() -> Iterator[str]:
    """A PostgreSQL server."""
    with postgres_server() as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.docker)])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    url = f"sqlite:///{tmp_path}/cases.db"
    if request.param == "postgres":
        request.getfixturevalue("docker")
        url = new_postgres(request.getfixturevalue("postgres"))
    with open_database(url) as opened:
        yield opened


@pytest.fixture
def desk(database: Database) -> Desk:
    """A desk two hours after the start."""
    return Desk(database, LADDER, now=lambda: NOW)


def take(database: Database, *alerts: Alert, start: int = 0) -> None:
    """Take a batch of alerts, as the loop would."""
    creator = CaseCreator(CaseStore(database), LADDER, Metrics())
    creator.take(Batch("alerts", 0, start, start + len(alerts), alerts))


def a_case(database: Database, *, dpd: int = 95) -> str:
    """The id of an open case."""
    take(database, alert(dpd=dpd))
    return CaseStore(database).files_of("b-1")[0].case.case_id


def do(desk: Desk, case_id: str, kind: str, actor: Actor = ANNA, version: int | None = None, **fields: Any) -> CaseFile:
    """An action at the desk."""
    return desk.act(case_id, ACTIONS.validate_python({"kind": kind, **fields}), actor, version=version)


def everything(desk: Desk, case_id: str) -> CaseFile:
    """A case with a promise, a plan, an approval, a note, a judgement, a contact."""
    schedule = [{"number": 1, "due_on": "2026-04-01", "amount_minor": 5}]
    do(desk, case_id, "promise", loan="l-1", amount_minor=7, currency="CNY", promised_on=TODAY)
    do(desk, case_id, "plan", loan="l-1", reason="plan", effective_on=TODAY, schedule=schedule)
    do(desk, case_id, "request_approval", step="litigation", reason="no answer")
    do(desk, case_id, "judge", verdict="confirmed_risk", note="true")
    do(desk, case_id, "log_contact", channel="call", reached=True)
    return do(desk, case_id, "note", text="Zoë said: \U0001f600 ' OR 1=1; --")


def test_what_people_made_comes_back_as_it_was_written(desk: Desk, database: Database) -> None:
    """Every value survives the database, and what the action answered is what is read afterwards."""
    written = everything(desk, a_case(database))
    read = desk.case(written.case.case_id)

    assert written == read
    assert [7] == [promise.amount_minor for promise in read.promises]
    assert ["2026-04-01"] == [line["due_on"] for line in read.plans[0].schedule]
    assert ["litigation"] == [approval.step for approval in read.approvals]
    assert {"no answer", "true", "Zoë said: \U0001f600 ' OR 1=1; --"} == {note.text for note in read.notes}
    assert ["confirmed_risk"] == [judgement.verdict for judgement in read.judgements]
    assert [7, 7] == [read.case.version, len(read.history)]
    assert () == CaseStore(database).verify().faults


def test_events_of_an_action_wait_with_it(desk: Desk, database: Database) -> None:
    """One event for each fact, in the transaction of the change; a refused action leaves none."""
    case_id = a_case(database)
    everything(desk, case_id)
    with pytest.raises(Conflict):
        do(desk, case_id, "promise", loan="another", amount_minor=7, currency="CNY", promised_on=TODAY)

    topics = [row.topic for row in Outbox(database).waiting(100)]

    assert ["repayments", "repayments", "alert-outcomes", "contacts", "contacts"] == topics


def test_a_case_that_was_changed_since_is_stale(desk: Desk, database: Database) -> None:
    """Nothing is written, and the next version may be used."""
    case_id = a_case(database)
    do(desk, case_id, "take", version=1)

    with pytest.raises(Stale, match="version 2"):
        do(desk, case_id, "note", BORIS, version=1, text="mine")
    assert 3 == do(desk, case_id, "note", BORIS, version=2, text="mine").case.version
    with pytest.raises(NotFound):
        do(desk, "no-such-case", "take")
    with pytest.raises(NotFound):
        desk.case("no-such-case")


def test_a_request_is_answered_once(desk: Desk, database: Database) -> None:
    """The answer is kept in the transaction; the same key again does nothing; a refused action keeps no answer."""
    case_id = a_case(database)
    reply = Reply("anna", "key-1", "abc", lambda file: (200, str(file.case.version), f'"{file.case.version}"'))
    note = ACTIONS.validate_python({"kind": "note", "text": "once"})

    desk.act(case_id, note, ANNA, version=None, reply=reply)
    with pytest.raises(Answered):
        desk.act(case_id, note, ANNA, version=None, reply=reply)
    with pytest.raises(Stale):
        desk.act(case_id, note, ANNA, version=9, reply=replace(reply, key="key-2"))

    assert requests.Answer("abc", 200, "2", '"2"') == requests.answer_of(database, "anna", "key-1")
    assert requests.answer_of(database, "anna", "key-2") is None
    assert 1 == len(desk.case(case_id).notes)


def at_once(*works: Callable[[], object]) -> list[Exception]:
    """Do all of it at the same moment; what failed."""
    barrier, faults = threading.Barrier(len(works)), []

    def one(work: Callable[[], object]) -> None:
        barrier.wait()
        try:
            work()
        except Exception as fault:  # noqa: BLE001 - whatever it is, the test shows it
            faults.append(fault)

    threads = [threading.Thread(target=one, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return faults


def test_alerts_and_people_lose_nothing_of_each_other(desk: Desk, database: Database) -> None:
    """The case creator, two collectors and a supervisor work on one case at once: every change is in it."""
    case_id, rounds = a_case(database, dpd=5), 12

    def alerts() -> None:
        for number in range(rounds):
            told = alert("escalated", revision=number + 2, step=number, dpd=5 + number, hours=1 + number / 100)
            take(database, told, start=1 + number)

    def notes(actor: Actor) -> Callable[[], None]:
        return lambda: [do(desk, case_id, "note", actor, text=f"{number}") for number in range(rounds)] and None

    def promises() -> None:
        for _ in range(rounds // 3):
            made = do(desk, case_id, "promise", SUE, loan="l-1", amount_minor=1, currency="CNY", promised_on=TODAY)
            [waited] = [p.promise_id for p in made.promises if p.state is PromiseState.OPEN]
            do(desk, case_id, "cancel_promise", SUE, promise_id=waited, reason="x")

    assert [] == at_once(alerts, notes(ANNA), notes(BORIS), promises)

    file = desk.case(case_id)
    assert 1 + 3 * rounds + 2 * (rounds // 3) == file.case.version
    assert 5 + rounds - 1 == file.case.days_past_due
    assert 2 * rounds + rounds // 3 == len(file.notes)
    assert rounds // 3 == len(file.promises)
    assert () == CaseStore(database).verify().faults


def test_of_two_that_edit_one_version_one_is_told(desk: Desk, database: Database) -> None:
    """Both read version 1; the second to write is stale, and nothing of the first is lost."""
    case_id = a_case(database)

    faults = at_once(
        lambda: do(desk, case_id, "note", ANNA, version=1, text="anna's"),
        lambda: do(desk, case_id, "note", BORIS, version=1, text="boris's"),
    )

    assert [Stale] == [type(fault) for fault in faults]
    assert 1 == len(desk.case(case_id).notes)


def test_of_two_equal_requests_at_once_one_is_done(desk: Desk, database: Database) -> None:
    """A double click gives one note."""
    case_id = a_case(database)
    reply = Reply("anna", "key-1", "abc", lambda file: (200, str(file.case.version), None))
    note = ACTIONS.validate_python({"kind": "note", "text": "once"})

    faults = at_once(*[lambda: desk.act(case_id, note, ANNA, version=None, reply=reply)] * 4)

    assert {Answered} == {type(fault) for fault in faults}
    assert 1 == len(desk.case(case_id).notes)


def test_a_case_is_reopened_or_another_opens_never_both(desk: Desk, database: Database) -> None:
    """An alert opens a new case while somebody reopens the old one: one of them wins, the other may try again."""
    case_id = a_case(database)
    do(desk, case_id, "close", SUE, **{"as": "settled"}, reason="x")

    faults = at_once(
        lambda: do(desk, case_id, "reopen", SUE, reason="y"),
        lambda: take(database, alert(detector="partial_payment", dpd=3, hours=1), start=1),
    )

    assert {type(fault) for fault in faults} <= {Conflict, Unavailable}
    assert 1 == sum(file.case.closed_at is None for file in CaseStore(database).files_of("b-1"))
    assert () == CaseStore(database).verify().faults


def test_a_reopened_case_holds_its_episodes_as_they_are_by_now(desk: Desk, database: Database) -> None:
    """What was told of them while it was closed is in it, and the trail still vouches for it."""
    case_id = a_case(database, dpd=5)
    do(desk, case_id, "close", SUE, **{"as": "settled"}, reason="x")
    take(database, alert("escalated", revision=2, severity="watch", step=9, hours=1), start=1)
    assert [1] == [e.step for e in desk.case(case_id).episodes]

    file = do(desk, case_id, "reopen", SUE, reason="y")

    assert [9] == [e.step for e in file.episodes]
    assert (Severity.WATCH, Stage.CALL) == (file.case.severity, file.case.stage)
    assert () == CaseStore(database).verify().faults
    take(database, alert("resolved", revision=3, hours=3), start=2)
    assert CaseState.RESOLVED is desk.case(case_id).case.state
    assert () == CaseStore(database).verify().faults


def test_a_reopened_case_takes_in_what_came_since(desk: Desk, database: Database) -> None:
    """A watch alert that opened nothing after the case was closed joins it; an info one does not."""
    case_id = a_case(database, dpd=5)
    do(desk, case_id, "close", SUE, **{"as": "settled"}, reason="x")
    since = [alert(detector="income_missing", severity="watch"), alert(detector="upcoming", severity="info")]
    take(database, *since, start=1)

    file = do(desk, case_id, "reopen", SUE, reason="y")

    assert {"missed_installment", "income_missing"} == {e.detector for e in file.episodes}
    assert file == desk.case(case_id)
    assert () == CaseStore(database).verify().faults


@pytest.mark.parametrize(
    "crime",
    [
        "UPDATE promises SET amount_minor = 1",
        "UPDATE promises SET state = 'kept'",
        "DELETE FROM promises",
        "UPDATE plans SET reason = 're_age'",
        "DELETE FROM plans",
        "UPDATE approvals SET state = 'approved', decided_by = 'sue'",
        "DELETE FROM approvals",
        "UPDATE notes SET text = 'nothing'",
        "DELETE FROM notes",
        "UPDATE notes SET text = '', erased_at = at",
        "UPDATE cases SET owner = 'eve'",
        "UPDATE cases SET sla_left_seconds = 1",
        "UPDATE cases SET hardship_granted = (1 = 1)",
        "UPDATE cases SET outcome = NULL",
        "UPDATE cases SET breached_at = changed_at",
    ],
)
def test_verify_finds_what_was_done_to_peoples_work(desk: Desk, database: Database, crime: str) -> None:
    """Promises, plans, approvals, notes and each field of a case are vouched for."""
    everything(desk, a_case(database))
    assert () == CaseStore(database).verify().faults

    with database.write() as connection:
        connection.execute(text(crime))

    assert CaseStore(database).verify().faults


def test_an_erased_note_is_no_fault(desk: Desk, database: Database) -> None:
    """Its text is gone and the trail's hash stays."""
    everything(desk, a_case(database))
    erase_texts(database, "b-1", NOW)

    assert {""} == {note.text for note in desk.case(CaseStore(database).files_of("b-1")[0].case.case_id).notes}
    assert () == CaseStore(database).verify().faults


def test_a_step_down_takes_peoples_work_and_verify_says_so(desk: Desk, database: Database) -> None:
    """Cases that nobody worked on are as they were; the others are named, since part of them is gone."""
    everything(desk, a_case(database))
    take(database, alert(borrower="b-2", dpd=5), start=1)
    untouched = CaseStore(database).files_of("b-2")

    migrate(database, "0002", down=True)
    migrate(database)

    assert untouched == CaseStore(database).files_of("b-2")
    faults = CaseStore(database).verify().faults
    assert [True] == [desk.case(fault.split()[1]).case.borrower == "b-1" for fault in faults if "case" in fault[:5]]
    take(database, alert("resolved", revision=2, hours=9), start=2)


def test_a_book_may_be_read_only_to_look(desk: Desk, database: Database) -> None:
    """In a transaction that writes nothing, and without waiting for who works on the case."""
    case_id = a_case(database)
    with database.read() as connection:
        looked = CaseBooks(connection).books(["b-1"])["b-1"]
        assert looked == CaseBooks(connection).book_of(case_id)

    assert looked.case == desk.case(case_id).case


def test_lists_go_on_where_the_page_before_ended(desk: Desk, database: Database) -> None:
    """Every case once, by due time, paused ones last; ended ones the latest first; a changed list loses none."""
    take(database, *(alert(borrower=f"b-{n:02}", hours=n % 5, dpd=5) for n in range(23)))
    for n in (3, 7, 11):
        [file] = CaseStore(database).files_of(f"b-{n:02}")
        do(desk, file.case.case_id, "dispute", note="x")
    for n in (1, 2):
        [file] = CaseStore(database).files_of(f"b-{n:02}")
        do(desk, file.case.case_id, "close", SUE, **{"as": "other"}, reason="x")

    found = every_page(lambda cursor: desk.cases(CaseQuery(limit=4, cursor=cursor)))

    assert 21 == len({case.case_id for case in found})
    assert sorted(found, key=lambda c: (c.due_at is None, c.due_at or START, c.case_id)) == found
    assert [None] * 3 == [case.due_at for case in found[-3:]]
    ended = every_page(lambda cursor: desk.cases(CaseQuery(limit=1, closed=True, cursor=cursor)))
    assert {"b-01", "b-02"} == {case.borrower for case in ended}


def every_page(page: Callable[[str | None], Any]) -> list[Any]:
    """The items of all pages."""
    found, cursor = [], None
    while True:
        got = page(cursor)
        found += got.items
        cursor = got.next_cursor
        if cursor is None:
            return found


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (CaseQuery(borrower="b-1"), 1),
        (CaseQuery(owner="anna"), 1),
        (CaseQuery(owner=""), 2),
        (CaseQuery(state=CaseState.IN_PROGRESS), 1),
        (CaseQuery(stage=Stage.COLLECTOR), 1),
        (CaseQuery(severity=Severity.CRITICAL), 1),
        (CaseQuery(tier="high"), 0),
        (CaseQuery(overdue_only=True), 1),
        (CaseQuery(closed=True), 0),
    ],
)
def test_lists_are_narrowed(desk: Desk, database: Database, query: CaseQuery, count: int) -> None:
    """By each of what a query may name."""
    take(
        database,
        alert(dpd=5),
        alert(borrower="b-2", severity="critical", hours=1),
        alert(borrower="b-3", hours=-30),
    )
    [file] = CaseStore(database).files_of("b-1")
    do(desk, file.case.case_id, "take")

    assert count == len(desk.cases(query).items)


@pytest.mark.parametrize("cursor", ["x", "", "bnVsbA", "WyJlIiwieCIsInkiXQ", "é", "W10", "A" * 5000])
def test_a_cursor_of_something_else_is_refused(desk: Desk, cursor: str) -> None:
    """In one line, not with a fault."""
    with pytest.raises(Rejected, match="cursor"):
        desk.cases(CaseQuery(cursor=cursor))
    with pytest.raises(Rejected, match="cursor"):
        desk.inbox(InboxQuery(cursor=cursor))


def test_the_inbox_has_the_most_severe_first(desk: Desk, database: Database) -> None:
    """Open episodes of live detectors, held by a case or not, page by page; ended and shadow ones are not there."""
    take(
        database,
        alert(borrower="b-w", severity="watch"),
        alert(borrower="b-s", severity="critical", mode="shadow"),
        *(alert(borrower=f"b-{n}", severity="high", hours=n) for n in range(5)),
        alert(borrower="b-c", severity="critical", hours=1),
        *episode("b-done", [("opened", "high", 1), ("resolved", "high", 1)]),
    )

    found = every_page(lambda cursor: desk.inbox(InboxQuery(limit=2, cursor=cursor)))

    assert ["b-c", "b-4", "b-3", "b-2", "b-1", "b-0", "b-w"] == [e.borrower for e in found]
    assert ["b-w"] == [e.borrower for e in desk.inbox(InboxQuery(in_case=False)).items]
    assert 6 == len(desk.inbox(InboxQuery(in_case=True)).items)
    assert ["b-c"] == [e.borrower for e in desk.inbox(InboxQuery(severity=Severity.CRITICAL)).items]
    assert () == desk.inbox(InboxQuery(detector="none")).items


def test_the_board_counts_every_stage(desk: Desk, database: Database) -> None:
    """All five, with the most urgent cases of each."""
    take(database, *(alert(borrower=f"b-{n}", dpd=5, hours=n) for n in range(3)), alert(borrower="b-l", dpd=95))

    board = desk.board(2)

    assert list(Stage) == list(board)
    assert (3, ["b-0", "b-1"]) == (board[Stage.CALL].count, [case.borrower for case in board[Stage.CALL].cases])
    assert 1 == board[Stage.LITIGATION].count


def test_requests_wait_for_a_supervisor(desk: Desk, database: Database) -> None:
    """Until they are decided or their case ends."""
    case_id = a_case(database)
    do(desk, case_id, "request_approval", step="litigation", reason="x")
    [waiting] = desk.approvals()
    assert "anna" == waiting.requested_by

    do(desk, case_id, "decide_approval", SUE, approval_id=waiting.approval_id, approve=True)
    assert [] == desk.approvals()


def test_precision_is_told_by_detector(desk: Desk, database: Database) -> None:
    """The last judgement of an episode counts."""
    case_id = a_case(database)
    do(desk, case_id, "judge", verdict="confirmed_risk")
    Desk(database, LADDER, now=lambda: NOW + timedelta(hours=1)).act(
        case_id, ACTIONS.validate_python({"kind": "judge", "verdict": "false_positive"}), SUE, version=None
    )

    [row] = desk.precision()

    assert ("missed_installment", 0, 1, 0.0) == (row.detector, row.confirmed_risk, row.false_positive, row.precision)


def test_a_borrowers_file_has_every_case(desk: Desk, database: Database) -> None:
    """The latest first, each episode once as it is by now; an unknown token is not found."""
    take(database, *episode("b-1", [("opened", "high", 1), ("resolved", "high", 1), ("opened", "high", 1)]))

    file = desk.borrower("b-1")

    assert [CaseState.OPEN, CaseState.RESOLVED] == [case.state for case in file.cases]
    assert ["opened"] == [e.status for e in file.episodes]
    with pytest.raises(NotFound):
        desk.borrower("b-2")


def test_what_has_changed_is_known_by_audit_number(desk: Desk, database: Database) -> None:
    """From a number on, each case once, and the number to ask from next."""
    case_id = a_case(database)
    head, changed = desk.changes_since(0)
    assert [case_id] == changed

    assert (head, []) == desk.changes_since(head)
    do(desk, case_id, "note", text="x")
    assert (head + 1, [case_id]) == desk.changes_since(head)


def test_cases_go_to_collectors_who_take_them(desk: Desk, database: Database) -> None:
    """The least loaded of those who take cases and still have their key; nobody else."""
    accounts = AccountStore(database)
    for name, takes in (("anna", True), ("boris", True), ("carl", False)):
        accounts.create(name, ANNA.role, takes_cases=takes, at=START)
    accounts.create("sue", SUE.role, takes_cases=True, at=START)
    take(database, alert(dpd=5), alert(borrower="b-2", dpd=5), alert(borrower="b-3", dpd=5))
    store = CaseStore(database)

    given = [do(desk, store.files_of(b)[0].case.case_id, "assign", SUE).case.owner for b in ("b-1", "b-2", "b-3")]

    assert ["anna", "boris", "anna"] == given
    with store.begin() as transaction:
        assert {"anna": 2, "boris": 1} == transaction.staff()
    assert [] == store.unowned(10)
