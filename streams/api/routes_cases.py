"""Cases: lists of them, one of them, its history, and what people do to it."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Path, Query
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from schemas import traces
from schemas.alerts import Severity
from schemas.fields import Token
from streams.api import answers
from streams.api.answers import JSON, answer, etag_of
from streams.api.auth import Collector, Viewer
from streams.api.desk import Answered, CaseFile, CaseQuery, Reply
from streams.api.paging import LIMIT_DEFAULT, LIMIT_MAX, Cursor, Limit, links
from streams.api.problems import documented
from streams.api.reading import StrictRoute
from streams.api.rooms import TheDesk, TheRooms
from streams.casework.actions import Action
from streams.errors import Conflict
from streams.stores.case import CaseState, Stage, canonical
from streams.stores.requests import Answer, answer_of

router = APIRouter(prefix="/v1/cases", tags=["cases"], route_class=StrictRoute)

CaseId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", description="A case's id.")]
VERSION: Final = re.compile(r'"(\d{1,9})(?:\.[0-9a-f]{8})?"')
ETAG: Final = {"ETag": {"description": "The version, for `If-Match`.", "schema": {"type": "string"}}}
LINK: Final = {"Link": {"description": 'Where the next page is: `<...>; rel="next"`.', "schema": {"type": "string"}}}


class Filters(BaseModel):
    """Which cases. A parameter that is not known is a mistake."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    state: CaseState | None = None
    stage: Stage | None = None
    owner: Annotated[str | None, Query(max_length=128)] = None
    """An account; empty for cases that nobody has."""
    tier: Annotated[str | None, Query(pattern="^(watch|high|critical)$")] = None
    severity: Severity | None = None
    borrower: Token | None = None
    overdue: bool = False
    """Only cases whose time to act has run out."""
    closed: bool = False
    """The ended ones instead of the open ones."""
    cursor: Cursor = None
    limit: Limit = LIMIT_DEFAULT


@router.get(
    "",
    summary="List cases",
    response_model=answers.Cases,
    responses={200: {"headers": LINK}, **documented()},
)
def list_cases(request: Request, filters: Annotated[Filters, Query()], _actor: Viewer, desk: TheDesk) -> Response:
    """Open cases by when somebody must act, paused ones last; with `closed` the ended ones, the latest first."""
    asked = filters.model_dump()
    page = desk.cases(CaseQuery(overdue_only=asked.pop("overdue"), **asked))
    shown = answers.Cases(items=tuple(map(answers.Case.of, page.items)), next_cursor=page.next_cursor)
    return answer(shown, headers=links(request, cursor=page.next_cursor))


@router.get(
    "/{case_id}",
    summary="Show a case",
    response_model=answers.CaseFile,
    responses={
        200: {"headers": ETAG},
        304: {"description": "It is as the ETag of `If-None-Match` says."},
        **documented(404),
    },
)
def show_case(
    case_id: CaseId,
    _actor: Viewer,
    desk: TheDesk,
    if_none_match: Annotated[str | None, Header(max_length=1_000, description="The ETag that is known.")] = None,
) -> Response:
    """A case with its episodes, promises, approvals, plans, notes, judgements and contacts."""
    _, body, etag = _rendered(desk.case(case_id))
    if if_none_match and etag in [one.strip().removeprefix("W/") for one in if_none_match.split(",")]:
        return Response(None, 304, {"ETag": etag, "Cache-Control": PRIVATE})
    return Response(body, 200, {"ETag": etag, "Cache-Control": PRIVATE}, JSON)


PRIVATE: Final = "private, no-cache"
"""Whoever asks may keep it, and asks each time whether it still holds."""


@router.get("/{case_id}/history", summary="A case's history", response_model=answers.Lines, responses=documented(404))
def show_history(
    request: Request,
    case_id: CaseId,
    _actor: Viewer,
    desk: TheDesk,
    after: Annotated[int, Query(ge=0, lt=2**62, description="Only lines after this number.")] = 0,
    limit: Annotated[int, Query(ge=1, le=LIMIT_MAX)] = LIMIT_MAX,
) -> Response:
    """The audit trail's lines about a case, the oldest first."""
    lines = [line for line in desk.case(case_id).history if line.number > after]
    following = lines[limit - 1].number if len(lines) > limit else None
    shown = answers.Lines(items=tuple(map(answers.Line.of, lines[:limit])), next_after=following)
    return answer(shown, headers=links(request, after=following))


_EXAMPLES: Final[dict[str, Any]] = {
    "note": {"summary": "Write something down", "value": {"kind": "note", "text": "Asked to be called after six."}},
    "promise": {
        "summary": "A promise to pay",
        "value": {
            "kind": "promise",
            "loan": "L-77",
            "amount_minor": 25_000,
            "currency": "EUR",
            "promised_on": "2026-04-10",
        },
    },
    "assign": {"summary": "To the one with the fewest cases", "value": {"kind": "assign"}},
    "close": {"summary": "End a case", "value": {"kind": "close", "as": "settled", "reason": "Paid in full."}},
}


@router.post(
    "/{case_id}/actions",
    summary="Act on a case",
    response_model=answers.CaseFile,
    responses={200: {"headers": ETAG}, **documented(404, 409, 412, 413, 415, 428)},
)
def act(
    case_id: CaseId,
    action: Annotated[Action, Body(openapi_examples=_EXAMPLES)],
    actor: Collector,
    rooms: TheRooms,
    if_match: Annotated[
        str | None, Header(max_length=100, description="The ETag of the case as it was read. Needed.")
    ] = None,
    idempotency_key: Annotated[
        str | None,
        Header(
            pattern=r"^[\x21-\x7e]{1,128}$", description="The same key and body again is answered alike, done once."
        ),
    ] = None,
    traceparent: Annotated[
        str | None, Header(description="W3C Trace Context: carried on to the events that are published because of it.")
    ] = None,
) -> Response:
    """Do one thing to a case. Some actions need a supervisor: `kind` says which (see the documentation)."""
    version, trace = _version(if_match), traces.valid(traceparent)
    if idempotency_key is None:
        file = rooms.desk.act(case_id, action, actor, version=version, traceparent=trace)
        return _sent(*_rendered(file))
    fingerprint = hashlib.sha256(canonical([case_id, action.model_dump(mode="json")])).hexdigest()
    reply = Reply(actor.account, idempotency_key, fingerprint, _rendered)
    answered = answer_of(rooms.accounts.database, actor.account, idempotency_key)
    if answered is None:
        try:
            file = rooms.desk.act(case_id, action, actor, version=version, reply=reply, traceparent=trace)
        except Answered:
            answered = answer_of(rooms.accounts.database, actor.account, idempotency_key)
        else:
            return _sent(*_rendered(file))
    return _again(answered, fingerprint)


def _again(answered: Answer | None, fingerprint: str) -> Response:
    """The answer that was given, if it was to the same request."""
    if answered is None:
        raise Conflict("This idempotency key is being used by another request right now: try again.")
    if answered.fingerprint != fingerprint:
        raise HTTPException(422, "This idempotency key was used for another request: use a new one.")
    response = _sent(answered.status, answered.body, answered.etag)
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _rendered(file: CaseFile) -> tuple[int, str, str]:
    """The answer that shows a case: status, body, ETag."""
    body = answers.CaseFile.of(file).model_dump_json()
    return 200, body, etag_of(file.case.version, body)


def _sent(status: int, body: str, etag: str | None) -> Response:
    return Response(body, status, {"ETag": etag} if etag else None, JSON)


def _version(if_match: str | None) -> int:
    """The version that an ETag of ours names."""
    if if_match is None or if_match.strip() == "*":
        raise HTTPException(428, "Send `If-Match` with the ETag of the case as you read it.")
    known = VERSION.fullmatch(if_match.strip())
    if known is None:
        raise HTTPException(400, 'Send `If-Match` with one ETag of the case, such as "7".')
    return int(known[1])
