from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from streams import clock
from streams.api.desk import CaseQuery, Desk
from streams.casework.ladder import Ladder
from streams.local.demo.team import HARD_STEPS, TEAM, DemoClock, Team
from streams.stores.accounts import AccountStore
from streams.stores.case import CaseState
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.roles import Role
from tests.api.house import open_cases
from tests.consumers.builders import START

if TYPE_CHECKING:
    from pathlib import Path

DAYS = {"reminder": 0, "call": 6, "collector": 20, "letter": 70, "court": 120}


def test_the_team_leaves_cases_at_every_stage_and_in_every_state(tmp_path: Path) -> None:
    """Promises, holds, hardship, disputes, plans, approved and open requests: enough for the console to show all."""
    with open_database(f"sqlite:///{tmp_path}/cases.db") as database:
        store, accounts = CaseStore(database), AccountStore(database)
        for name, dpd in DAYS.items():
            open_cases(store, *(f"{name}-{n}" for n in range(10)), dpd=dpd, step=dpd or 1)
        for actor in TEAM:
            accounts.create(actor.account, actor.role, takes_cases=actor.role is Role.COLLECTOR, at=clock.now())
        now = DemoClock(START + timedelta(hours=1))
        desk = Desk(database, Ladder.standard().with_hard_steps(HARD_STEPS), now=now)
        done = Team(desk, now).work(desk.cases(CaseQuery(limit=500)).items, desk.cases(CaseQuery(closed=True)).items)
        states = {case.state for case in desk.cases(CaseQuery(limit=500)).items}
        assert {"assign", "log_contact", "hold", "hardship", "decide_hardship", "plan", "dispute", "promise", "note",
                "request_approval", "decide_approval", "close"} <= set(done)  # fmt: skip
        assert {CaseState.OPEN, CaseState.IN_PROGRESS, CaseState.PROMISE_TO_PAY, CaseState.HARDSHIP_REQUESTED,
                CaseState.ON_HOLD} <= states  # fmt: skip
        assert desk.approvals()
        assert () == store.verify().faults
