"""Any sequence of alerts, actions and looks at the clock keeps what is promised of a case."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from schemas.alerts import Risk
from streams.casework.changes import Acted, gather
from streams.casework.holds import holds_of
from streams.casework.roles import Actor, Role
from streams.casework.sla import tick
from streams.consumers.case_creator import CaseCreator
from streams.consumers.loop import Batch
from streams.errors import Conflict, NotAllowed, NotFound
from streams.metrics import Metrics
from streams.stores.case import Book, CaseState, Changes, Pause, content
from streams.stores.cases import CaseFile, CaseStore
from streams.stores.database import open_database
from streams.stores.work import ApprovalState, PromiseState
from tests.casework.builders import RULES, do
from tests.consumers.builders import START, alert

LADDER = RULES.with_hard_steps("litigation,lawyers_letter")
ACTORS = st.sampled_from([Actor("anna", Role.COLLECTOR), Actor("sue", Role.SUPERVISOR), Actor("tom", Role.SUPERVISOR)])
STAFF = {"anna": 1, "boris": 1}
ENDED = {CaseState.RESOLVED, CaseState.CLOSED}
PAUSED = {CaseState.PROMISE_TO_PAY, CaseState.HARDSHIP_REQUESTED, CaseState.ON_HOLD}
KINDS = ["missed_installment", "income_missing", "broken_promise", "mandate_broken", "borrower_risk"]


class Case(RuleBasedStateMachine):
    """One borrower; the database is the model's memory, so what is read back is what was decided."""

    def __init__(self) -> None:
        super().__init__()
        self.hours = 0.0
        self.offset = 0
        self.revisions: dict[tuple[str, date], int] = {}
        self.versions: dict[str, int] = {}
        self.database = open_database("sqlite://")
        self.store = CaseStore(self.database)
        self.creator = CaseCreator(self.store, LADDER, Metrics())

    def teardown(self) -> None:
        """The trail vouches for all of it, however it went."""
        assert () == self.store.verify().faults
        self.database.close()

    @initialize()
    def opens(self) -> None:
        """There is something to work on."""
        self._tell(alert(dpd=5))

    def _tell(self, told: Any) -> None:
        self.creator.take(Batch("alerts", 0, self.offset, self.offset + 1, (told,)))
        self.offset += 1

    @rule(
        kind=st.sampled_from(KINDS),
        month=st.sampled_from([3, 4]),
        status=st.sampled_from(["opened", "escalated", "withdrawn", "resolved"]),
        severity=st.sampled_from(["info", "watch", "high", "critical"]),
        dpd=st.sampled_from([0, 5, 20, 70, 95]),
        stance=st.sampled_from(["unable", "unwilling", "undetermined"]),
    )
    def alerted(self, *, kind: str, month: int, status: str, severity: str, dpd: int, stance: str) -> None:
        """The next revision of an episode, or its beginning."""
        onset = date(2026, month, 1)
        revision = self.revisions.get((kind, onset), 0) + 1
        self.revisions[kind, onset] = revision
        whole = kind == "borrower_risk"
        risk = Risk(score=dpd, tier=severity if severity != "info" else "none", stance=stance) if whole else None
        self._tell(
            alert(
                status if revision > 1 else "opened",
                detector=kind,
                loan=None if whole else "l-1",
                onset=onset,
                revision=revision,
                step=dpd % 4,
                severity=severity,
                dpd=dpd,
                hours=self.hours,
                risk=risk,
            )
        )

    @rule(hours=st.sampled_from([0.5, 5, 30, 200]))
    def time_passes(self, hours: float) -> None:
        """And somebody looks at the clock."""
        self.hours += hours
        with self.store.begin() as transaction:
            book = transaction.books(["b-1"])["b-1"]
            acted = tick(book, START + timedelta(hours=self.hours), LADDER)
            if acted is not None:
                self._save(transaction, book, acted)
                assert tick(acted.book, START + timedelta(hours=self.hours), LADDER) is None

    def _save(self, transaction: Any, before: Book, acted: Acted) -> None:
        changes = Changes()
        gather(changes, acted)
        transaction.save(changes)
        assert before.case is not None
        assert before.case.version + 1 == acted.case.version

    def _do(self, actor: Actor, kind: str, **fields: Any) -> None:
        case_id = self.latest().case.case_id
        with self.store.begin() as transaction:
            book = transaction.book_of(case_id)
            try:
                acted = do(book, kind, actor, hours=self.hours, rules=LADDER, staff=STAFF, **fields)
            except (Conflict, NotAllowed, NotFound):
                return
            self._save(transaction, book, acted)

    def latest(self) -> CaseFile:
        """The borrower's open case, or the last one to end."""
        files = self.store.files_of("b-1")
        return min(files, key=lambda f: f.case.closed_at is not None)

    @rule(actor=ACTORS, days=st.integers(0, 31))
    def promises(self, actor: Actor, days: int) -> None:
        """An amount by a day."""
        on = (START + timedelta(hours=self.hours, days=days)).date()
        self._do(actor, "promise", loan="l-1", amount_minor=500, currency="CNY", promised_on=on)

    @rule(actor=ACTORS, data=st.data())
    def cancels(self, actor: Actor, data: st.DataObject) -> None:
        """Any promise of the case."""
        promises = self.latest().promises
        if promises:
            chosen = data.draw(st.sampled_from(promises)).promise_id
            self._do(actor, "cancel_promise", promise_id=chosen, reason="x")

    @rule(actor=ACTORS, kind=st.sampled_from(["hardship", "dispute", "end_dispute"]))
    def speaks(self, actor: Actor, kind: str) -> None:
        """Of hardship, or against the debt."""
        self._do(actor, kind, note="x")

    @rule(actor=ACTORS, granted=st.booleans())
    def decides(self, actor: Actor, granted: bool) -> None:  # noqa: FBT001 - drawn
        """On hardship."""
        self._do(actor, "decide_hardship", granted=granted)

    @rule(actor=ACTORS, hours=st.integers(1, 300))
    def holds(self, actor: Actor, hours: int) -> None:
        """Until some time."""
        self._do(actor, "hold", until=START + timedelta(hours=self.hours + hours), reason="x")

    @rule(actor=ACTORS, kind=st.sampled_from(["resume", "take"]))
    def plainly(self, actor: Actor, kind: str) -> None:
        """Actions that say nothing more."""
        self._do(actor, kind)

    @rule(actor=ACTORS, reached=st.booleans())
    def calls(self, actor: Actor, reached: bool) -> None:  # noqa: FBT001 - drawn
        """A contact by hand."""
        self._do(actor, "log_contact", channel="call", reached=reached, note="x")

    @rule(actor=ACTORS)
    def assigns(self, actor: Actor) -> None:
        """To the least loaded."""
        self._do(actor, "assign", reason="x")

    @rule(actor=ACTORS, reason=st.sampled_from(["plan", "extension", "re_age"]))
    def plans(self, actor: Actor, reason: str) -> None:
        """A new schedule."""
        day = (START + timedelta(hours=self.hours)).date()
        schedule = [{"number": 1, "due_on": day + timedelta(days=30), "amount_minor": 5}]
        self._do(actor, "plan", loan="l-1", reason=reason, effective_on=day, schedule=schedule)

    @rule(actor=ACTORS, step=st.sampled_from(["litigation", "lawyers_letter", "field_visit"]))
    def asks(self, actor: Actor, step: str) -> None:
        """For a hard step, on or off."""
        self._do(actor, "request_approval", step=step, reason="x")

    @rule(actor=ACTORS, approve=st.booleans(), data=st.data())
    def answers(self, actor: Actor, approve: bool, data: st.DataObject) -> None:  # noqa: FBT001 - drawn
        """Any request of the case."""
        approvals = self.latest().approvals
        if approvals:
            chosen = data.draw(st.sampled_from(approvals)).approval_id
            self._do(actor, "decide_approval", approval_id=chosen, approve=approve)

    @rule(actor=ACTORS, verdict=st.sampled_from(["confirmed_risk", "false_positive"]))
    def judges(self, actor: Actor, verdict: str) -> None:
        """The whole case."""
        self._do(actor, "judge", verdict=verdict)

    @rule(actor=ACTORS, closed_as=st.sampled_from(["settled", "uncollectable"]))
    def closes(self, actor: Actor, closed_as: str) -> None:
        """By hand."""
        self._do(actor, "close", **{"as": closed_as}, reason="x")

    @rule(actor=ACTORS)
    def reopens(self, actor: Actor) -> None:
        """What has ended last."""
        self._do(actor, "reopen", reason="x")

    @invariant()
    def keeps_its_promises(self) -> None:
        """Of every case of the borrower, after every step."""
        files = self.store.files_of("b-1")
        assert sum(file.case.closed_at is None for file in files) <= 1
        for file in files:
            self._check(file)
        with self.store.begin() as transaction:
            book = transaction.books(["b-1"])["b-1"]
        if book.case is not None:
            [same] = [file for file in files if file.case.case_id == book.case.case_id]
            assert content(same.case, same.episodes, same.promises, same.approvals, same.plans) == content(
                book.case, book.episodes.values(), book.promises, book.approvals, book.plans
            )
            held = holds_of(book)
            assert held.hardship == (Pause.HARDSHIP in book.case.pauses or book.case.hardship_granted)
            assert held.deceased or not book.case.deceased

    def _check(self, file: CaseFile) -> None:
        case = file.case
        assert case.version >= self.versions.get(case.case_id, 0)
        self.versions[case.case_id] = case.version
        assert case.is_paused == bool(case.pauses)
        assert len(file.history) >= case.version
        if case.closed_at is not None:
            assert case.state in ENDED
            assert replace(case, due_at=None, sla_left_seconds=None, resume_at=None, next_step="") == case
            assert ((), False, False, None) == (
                case.pauses,
                case.needs_approval,
                case.hardship_granted,
                case.hold_until,
            )
            return
        assert case.state not in ENDED
        assert case.closed_as is None
        assert case.next_step
        assert case.is_paused == (case.due_at is None)
        assert case.is_paused == (case.state in PAUSED)
        assert (case.resume_at is None) or case.is_paused
        assert (Pause.HOLD in case.pauses) == (case.hold_until is not None)
        if Pause.PROMISE in case.pauses:
            assert any(promise.state is PromiseState.OPEN for promise in file.promises)
        if case.stage.hard:
            approved = {a.step.value for a in file.approvals if a.state is ApprovalState.APPROVED}
            assert case.needs_approval or approved


Case.TestCase.settings = settings(max_examples=15, stateful_step_count=20, deadline=None)
TestAnyLife = Case.TestCase
TestAnyLife.__doc__ = (
    "Whatever happens to a case, one is open at most, its clock and its pauses agree, and the trail holds."
)
