"""Where the next page is: the `Link` header (RFC 8288) beside `next_cursor`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlencode

from fastapi import Query

if TYPE_CHECKING:
    from starlette.requests import Request

LIMIT_MAX: Final = 200
LIMIT_DEFAULT: Final = 50
CURSOR_CHARS_MAX: Final = 512

Limit = Annotated[int, Query(ge=1, le=LIMIT_MAX, description="At most so many.")]
Cursor = Annotated[
    str | None,
    Query(max_length=CURSOR_CHARS_MAX, description="`next_cursor` of the page before, with the same filters."),
]


def links(request: Request, **following: str | int | None) -> dict[str, str]:
    """The header that leads to the next page; none at the end."""
    if None in following.values():
        return {}
    given = [(name, value) for name, value in request.query_params.multi_items() if name not in following]
    query = urlencode([*given, *following.items()])
    return {"Link": f'<{request.url.path}?{query}>; rel="next"'}
