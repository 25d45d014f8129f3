"""The application: routes under /v1, the console beside them, one form of error, one guard around everything.

app = build(rooms, Limits(requests_a_minute=600))
app = build(rooms, limits, console=console)      # and the console at /console
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, FastAPI
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from streams.api.auth import Gate
from streams.api.document import ROUTERS, TITLE, document
from streams.api.guard import Guard
from streams.api.live import Live
from streams.api.problems import handlers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import ASGIApp

    from streams.api.limits import Limits
    from streams.api.rooms import Rooms
    from streams.metrics import Metrics


def build(
    rooms: Rooms,
    limits: Limits,
    *,
    console: ASGIApp | None = None,
    live: Live | None = None,
    metrics: Metrics | None = None,
    ready: Callable[[], bool] = lambda: True,
) -> FastAPI:
    """The application over these rooms. `ready` must not block; a console shares its `live` with the API."""
    live = live or Live(rooms.desk)
    app = FastAPI(
        title=TITLE,
        openapi_url="/v1/openapi.json",
        docs_url=None,  # Their pages load scripts from elsewhere.
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan(live),
        exception_handlers=handlers(),
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.add_middleware(Guard, metrics=metrics)
    app.state.rooms, app.state.gate, app.state.live = rooms, Gate(rooms.accounts, limits), live
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(_about_the_process(ready), include_in_schema=False)
    if console is not None:
        for path in ("/", "/console"):
            app.add_api_route(path, _to_the_console, include_in_schema=False)
        app.mount("/console", console)
    app.openapi = document  # type: ignore[method-assign]  # FastAPI's documented way to add to it
    return app


def _lifespan(live: Live) -> Any:
    @contextlib.asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        try:
            yield
        finally:
            await live.close()

    return lifespan


async def _to_the_console() -> Response:
    return RedirectResponse("/console/")


def _about_the_process(ready: Callable[[], bool]) -> APIRouter:
    """For whoever restarts it or leads requests to it; the metrics have a port of their own."""
    router = APIRouter()

    async def healthz() -> Response:
        return PlainTextResponse("alive\n")

    async def readyz() -> Response:
        return PlainTextResponse("ready\n") if ready() else PlainTextResponse("not ready\n", 503)

    router.add_api_route("/healthz", healthz)
    router.add_api_route("/readyz", readyz)
    return router
