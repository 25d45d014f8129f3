"""Live updates: which cases have changed, as server-sent events."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated, Final

import orjson
from fastapi import APIRouter, Header
from sse_starlette.sse import EventSourceResponse
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streams.api.auth import Viewer
from streams.api.live import LISTENERS_MAX, Live
from streams.api.problems import documented

router = APIRouter(prefix="/v1", tags=["cases"])

STREAM_SECONDS_MAX: Final = 600
"""After this a stream ends and is asked for again: a key that was revoked hears no more."""
PING_SECONDS: Final = 15
RETRY_MILLISECONDS: Final = 2_000


@router.get(
    "/events",
    summary="Which cases change",
    response_class=EventSourceResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **documented()},
)
async def events(
    request: Request,
    _actor: Viewer,
    last_event_id: Annotated[
        str | None, Header(pattern=r"^\d{1,18}$", description="Where a stream broke off: go on from there.")
    ] = None,
) -> EventSourceResponse:
    """Events `cases` with `{"cases": [ids]}` as cases change. A stream ends after ten minutes: ask again."""
    live: Live = request.app.state.live
    if live.is_full:
        raise HTTPException(503, f"{LISTENERS_MAX} listen already.", {"Retry-After": "30"})
    after = None if last_event_id is None else int(last_event_id)
    return EventSourceResponse(_told(live, after), ping=PING_SECONDS)


async def _told(live: Live, after: int | None) -> AsyncGenerator[dict[str, object], None]:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STREAM_SECONDS_MAX), contextlib.aclosing(live.changes(after)) as changes:
            async for number, case_ids in changes:
                data = orjson.dumps({"cases": case_ids}).decode()
                yield {"event": "cases", "id": str(number), "data": data, "retry": RETRY_MILLISECONDS}
