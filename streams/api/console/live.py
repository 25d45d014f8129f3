"""Live updates: an open page hears that cases have changed, and fetches itself again."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Annotated, Final

import orjson
from fastapi import APIRouter, Header, Query
from fastapi.responses import Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from streams.api.console.sessions import Who, Within
from streams.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from streams.api.live import Live

router = APIRouter()
STREAM_SECONDS_MAX: Final = 600
"""After this a stream ends and the browser comes again: whose session is over hears no more."""
CASES_TOLD_MAX: Final = 200
"""Of more cases at once it is only said that much has changed."""
PING_SECONDS: Final = 15
RETRY_MILLISECONDS: Final = 2_000


@router.get("/live")
async def live(
    room: Within,
    who: Who,
    after: Annotated[int, Query(ge=0, le=2**62)] = 0,
    last_event_id: Annotated[str | None, Header(pattern=r"^\d{1,18}$")] = None,
) -> Response:
    """A stream of `changed`, each with the cases that have."""
    del who  # That somebody is signed in is enough.
    if room.live.is_full:
        return Response(status_code=503)  # The page works without; it is only not told.
    start = after if last_event_id is None else int(last_event_id)
    return EventSourceResponse(_told(room.live, start), ping=PING_SECONDS)


async def _told(live: Live, after: int) -> AsyncGenerator[ServerSentEvent, None]:
    yield ServerSentEvent(data="{}", event="hello", id=str(after), retry=RETRY_MILLISECONDS)
    with contextlib.suppress(TimeoutError, Unavailable):
        async with asyncio.timeout(STREAM_SECONDS_MAX), contextlib.aclosing(live.changes(after)) as changes:
            async for number, cases in changes:
                told = {"cases": cases} if len(cases) <= CASES_TOLD_MAX else {"many": True}
                yield ServerSentEvent(data=orjson.dumps(told).decode(), event="changed", id=str(number))
