"""The pages that people look at: inbox, board, lists of cases, a case, a borrower, approvals, detectors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import RedirectResponse, Response

from schemas.alerts import Severity
from streams.api.console import looking
from streams.api.console.drawing import drawing_of
from streams.api.console.offers import forms_for
from streams.api.console.room import NAV, link
from streams.api.console.sessions import SEE_OTHER, Who, Within
from streams.api.desk import CaseQuery, InboxQuery
from streams.errors import NotFound
from streams.stores.case import CaseState, Stage
from streams.stores.tiers import tiers_of

if TYPE_CHECKING:
    from streams.api.console.room import Room

router = APIRouter()
BOARD_CARDS = 20
"""Cards of a column; the rest is a list of its own."""
PAGE_ROWS = 50
TIERS = ("critical", "high", "watch")

Text = Annotated[str, Query(max_length=200)]


@router.get("/")
def start(who: Who) -> Response:
    """The day begins with the inbox."""
    del who
    return RedirectResponse(link("inbox"), SEE_OTHER)


@router.get("/inbox")
def inbox(
    room: Within,
    who: Who,
    severity: Text = "",
    detector: Text = "",
    held: Text = "",
    after: Text = "",
) -> Response:
    """Open alerts, the most severe first."""
    query = InboxQuery(
        severity=_one_of(Severity, severity),
        detector=detector.strip() or None,
        in_case={"yes": True, "no": False}.get(held),
        cursor=after or None,
        limit=PAGE_ROWS,
    )
    head = _head(room)
    page = room.desk.inbox(query)
    tiers = tiers_of(room.desk.database, {episode.borrower for episode in page.items})
    chosen = {"severity": severity, "detector": query.detector or "", "held": held}
    return room.page("inbox", who, at="inbox", live="all", head=head, page=page, tiers=tiers, chosen=chosen,
        severities=[s.value for s in reversed(Severity)],
    )  # fmt: skip


@router.get("/board")
def board(room: Within, who: Who) -> Response:
    """The open cases by stage."""
    head = _head(room)
    columns = room.desk.board(BOARD_CARDS)
    shown = [(stage, columns.get(stage)) for stage in Stage]
    cards = {stage: [looking.card(case, room.now()) for case in column.cases] for stage, column in shown if column}
    counts = {stage: column.count if column else 0 for stage, column in shown}
    return room.page("board", who, at="board", live="all", head=head, cards=cards, counts=counts, stages=list(Stage))


@router.get("/cases")
def cases(
    room: Within,
    who: Who,
    state: Text = "",
    stage: Text = "",
    owner: Text = "",
    tier: Text = "",
    late: Text = "",
    ended: Text = "",
    after: Text = "",
) -> Response:
    """A list of cases."""
    query = CaseQuery(
        state=_one_of(CaseState, state),
        stage=_one_of(Stage, stage),
        owner=_owner(owner.strip(), who.actor.account),
        tier=tier if tier in TIERS else None,
        overdue_only=bool(late),
        closed=bool(ended),
        cursor=after or None,
        limit=PAGE_ROWS,
    )
    head = _head(room)
    page = room.desk.cases(query)
    chosen = {"state": state, "stage": stage, "owner": owner, "tier": tier, "late": late, "ended": ended}
    rows = [looking.card(case, room.now()) for case in page.items]
    return room.page("cases", who, at="mine" if owner == "me" else "cases", live="all", head=head, rows=rows,
        following=page.next_cursor, chosen=chosen, states=[s.value for s in CaseState],
        stages=[s.value for s in Stage], tiers=TIERS,
    )  # fmt: skip


@router.get("/mine")
def mine(who: Who) -> Response:
    """The cases of who asks."""
    del who
    return RedirectResponse(link("cases", owner="me"), SEE_OTHER)


def _owner(asked: str, me: str) -> str | None:
    if not asked:
        return None
    return {"me": me, "nobody": ""}.get(asked, asked)


@router.get("/cases/{case_id}")
def case(room: Within, who: Who, case_id: str) -> Response:
    """A case with its next step and all that may be done."""
    head = _head(room)
    file = room.desk.case(case_id)
    ground = looking.ground(room, who.actor, file)
    return room.page("case", who, at="case", live=file.case.case_id, head=head, file=file,
        card=looking.card(file.case, room.now()), forms=list(forms_for(ground)), story=looking.story(file),
        once=looking.once(), seen=looking.seen(file), judged={j.episode_id: j for j in file.judgements},
    )  # fmt: skip


@router.get("/borrowers/{token}")
def borrower(room: Within, who: Who, token: str) -> Response:
    """All about a borrower, drawn over time."""
    head = _head(room)
    file = room.desk.borrower(token)
    view = room.timeline(token)
    drawing = drawing_of(view, looking.past_of(file), room.now())
    open_case = next((one for one in file.cases if one.closed_at is None), None)
    return room.page("borrower", who, at="borrower", live=open_case.case_id if open_case else "", head=head, file=file,
        drawing=drawing, view=view, cards=[looking.card(one, room.now()) for one in file.cases],
        legend=looking.legend(drawing),
    )  # fmt: skip


@router.get("/approvals")
def approvals(room: Within, who: Who) -> Response:
    """Hard steps that wait for a supervisor."""
    head = _head(room)
    waiting = [(one, room.desk.case(one.case_id)) for one in room.desk.approvals()]
    rows = [(one, file, looking.card(file.case, room.now()), looking.reason_of(one, file)) for one, file in waiting]
    return room.page("approvals", who, at="approvals", live="all", head=head, rows=rows, once=looking.once())


@router.get("/detectors")
def detectors(room: Within, who: Who) -> Response:
    """How right each detector's alerts were, as people judged them."""
    return room.page("detectors", who, at="detectors", rows=room.desk.precision())


@router.get("/help")
def keys(room: Within, who: Who) -> Response:
    """The keys."""
    return room.page("help", who, at="help", pages_by_key=NAV)


@router.get("/search")
def search(room: Within, who: Who, q: Text = "") -> Response:
    """The case of that id, or the borrower of that token."""
    wanted = q.strip()
    for page, known in (("cases", room.desk.case), ("borrowers", room.desk.borrower)):
        try:
            if wanted:
                known(wanted)
                return RedirectResponse(link(page, wanted), SEE_OTHER)
        except NotFound:
            continue
    return room.page("search", who, at="search", status=404 if wanted else 200, q=wanted)


def _head(room: Room) -> int:
    """Where the trail ends before the page is read: what changes while it is made is told as live."""
    return room.desk.changes_since(2**62)[0]


def _one_of(kind: Any, text: str) -> Any:
    """The member of an enumeration, None for what is none: a filter that nobody offers narrows nothing."""
    return next((one for one in kind if one.value == text), None)
