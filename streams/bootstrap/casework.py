"""What the commands do on cases: who does it, to which case, and how what was typed is read as an action.

Whoever can open the database may change anything in it, so these commands check no key. `--by` says who acts, and
`--role` as what: rights are checked as over HTTP, which keeps an honest person from doing what their role forbids.
"""

from __future__ import annotations

import getpass
import tomllib
import uuid
from typing import TYPE_CHECKING, Any

import orjson
from pydantic import ValidationError

from schemas.codec import describe
from streams.api.desk import CaseQuery
from streams.bootstrap.cases import open_desk
from streams.bootstrap.snooze import account
from streams.casework.actions import ACTIONS
from streams.casework.roles import Actor
from streams.errors import Misconfigured, NotFound
from streams.stores.accounts import RESERVED

if TYPE_CHECKING:
    from pathlib import Path

    from streams.api.desk import CaseFile, Desk
    from streams.casework.actions import Action
    from streams.casework.roles import Role
    from streams.settings import Settings

PLAN_BYTES_MAX = 1_000_000
"""The largest file of a plan that is read."""


def act(settings: Settings, case_or_borrower: str, action: Action, *, by: str | None, role: Role) -> CaseFile:
    """Do it. Raises NotFound, NotAllowed, Conflict, Misconfigured or Unavailable."""
    who = account(by if by is not None else getpass.getuser())
    if who in RESERVED:
        raise Misconfigured(f"{who} is what the audit trail calls a process of ours: say who you are with --by")
    actor = Actor(who, role)
    with open_desk(settings) as desk:
        return desk.act(case_of(desk, case_or_borrower, action), action, actor, version=None)


def action(kind: str, **fields: Any) -> Action:
    """An action of what was typed; what was not given is left out. Raises Misconfigured, quoting nothing of it."""
    given = {name: value for name, value in fields.items() if value is not None}
    try:
        return ACTIONS.validate_python({"kind": kind, **given})
    except ValidationError as mistake:
        raise Misconfigured(describe(mistake).replace(f"{kind}.", "")) from None


def case_of(desk: Desk, case_or_borrower: str, action: Action | None = None) -> str:
    """The id of a case, or of a borrower's open one (to reopen it: of the latest ended one). Raises NotFound."""
    if is_case_id(case_or_borrower):
        return case_or_borrower
    ended = action is not None and action.kind == "reopen"
    page = desk.cases(CaseQuery(borrower=case_or_borrower, closed=ended, limit=1))
    if not page.items:
        raise NotFound(
            f"there is no {'ended' if ended else 'open'} case of a borrower {case_or_borrower}: try `ews cases list`"
        )
    return page.items[0].case_id


def loan_and_currency(
    settings: Settings, case_or_borrower: str, loan: str | None, currency: str | None
) -> tuple[str, str]:
    """Which loan of the case is meant, and its currency, where they were not said. Raises Misconfigured or NotFound."""
    if loan is not None and currency is not None:
        return loan, currency
    with open_desk(settings) as desk:
        loans = {each.loan: each.currency for each in desk.case(case_of(desk, case_or_borrower)).case.loans}
    if loan is None:
        if len(loans) != 1:
            raise Misconfigured(f"the case has {len(loans)} loans: say which one with --loan")
        (loan,) = loans
    if currency is None and loan not in loans:
        raise Misconfigured(f"the case holds no such loan: there is {', '.join(sorted(loans)) or 'none'}")
    return loan, currency or loans[loan]


def plan_in(file: Path) -> dict[str, Any]:
    """A plan as a file has it, TOML or JSON by its ending. Raises Misconfigured."""
    try:
        if file.stat().st_size > PLAN_BYTES_MAX:
            raise Misconfigured(f"{file} is larger than {PLAN_BYTES_MAX} bytes: that is no plan")
        raw = file.read_bytes()
    except OSError as fault:
        raise Misconfigured(f"{file} cannot be read ({fault.strerror})") from fault
    try:
        plan = tomllib.loads(raw.decode()) if file.suffix == ".toml" else orjson.loads(raw)
    except (tomllib.TOMLDecodeError, orjson.JSONDecodeError, UnicodeDecodeError) as fault:
        raise Misconfigured(f"{file} is no {'TOML' if file.suffix == '.toml' else 'JSON'}: {fault}") from None
    if not isinstance(plan, dict):
        raise Misconfigured(f"{file} holds no plan: an object with reason, effective_on and schedule")
    return plan


def is_case_id(text: str) -> bool:
    """Whether this is the id of a case and no borrower token."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
