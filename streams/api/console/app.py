"""The console as an application of its own: pages, files, headers that keep browsers honest, and pages for errors."""

from __future__ import annotations

import traceback
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from streams.api.console import acting, live, pages, sessions
from streams.api.console.room import Room, environment, link, room_of
from streams.api.console.sessions import SEE_OTHER, SignInFirst
from streams.api.limits import Limits
from streams.api.live import Live
from streams.casework.timeline import nothing_known
from streams.errors import Conflict, EarlyWarningError, NotAllowed, NotFound, Rejected, Stale, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from streams.api.desk import Desk
    from streams.casework.timeline import Timeline
    from streams.stores.accounts import AccountStore

log = structlog.get_logger(__name__)

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, nothing from elsewhere."""
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}
TOO_MANY = 429
REQUESTS_A_MINUTE = 600
"""Of one account, where nothing else is said."""
UNTOLD: Any = {"tracing": False, "metrics": False, "logs": False}
"""FastAPI's own telemetry would tell of paths, and those name borrowers."""
KEPT = "public, max-age=31536000, immutable"
"""Files of our own: their links change with their content."""
_STATUS: tuple[tuple[type[EarlyWarningError], int, str], ...] = (
    (NotFound, 404, "There is no such page"),
    (NotAllowed, 403, "You may not do this"),
    (Stale, 409, "It was changed in the meantime"),
    (Conflict, 409, "This cannot be done now"),
    (sessions.TooLarge, 413, "This is too much"),
    (Rejected, 400, "This was refused"),
    (Unavailable, 503, "Please try again in a moment"),
)


def console(
    desk: Desk,
    accounts: AccountStore,
    *,
    now: Callable[[], datetime],
    wall: Callable[[], datetime] | None = None,
    timeline: Timeline = nothing_known,
    updates: Live | None = None,
    limits: Limits | None = None,
) -> FastAPI:
    """The application, to be mounted at `ROOT`."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False, telemetry=UNTOLD)
    app.state.room = Room(
        desk,
        accounts,
        timeline,
        now,
        wall or now,
        updates or Live(desk),
        limits or Limits(requests_a_minute=REQUESTS_A_MINUTE),
        environment(),
    )
    for router in (sessions.router, pages.router, acting.router, live.router):
        app.include_router(router)
    app.mount("/static", StaticFiles(directory=str(resources.files(__package__) / "static")))
    app.add_middleware(Guarded)
    app.add_exception_handler(SignInFirst, _sign_in_first)
    app.add_exception_handler(EarlyWarningError, _refused)
    app.add_exception_handler(HTTPException, _no_such_page)
    app.add_exception_handler(RequestValidationError, _unreadable)
    return app


def _sign_in_first(request: Request, _fault: Exception) -> Response:
    if request.headers.get("accept", "").startswith("text/event-stream"):
        return Response(status_code=401)  # An open page whose session has ended: it stops asking.
    asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return RedirectResponse(link("sign-in", then=asked if request.method == "GET" else ""), SEE_OTHER)


def _refused(request: Request, fault: Exception) -> Response:
    status, title = next((status, title) for kind, status, title in _STATUS if isinstance(fault, kind))
    return _error(request, status, title, str(fault))


def _no_such_page(request: Request, fault: Exception) -> Response:
    assert isinstance(fault, HTTPException)
    said = {404: "There is no such page", 405: "This page takes no such request", 429: "Too much at once"}
    text = f"{fault.detail} Wait a minute." if fault.status_code == TOO_MANY else ""
    return _error(request, fault.status_code, said.get(fault.status_code, "This went wrong"), text)


def _unreadable(request: Request, _fault: Exception) -> Response:
    return _error(
        request, 400, "This address cannot be read", "Something in it has a form that the console does not know."
    )


def _error(request: Request, status: int, title: str, text: str) -> Response:
    return room_of(request).page("error", status=status, title=title, text=text)


class Guarded:
    """Puts the headers on every answer. What nobody expected ends as a page that says so, and its kind in the log."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def with_headers(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                message = {**message, "headers": _headers(message, scope)}
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception as fault:  # noqa: BLE001 - the last line of defence: a person gets a page, and no traceback
            # Not what it says: it may hold what somebody typed.
            log.error("console_failed", kind=type(fault).__name__, at=_place(fault))  # noqa: TRY400 - the same
            if not begun:
                await HTMLResponse(FAILED, 500, HEADERS)(scope, receive, send)


def _place(fault: Exception) -> str:
    """Where it happened in our own code."""
    frames = [frame for frame in traceback.extract_tb(fault.__traceback__) if "streams" in frame.filename]
    return f"{Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


FAILED = """<!doctype html><html lang="en"><title>This went wrong</title><h1>This went wrong</h1>
<p>The fault is ours, not yours. Go back and look whether it was done; if it stays, tell who runs this.</p>"""


def _headers(message: Message, scope: Scope) -> list[tuple[bytes, bytes]]:
    own: list[tuple[bytes, bytes]] = list(message.get("headers", ()))
    given = {name.lower() for name, _ in own}
    static = "/static/" in scope["path"]
    extra: dict[str, Any] = {**HEADERS, "cache-control": KEPT if static else "no-store"}
    return own + [(name.encode(), value.encode()) for name, value in extra.items() if name.encode() not in given]
