"""People who work the cases of a year: hardship, disputes, promises and holds that come and go, and calls by hand.

What stops collecting is done to the product through its desk, and written down for the checker beside it.
"""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from streams.api.desk import CaseQuery, Desk
from streams.casework.actions import (
    CancelPromise,
    DecideHardship,
    Dispute,
    EndDispute,
    Hardship,
    Promise,
    Resume,
)
from streams.casework.actions import Hold as HoldCase
from streams.casework.contact import Channel, Kind
from streams.casework.roles import Actor, Role
from streams.errors import Rejected
from tests.contact_year.dialler import Wish
from tests.contact_year.evidence import Hold

if TYPE_CHECKING:
    from collections.abc import Callable

    from streams.casework.actions import Action
    from streams.stores.case import Case
    from tests.contact_year.agenda import Agenda

COLLECTOR, SUPERVISOR = Actor("c-1", Role.COLLECTOR), Actor("s-1", Role.SUPERVISOR)
SHARES = {"hardship": 0.20, "dispute": 0.15, "promise": 0.45, "hold": 0.20}
"""How many of the cases each happens to."""
AGAIN_DAYS = 30
"""After so many days the same may happen to a case again."""
AGENCY_SHARE = 0.05
"""Of the bursts of calls, so many are an agency's that asks nobody."""


class Office:
    """Follows every case from its opening to its end."""

    def __init__(
        self,
        desk: Desk,
        agenda: Agenda,
        wish: Callable[[Wish], object],
        changed: Callable[[str], object],
        *,
        bursts: float,
        seed: int,
    ) -> None:
        self._desk, self._agenda, self._wish, self._changed, self._bursts = desk, agenda, wish, changed, bursts
        self._draw = random.Random(f"office {seed}")  # noqa: S311 - the same for the same seed
        self._open: dict[str, Case] = {}
        self.held: list[Hold] = []
        self.acted: dict[str, int] = {}
        self.refused = 0

    def look(self, borrower: str) -> None:
        """After alerts of a borrower: take up a case that is new, and see that one has ended."""
        found = self._desk.cases(CaseQuery(borrower=borrower)).items
        case = found[0] if found else None
        before = self._open.pop(borrower, None)
        if case is not None:
            self._open[borrower] = case
        if before is not None and (case is None or case.case_id != before.case_id):
            self._end(borrower, *SHARES)
        if case is not None and (before is None or case.case_id != before.case_id):
            self._plan(case)
            self._call(case)

    def died(self, borrower: str) -> None:
        """The desk has been told so; it ends with no case."""
        self.held.append(Hold(borrower=borrower, kind="deceased", since=self._agenda.now))

    def _plan(self, case: Case) -> None:
        """What will happen to a case in its next weeks, as long as it is open."""
        if not self._is_open(case):
            return
        does = {"hardship": self._hardship, "dispute": self._dispute, "promise": self._promise, "hold": self._hold}
        for name, share in SHARES.items():
            if self._draw.random() < share:
                self._later(20, lambda do=does[name]: do(case))  # type: ignore[misc]
        self._agenda.at(self._agenda.now + timedelta(days=AGAIN_DAYS), lambda: self._plan(case))

    def _is_open(self, case: Case) -> bool:
        return case.borrower in self._open and self._open[case.borrower].case_id == case.case_id

    def _later(self, days: float, action: Callable[[], object], least: float = 0) -> None:
        seconds = self._draw.randrange(int(least * 86_400), int(days * 86_400))
        self._agenda.at(self._agenda.now + timedelta(seconds=seconds), action)

    def _call(self, case: Case) -> None:
        """Some calls within a day and a half, at any hour; and again, as long as the case is open."""
        if not self._is_open(case):
            return
        loans = [loan.loan for loan in self._open[case.borrower].loans]
        asks = self._draw.random() >= AGENCY_SHARE
        for _ in range(self._draw.randrange(1, 6)):
            loan = self._draw.choice([*loans, *loans, None])
            wish = Wish(borrower=case.borrower, loan=loan, channel=Channel.CALL, kind=Kind.COLLECTION, asks=asks)
            self._later(1.5, lambda wish=wish: self._wish(wish))  # type: ignore[misc]
        self._later(2 / self._bursts, lambda: self._call(case))

    # What stops collecting

    def _act(self, case: Case, action: Action, actor: Actor = COLLECTOR) -> bool:
        """Do it, if the case still stands; whether it was done."""
        if not self._is_open(case):
            return False
        try:
            self._desk.act(case.case_id, action, actor, version=None)
        except Rejected:
            self.refused += 1
            return False
        self._changed(case.borrower)
        self.acted[action.kind] = self.acted.get(action.kind, 0) + 1
        return True

    def _begin(self, hold: Hold) -> None:
        self.held.append(hold)

    def _end(self, borrower: str, *kinds: str, promised_on: object = None) -> None:
        now = self._agenda.now
        for place, hold in enumerate(self.held):
            stands = hold.until is None or hold.until > now
            if hold.borrower == borrower and hold.kind in kinds and stands and promised_on in {None, hold.promised_on}:
                self.held[place] = replace(hold, until=now)

    def _hardship(self, case: Case) -> None:
        if self._act(case, Hardship(note="Lost the job.")):
            self._begin(Hold(borrower=case.borrower, kind="hardship", since=self._agenda.now))
            self._later(20, lambda: self._decide(case), least=0.5)

    def _decide(self, case: Case) -> None:
        granted = self._draw.random() < 0.5
        if self._act(case, DecideHardship(granted=granted), SUPERVISOR) and not granted:
            self._end(case.borrower, "hardship")

    def _dispute(self, case: Case) -> None:
        if self._act(case, Dispute(note="Says it was paid.")):
            self._begin(Hold(borrower=case.borrower, kind="dispute", since=self._agenda.now))
            self._later(30, lambda: self._settle(case), least=0.5)

    def _settle(self, case: Case) -> None:
        if self._act(case, EndDispute(note="It was not.")):
            self._end(case.borrower, "dispute")

    def _promise(self, case: Case) -> None:
        loans = self._open[case.borrower].loans if case.borrower in self._open else ()
        if not loans:
            return
        loan, day = self._draw.choice(loans), (self._agenda.now + timedelta(days=self._draw.randrange(2, 20))).date()
        promise = Promise(
            loan=loan.loan, amount_minor=max(1, loan.overdue_minor), currency=loan.currency, promised_on=day
        )
        if not self._act(case, promise):
            return
        self._begin(Hold(borrower=case.borrower, kind="promise", since=self._agenda.now, promised_on=day))
        if self._draw.random() < 0.3:
            made = [p for p in self._desk.case(case.case_id).promises if p.promised_on == day and p.loan == loan.loan]
            self._later(10, lambda: self._cancel(case, made[-1].promise_id, day), least=0.2)

    def _cancel(self, case: Case, promise_id: str, day: object) -> None:
        if self._act(case, CancelPromise.model_validate({"promise_id": promise_id, "reason": "A mistake."})):
            self._end(case.borrower, "promise", promised_on=day)

    def _hold(self, case: Case) -> None:
        until = self._agenda.now + timedelta(seconds=self._draw.randrange(86_400, 15 * 86_400))
        if not self._act(case, HoldCase(until=until, reason="In hospital.")):
            return
        self._begin(Hold(borrower=case.borrower, kind="hold", since=self._agenda.now, until=until))
        if self._draw.random() < 0.4:
            self._later(10, lambda: self._resume(case), least=0.2)

    def _resume(self, case: Case) -> None:
        if self._act(case, Resume()):
            self._end(case.borrower, "hold")
