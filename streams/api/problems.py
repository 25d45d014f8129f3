"""Every error of the API in one form: RFC 9457, `application/problem+json`, with what to do in a sentence.

What was sent is never said again: not in `detail`, not in `errors`. A fault of ours is a 500 whose `instance` is in the
log beside the place it came from; its text, which may quote a person's data, is in neither.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import structlog
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import Response

from streams.errors import (
    Conflict,
    EarlyWarningError,
    Misconfigured,
    NotAllowed,
    NotFound,
    Rejected,
    Stale,
    Unavailable,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request

MEDIA_TYPE: Final = "application/problem+json"
RETRY_SECONDS: Final = 5
"""What a caller is asked to wait for while a database is away."""
TRACE: Final = "ews.trace"
"""Where the trace of a request is in its ASGI scope."""
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}")
_PRIVATE: Final = re.compile(r"^/v1/borrowers/[^/]*/contact$")
"""Paths of which not even the names of unknown fields are repeated: one may be a person's."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Trace:
    """What is noted down of a request while it is answered."""

    request_id: str
    account: str = ""


class Fault(BaseModel):
    """One thing that is wrong with a request."""

    pointer: str = Field(description="Where: a JSON pointer into the body, or `query:limit`, `header:if-match`.")
    detail: str = Field(description="What is wrong, without the value that was sent.")


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(description="What kind of error; fixed, for programs.", examples=["urn:ews:problem:stale"])
    title: str = Field(description="The same for people.", examples=["It was changed since it was read"])
    status: int = Field(description="The HTTP status.", examples=[412])
    detail: str = Field(description="What is wrong this time, and what to do.")
    instance: str = Field(description="The id of this request, which stands in our log.")
    errors: list[Fault] | None = Field(default=None, description="What is wrong with which part of the request.")


_KINDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("malformed", "The request cannot be read"),
    401: ("unauthenticated", "A valid API key is needed"),
    403: ("not-allowed", "This account may not do that"),
    404: ("not-found", "There is no such thing"),
    405: ("method", "This cannot be done here"),
    406: ("not-acceptable", "It is not to be had in that form"),
    409: ("conflict", "It cannot be done as things stand"),
    412: ("stale", "It was changed since it was read"),
    413: ("too-large", "The request is too large"),
    415: ("media-type", "The body must be JSON"),
    422: ("invalid", "Something in the request is not as it must be"),
    428: ("version-needed", "The version that was read is needed"),
    429: ("too-many", "Too many requests"),
    500: ("internal", "Something went wrong here"),
    503: ("unavailable", "It cannot be done right now"),
}
"""Every error that the API gives: the last part of its type, and its title."""


def problem(
    request: Request, status: int, detail: str, *, headers: Mapping[str, str] | None = None, errors: Any = None
) -> Response:
    """The answer that says what is wrong."""
    kind, title = _KINDS.get(status) or ("http", HTTPStatus(status).phrase)
    trace: Trace = request.scope[TRACE]
    body = Problem(
        type=f"urn:ews:problem:{kind}",
        title=title,
        status=status,
        detail=detail,
        instance=f"urn:ews:request:{trace.request_id}",
        errors=errors,
    )
    return Response(body.model_dump_json(exclude_none=True), status, headers, MEDIA_TYPE)


def handlers() -> dict[Any, Callable[[Request, Any], Any]]:
    """What FastAPI calls for each kind of exception."""
    return {HTTPException: _of_http, RequestValidationError: _of_validation, EarlyWarningError: _of_ours}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These errors for the OpenAPI document, beside those that any request may get."""
    return {
        status: {"description": _KINDS[status][1], "content": {MEDIA_TYPE: {"schema": _REFERENCE}}}
        for status in sorted({400, 401, 403, 422, 429, 500, 503, *statuses})
    }


_REFERENCE: Final = {"$ref": "#/components/schemas/Problem"}


async def _of_http(request: Request, fault: HTTPException) -> Response:
    kind = _KINDS.get(fault.status_code)
    plain = fault.detail == HTTPStatus(fault.status_code).phrase
    detail = f"{kind[1]}." if kind and plain else str(fault.detail)
    return problem(request, fault.status_code, detail, headers=fault.headers)


async def _of_validation(request: Request, invalid: RequestValidationError) -> Response:
    errors = invalid.errors()
    if any(error["type"] == "json_invalid" for error in errors):
        return problem(request, 400, "The body is not JSON (RFC 8259, UTF-8).")
    return problem(request, 422, "See `errors`.", errors=_faults(errors, invalid.body, private=is_private(request)))


async def _of_ours(request: Request, error: EarlyWarningError) -> Response:
    if isinstance(error, (Unavailable, Misconfigured)):  # Their texts name hosts and settings: they are for the log.
        log.warning("api.unavailable", request=request.scope[TRACE].request_id, fault=str(error))
    if isinstance(error, Unavailable):
        return problem(request, 503, "Try again in a moment.", headers={"Retry-After": str(RETRY_SECONDS)})
    if isinstance(error, Misconfigured):
        return problem(request, 503, "What this needs is not set up here.")
    for kind, status in _STATUSES.items():
        if isinstance(error, kind):
            return problem(request, status, str(error))
    raise error


_STATUSES: Final[Mapping[type[EarlyWarningError], int]] = {
    NotFound: 404,
    NotAllowed: 403,
    Conflict: 409,
    Stale: 412,
    Rejected: 422,
}


def is_private(request: Request) -> bool:
    """Whether the request is about how to reach a person."""
    return _PRIVATE.match(request.url.path) is not None


def _faults(errors: Sequence[Any], body: Any, *, private: bool) -> list[Fault]:
    return [
        Fault(pointer=_pointer(error, body, private=private), detail=_sentence(error, private=private))
        for error in errors
    ]


def _pointer(error: Any, body: Any, *, private: bool) -> str:
    where, *path = error["loc"]
    if where == "body":
        path = _in_body(path, body)
    if private and error["type"] == "extra_forbidden":
        path = path[:-1]
    parts = [str(part) if isinstance(part, int) or _NAME.fullmatch(part) else "?" for part in path]
    return "#" + "".join(f"/{part}" for part in parts) if where == "body" else f"{where}:{'.'.join(parts).lower()}"


def _in_body(path: list[Any], body: Any) -> list[Any]:
    """The path without the names of union members, which pydantic puts in and the body does not have."""
    kept, value = [], body
    for part in path[:-1]:
        known = part in value if isinstance(value, dict) else isinstance(value, list) and isinstance(part, int)
        if known:
            kept.append(part)
            value = value[part]
    return [*kept, *path[-1:]]


def _sentence(error: Any, *, private: bool) -> str:
    """Pydantic's sentence. Those of our own checks begin with what pydantic puts before them."""
    if error["type"] == "value_error":
        return "is not valid" if private else str(error["msg"]).removeprefix("Value error, ")
    return "there is no such field" if error["type"] == "extra_forbidden" else str(error["msg"])
