"""What a process tells those who watch it: /metrics for Prometheus, /healthz and /readyz for whoever restarts it."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest

from streams.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from prometheus_client import CollectorRegistry

    from streams.settings import Settings

STOP_SECONDS_MAX = 1.0
"""How long an open connection may hold up the end."""

log = structlog.get_logger(__name__)


@contextlib.asynccontextmanager
async def serve(
    settings: Settings, *, ready: Callable[[], bool], registry: CollectorRegistry = REGISTRY
) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port. `ready` says whether work can be done now, and must not block.

    `registry` is that of the process's `Metrics`. Raises Misconfigured when the address cannot be listened on.
    """
    runner = web.AppRunner(_application(ready, registry), access_log=None, shutdown_timeout=STOP_SECONDS_MAX)
    await runner.setup()
    try:
        port = await _listen(runner, settings.metrics_host, settings.metrics_port)
        log.info("health.listening", host=settings.metrics_host, port=port)
        yield port
    finally:
        await runner.cleanup()


def _application(ready: Callable[[], bool], registry: CollectorRegistry) -> web.Application:
    async def metrics(_request: web.Request) -> web.Response:
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def healthz(_request: web.Request) -> web.Response:
        return web.Response(text="alive\n")

    async def readyz(_request: web.Request) -> web.Response:
        return web.Response(text="ready\n") if ready() else web.Response(text="not ready\n", status=503)

    application = web.Application()
    application.add_routes(
        [web.get("/metrics", metrics), web.get("/healthz", healthz), web.get("/readyz", readyz)],
    )
    return application


async def _listen(runner: web.AppRunner, host: str, port: int) -> int:
    try:
        await web.TCPSite(runner, host, port).start()
    except OSError as refused:
        raise Misconfigured(
            f"metrics cannot be served on {host}:{port} ({refused.strerror}): "
            "set EWS_METRICS_PORT to a free port, or to 0 for any"
        ) from refused
    return int(runner.addresses[0][1])
