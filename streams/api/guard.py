"""What holds for every request, whichever route: its id, its size, its form, its headers, its line in the log.

The log has the route and never the path or the query, which hold tokens; nothing of bodies and keys.
"""

from __future__ import annotations

import traceback
import uuid
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request

from streams import clock
from streams.api.problems import TRACE, Trace, problem

if TYPE_CHECKING:
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from streams.metrics import Metrics

BODY_BYTES_MAX: Final = 64 * 1024
"""A body holds at most a plan of some hundred installments or a note: this is plenty."""
FRAMES_MAX: Final = 12
"""Of a fault's place, so many of the innermost calls are logged."""
METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE"})
PROBES: Final = frozenset({"/healthz", "/readyz"})
"""Asked every few seconds: a line in the log only when they fail."""
SECURITY: Final = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}
"""Put on every answer that does not set its own. HSTS is for whoever ends TLS before us."""

log = structlog.get_logger(__name__)


class HalfAnswered(Exception):  # noqa: N818 - named for what happened
    """A fault in the middle of an answer. It says nothing but the request's id, for the server logs it whole."""


class Guard:
    """Middleware around everything."""

    def __init__(self, app: ASGIApp, metrics: Metrics | None = None) -> None:
        self.app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        visit = _Visit(scope, receive, send)
        began = clock.monotonic()
        try:
            await self._answer(scope, visit)
        finally:
            self._note(scope, visit, clock.monotonic() - began)

    async def _answer(self, scope: Scope, visit: _Visit) -> None:
        request = Request(scope)
        refused = _refused(request)
        if refused is not None:
            await refused(scope, visit.receive, visit.send)
            return
        try:
            await self.app(scope, visit.receive, visit.send)
        except Exception as fault:  # noqa: BLE001 - whatever it is, who asked gets a problem and the log its place
            log.error(  # noqa: TRY400 - the text of an exception may quote a person's data, so only its place is logged
                "api.failed", request=visit.trace.request_id, fault=type(fault).__name__, place=_place(fault)
            )
            if visit.status:  # Half an answer is gone: the connection must break.
                raise HalfAnswered(visit.trace.request_id) from None
            sorry = problem(request, 500, "It is noted down under the id of this request.")
            await sorry(scope, visit.receive, visit.send)

    def _note(self, scope: Scope, visit: _Visit, seconds: float) -> None:
        route = _route(scope)
        if self._metrics is not None:
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.api_requests.labels(route, method, str(visit.status)).inc()
            if not visit.streams:
                self._metrics.api_seconds.labels(route).observe(seconds)
        if route in PROBES and visit.status < HTTPStatus.BAD_REQUEST:
            return
        log.info(
            "api.request",
            request=visit.trace.request_id,
            account=visit.trace.account,
            method=scope["method"],
            route=route,
            status=visit.status,
            milliseconds=round(seconds * 1_000, 1),
        )


def _route(scope: Scope) -> str:
    """The path with its placeholders, whatever application it is mounted in."""
    path = getattr(scope.get("route"), "path", None)
    return "none" if path is None else scope.get("root_path", "") + path


class _Visit:
    """One request on its way in and its answer on the way out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.trace = scope[TRACE] = Trace(uuid.uuid4().hex)
        self.status = 0
        self.streams = False
        """Whether it is an answer without an end, whose duration says nothing."""
        self._receive, self._send = receive, send
        self._bytes = 0

    async def receive(self) -> Message:
        """The next part of the body. Raises HTTP's 413."""
        message = await self._receive()
        self._bytes += len(message.get("body", b""))
        if self._bytes > BODY_BYTES_MAX:
            raise HTTPException(413, _TOO_LARGE)
        return message

    async def send(self, message: Message) -> None:
        """The next part of the answer."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            headers = MutableHeaders(scope=message)
            self.streams = headers.get("content-type", "").startswith("text/event-stream")
            headers["x-request-id"] = self.trace.request_id
            for name, value in SECURITY.items():
                headers.setdefault(name, value)
        await self._send(message)


_TOO_LARGE: Final = f"A body has at most {BODY_BYTES_MAX} bytes."


def _refused(request: Request) -> Response | None:
    """The answer to what no route need see."""
    scope, headers = request.scope, request.headers
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return problem(request, 400, "No part of a request may hold a NUL character.")
    if _length(headers) > BODY_BYTES_MAX:
        return problem(request, 413, _TOO_LARGE, headers={"Connection": "close"})
    if scope["path"].startswith("/v1/") and _has_body(headers) and not _is_json(headers):
        return problem(request, 415, "Send `Content-Type: application/json`.")
    return None


def _length(headers: Headers) -> int:
    said = headers.get("content-length", "0")
    return int(said) if said.isdecimal() else 0


def _has_body(headers: Headers) -> bool:
    return _length(headers) > 0 or "transfer-encoding" in headers


def _is_json(headers: Headers) -> bool:
    kind, _, parameters = headers.get("content-type", "").lower().partition(";")
    charset = parameters.replace(" ", "").replace('"', "")
    plain = "content-encoding" not in headers and charset in {"", "charset=utf-8"}
    return plain and kind.strip() == "application/json"


def _place(fault: BaseException) -> list[str]:
    """Where it happened, innermost last: files and lines, no values."""
    frames: list[Any] = traceback.extract_tb(fault.__traceback__)[-FRAMES_MAX:]
    return [f"{frame.filename.rpartition('site-packages/')[2]}:{frame.lineno} {frame.name}" for frame in frames]
