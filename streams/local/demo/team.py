"""A small collections team that works the demo's cases, so that the console has something to show.

Two collectors and a supervisor do what people do: take cases, try to reach borrowers, write promises down, put cases on
hold, hear of hardship and disputes, agree a plan, ask for hard steps and decide on them, judge alerts, close a case.
What is not possible for a case is left out: the rules are those of everybody.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from schemas.outcomes import Verdict
from streams import clock
from streams.casework.actions import ACTIONS
from streams.errors import Conflict, NotAllowed
from streams.stores.case import Stage
from streams.stores.roles import Actor, Role

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from streams.casework.actions import Action
    from streams.stores.case import Case, CaseLoan
    from streams.stores.work import Approval

ANA = Actor("c-ana", Role.COLLECTOR)
BEN = Actor("c-ben", Role.COLLECTOR)
EVE = Actor("s-eve", Role.SUPERVISOR)
TEAM = (ANA, BEN, EVE)
HARD_STEPS = "lawyers_letter,litigation"
"""The hard steps that the demo switches on; a supervisor approves each all the same."""
BETWEEN = timedelta(minutes=2)
"""What passes between two things that somebody does."""
UNASSIGNED_EVERY = 5
"""Of so many cases one is left for whoever looks at the console to take."""
JUDGED_MAX = 12
WORKED_EACH = 9
"""So many collectors' cases have a story of their own."""
LEFT_EVERY = 3


class DemoClock:
    """The time of the demo's people: it begins where the events end, and then passes like anybody's."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._since = clock.monotonic()

    def __call__(self) -> datetime:
        """Now."""
        return self._start + timedelta(seconds=round(clock.monotonic() - self._since, 3))

    def pass_by(self, length: timedelta) -> None:
        """Time goes by that nobody waits for."""
        self._start += length


class _Desk(Protocol):
    """The desk as far as the team uses it (`streams.api.desk`)."""

    def act(self, case_id: str, action: Action, actor: Actor, *, version: int | None) -> Any: ...

    def case(self, case_id: str) -> Any: ...


class Team:
    """Works cases at a desk, and counts what it did."""

    def __init__(self, desk: _Desk, now: DemoClock) -> None:
        self._desk = desk
        self._now = now
        self.done: Counter[str] = Counter()

    def work(self, open_cases: Sequence[Case], ended: Iterable[Case]) -> Counter[str]:
        """A day's work, on the open cases (the most urgent first) and some that have ended."""
        for number, case in enumerate(open_cases):
            if number % UNASSIGNED_EVERY != UNASSIGNED_EVERY - 1:
                self._do(case, EVE, "assign")
        by_stage: dict[Stage, list[Case]] = {stage: [] for stage in Stage}
        for case in open_cases:
            by_stage[case.stage].append(case)
        self._remind(by_stage[Stage.REMINDER])
        self._call(by_stage[Stage.CALL])
        self._collect(by_stage[Stage.COLLECTOR])
        self._write_letters(by_stage[Stage.LAWYERS_LETTER])
        self._litigate(by_stage[Stage.LITIGATION])
        self._judge(list(ended)[:JUDGED_MAX])
        return self.done

    # -- by stage ---------------------------------------------------------------------------------------------------

    def _remind(self, cases: Sequence[Case]) -> None:
        for case in cases[:3]:
            self._tried(case, "sms", reached=False, note="Reminder sent by hand; the automatic one had no consent.")

    def _round(self, cases: Sequence[Case]) -> None:
        """A morning's calls to those that nothing else was done for; one of three is not got to."""
        for number, case in enumerate(cases):
            if number % LEFT_EVERY:
                self._tried(case, ("call", "sms")[number % 2], reached=not number % 4)

    def _call(self, cases: Sequence[Case]) -> None:
        for case, how in zip(cases, ("no_answer", "promise", "hold"), strict=False):
            if how == "no_answer":
                self._tried(case, "call", reached=False, note="No answer, mailbox full. Try again after 18:00.")
            if how == "promise":
                self._promised(case, days=7, share=1.0, note="Salary comes on the 5th, will pay in full then.")
            if how == "hold":
                self._do(case, ANA, "hold", until=self._at(days=5), reason="In hospital until the weekend, call back.")
        self._round(cases[3:])

    def _collect(self, cases: Sequence[Case]) -> None:
        for number, case in enumerate(cases[:WORKED_EACH]):
            (self._in_hardship, self._with_plan, self._disputes, self._pays_half, self._writes)[number % 5](case)
        self._round(cases[WORKED_EACH:])

    def _in_hardship(self, case: Case) -> None:
        self._tried(case, "call", reached=True)
        self._do(case, BEN, "hardship", note="Lost the job in May. Asks for a pause until the new one starts.")

    def _with_plan(self, case: Case) -> None:
        self._tried(case, "call", reached=True)
        self._do(case, ANA, "hardship", note="Short-time work since spring; could pay smaller installments.")
        self._do(case, EVE, "decide_hardship", granted=True, note="Payslips seen. Offer a plan.")
        loan = _most(case)
        if loan is not None and loan.outstanding_minor:
            self._do(case, ANA, "plan", **self._plan(loan))

    def _disputes(self, case: Case) -> None:
        self._do(case, BEN, "dispute", note="Says the last payment was made in cash at the branch. Receipt to follow.")

    def _pays_half(self, case: Case) -> None:
        self._promised(case, days=10, share=0.5, note="Can pay half now, the rest next month.")

    def _writes(self, case: Case) -> None:
        self._tried(case, "email", reached=False)
        self._do(case, ANA, "note", text="Employer has changed: new income expected from July. Check then.")

    def _write_letters(self, cases: Sequence[Case]) -> None:
        for number, case in enumerate(cases[:3]):
            self._tried(case, "call", reached=False, note="Five attempts on three days, nobody answers.")
            reason = "No contact for weeks, no answer to letters."
            self._ask(case, "lawyers_letter", reason, approve=(True, None, False)[number])

    def _litigate(self, cases: Sequence[Case]) -> None:
        for number, case in enumerate(cases[:4]):
            if number % 2:
                self._tried(case, "visit", reached=False, note="Nobody at home; the neighbours know nothing.")
            reason = "Pays other lenders and gambles; the collateral is losing value."
            self._ask(case, "litigation", reason, approve=(True, None, False, None)[number])
        if len(cases) > len(TEAM) + 1:
            self._do(cases[-1], EVE, "close", **{"as": "uncollectable", "reason": "Costs would exceed what is owed."})

    def _judge(self, cases: Sequence[Case]) -> None:
        verdicts = (Verdict.CONFIRMED_RISK, Verdict.VALUABLE_ALERT, Verdict.CONFIRMED_RISK, Verdict.FALSE_POSITIVE)
        for number, case in enumerate(cases):
            self._do(case, (ANA, BEN)[number % 2], "judge", verdict=verdicts[number % len(verdicts)])

    # -- single things ----------------------------------------------------------------------------------------------

    def _tried(self, case: Case, channel: str, *, reached: bool, note: str | None = None) -> None:
        self._do(case, self._owner(case), "log_contact", channel=channel, reached=reached, note=note)

    def _promised(self, case: Case, *, days: int, share: float, note: str) -> None:
        self._tried(case, "call", reached=True, note=note)
        loan = _most(case)
        if loan is not None:
            owed = loan.overdue_minor or loan.outstanding_minor
            on = self._at(days=days).date()
            amount = max(1, int(owed * share))
            self._do(
                case, self._owner(case), "promise",
                loan=loan.loan, currency=loan.currency, amount_minor=amount, promised_on=on,
            )  # fmt: skip

    def _plan(self, loan: CaseLoan) -> dict[str, Any]:
        today = self._now().date()
        each = -(-loan.outstanding_minor // 6)
        lines = [
            {"number": 900 + n, "due_on": today + timedelta(days=30 * n), "amount_minor": each} for n in range(1, 7)
        ]
        return {"loan": loan.loan, "reason": "plan", "effective_on": today, "schedule": lines}

    def _ask(self, case: Case, step: str, reason: str, *, approve: bool | None) -> None:
        """Ask for a hard step; None leaves it to whoever looks at the console."""
        if not self._do(case, self._owner(case), "request_approval", step=step, reason=reason) or approve is None:
            return
        note = "Approved: the file is complete." if approve else "Not yet: visit the employer's address first."
        for one in self._waiting(case):
            self._do(case, EVE, "decide_approval", approval_id=one.approval_id, approve=approve, note=note)

    def _waiting(self, case: Case) -> list[Approval]:
        return [one for one in self._desk.case(case.case_id).approvals if one.state == "requested"]

    def _owner(self, case: Case) -> Actor:
        """Who has the case by now; Ana looks after what nobody has."""
        owner = self._desk.case(case.case_id).case.owner
        return BEN if owner == BEN.account else ANA

    def _do(self, case: Case, actor: Actor, kind: str, **fields: Any) -> bool:
        """Do it, if it is possible."""
        self._now.pass_by(BETWEEN)
        given = {name: value for name, value in fields.items() if value is not None}
        try:
            self._desk.act(case.case_id, ACTIONS.validate_python({"kind": kind, **given}), actor, version=None)
        except (Conflict, NotAllowed):
            return False
        self.done[kind] += 1
        return True

    def _at(self, *, days: int) -> datetime:
        return (self._now() + timedelta(days=days)).astimezone(UTC)


def _most(case: Case) -> CaseLoan | None:
    """The loan with the most days past due."""
    return max(case.loans, key=lambda loan: (loan.days_past_due, loan.outstanding_minor), default=None)
