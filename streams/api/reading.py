"""How a body is read: by orjson, which refuses what `json` lets through: NaN, half a surrogate pair, endless depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from starlette.responses import Response


class StrictRequest(Request):
    """A request whose body is JSON as RFC 8259 has it, without NUL characters, which PostgreSQL cannot keep."""

    async def json(self) -> Any:
        """The body. Raises JSONDecodeError, or HTTP's 400."""
        value = orjson.loads(await self.body())
        if any("\x00" in text for text in _texts(value)):
            raise HTTPException(400, "No text may hold a NUL character.")
        return value


class StrictRoute(APIRoute):
    """A route that reads its body so."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, given the stricter request."""
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return strict


def _texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, keys too."""
    left = [value]
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, list):
            left += one
        elif isinstance(one, dict):
            left += one
            left += one.values()
