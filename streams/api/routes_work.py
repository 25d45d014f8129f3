"""What a team looks at: the inbox, the board, requests that wait, precision, the notifier, the audit trail."""

from __future__ import annotations

import threading
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from schemas.alerts import Severity
from streams.api import answers
from streams.api.answers import answer
from streams.api.auth import Admin, Supervisor, Viewer
from streams.api.desk import InboxQuery
from streams.api.paging import LIMIT_DEFAULT, Cursor, Limit, links
from streams.api.problems import documented
from streams.api.reading import StrictRoute
from streams.api.rooms import Rooms, TheDesk, TheRooms
from streams.errors import Conflict

router = APIRouter(prefix="/v1", route_class=StrictRoute)

BOARD_MAX: Final = 100
_verifying: Final = threading.Lock()
"""A walk through the whole trail is long: one at a time is enough."""


@router.get("/alerts", summary="The inbox", tags=["alerts"], response_model=answers.Episodes, responses=documented())
def inbox(
    request: Request,
    _actor: Viewer,
    desk: TheDesk,
    severity: Annotated[Severity | None, Query(description="Only episodes of this severity.")] = None,
    detector: Annotated[str | None, Query(pattern="^[a-z][a-z0-9_]{0,63}$")] = None,
    in_case: Annotated[bool | None, Query(description="Only those that a case holds, or holds not.")] = None,
    cursor: Cursor = None,
    limit: Limit = LIMIT_DEFAULT,
) -> Response:
    """Open episodes, the most severe first, then the latest, each with its reason and whether a case holds it."""
    page = desk.inbox(InboxQuery(severity=severity, detector=detector, in_case=in_case, cursor=cursor, limit=limit))
    shown = answers.Episodes(items=tuple(map(answers.Episode.of, page.items)), next_cursor=page.next_cursor)
    return answer(shown, headers=links(request, cursor=page.next_cursor))


@router.get(
    "/approvals",
    summary="Hard steps that wait",
    tags=["cases"],
    response_model=answers.Approvals,
    responses=documented(),
)
def approvals(_actor: Viewer, desk: TheDesk) -> Response:
    """Requests for hard steps that wait for a supervisor, the oldest first."""
    return answer(answers.Approvals(items=tuple(map(answers.Approval.of, desk.approvals()))))


@router.get(
    "/stats/precision", summary="Precision", tags=["figures"], response_model=answers.Precisions, responses=documented()
)
def precision(_actor: Viewer, desk: TheDesk) -> Response:
    """How right each detector's alerts were, as people judged them."""
    return answer(answers.Precisions(items=tuple(map(answers.Precision.of, desk.precision()))))


@router.get("/stats/board", summary="The board", tags=["figures"], response_model=answers.Board, responses=documented())
def board(
    _actor: Viewer, desk: TheDesk, cases: Annotated[int, Query(ge=0, le=BOARD_MAX, description="Of each stage.")] = 20
) -> Response:
    """The open cases by stage: how many, and the most urgent of them."""
    columns = desk.board(cases).items()
    shown = [{"stage": stage, "count": column.count, "cases": column.cases} for stage, column in columns]
    return answer(answers.Board.of({"stages": shown}))


@router.get(
    "/notifier", summary="The notifier", tags=["notifier"], response_model=answers.Notifier, responses=documented()
)
def notifier(_actor: Viewer, rooms: TheRooms) -> Response:
    """Whether messages go out, and how many there are of each status."""
    return answer(_notifier(rooms))


@router.post(
    "/notifier/pause",
    summary="Stop all sending",
    tags=["notifier"],
    response_model=answers.Notifier,
    responses=documented(),
)
def pause(actor: Supervisor, rooms: TheRooms) -> Response:
    """Stop all sending now. Messages wait; nothing is lost. Said twice, the first time counts."""
    rooms.messages.pause(rooms.now())
    rooms.accounts.note("notifier.paused", actor, {}, at=rooms.now())
    return answer(_notifier(rooms))


@router.post(
    "/notifier/resume",
    summary="Let sending go on",
    tags=["notifier"],
    response_model=answers.Notifier,
    responses=documented(),
)
def resume(actor: Supervisor, rooms: TheRooms) -> Response:
    """Let sending go on: what waited goes out first."""
    rooms.messages.resume()
    rooms.accounts.note("notifier.resumed", actor, {}, at=rooms.now())
    return answer(_notifier(rooms))


@router.get(
    "/audit/verify",
    summary="Verify the audit trail",
    tags=["audit"],
    response_model=answers.Verified,
    responses=documented(409),
)
def verify(_actor: Admin, rooms: TheRooms) -> Response:
    """Check every line of the audit trail, and every case against it. One at a time; on a large trail it takes long."""
    if not _verifying.acquire(blocking=False):
        raise Conflict("The audit trail is being verified right now: wait for that to end.")
    try:
        verdict = rooms.cases.verify()
    finally:
        _verifying.release()
    head = {"lines": verdict.head.number, "hash": verdict.head.hash}
    return answer(answers.Verified(faults=verdict.faults, cases=verdict.cases, **head))


@router.get("/me", summary="Whose key it is", tags=["account"], response_model=answers.Me, responses=documented())
def me(actor: Viewer) -> Response:
    """The account and its role."""
    return answer(answers.Me.of(actor))


def _notifier(rooms: Rooms) -> answers.Notifier:
    numbers: dict[str, dict[str, int]] = {}
    for (channel, status), number in rooms.messages.counts().items():
        numbers.setdefault(channel, {})[status] = number
    return answers.Notifier(paused_since=rooms.messages.paused_since(), messages=numbers)
