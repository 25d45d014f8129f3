"""Puts the HTTP API together: the desk, the accounts, the contact store and its rules, the server and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import anyio.to_thread
import structlog
import uvicorn

from streams import clock
from streams.api.app import build
from streams.api.desk import Desk
from streams.api.limits import Limits
from streams.api.live import Live
from streams.api.rooms import Rooms
from streams.bootstrap.console import console_over
from streams.bootstrap.contact_people import Judge
from streams.bootstrap.contacts import contact_store
from streams.bootstrap.logs import log_as_json
from streams.bootstrap.running import stop_on_signals, together
from streams.casework.ladder import Ladder
from streams.casework.packs import known_packs, load_packs
from streams.errors import Misconfigured, Unavailable
from streams.metrics import Metrics
from streams.stores.accounts import AccountStore
from streams.stores.cases import CaseStore
from streams.stores.database import open_database
from streams.stores.messages import MessageStore
from streams.stores.operations import OperationsStore

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.types import ASGIApp

    from streams.settings import Settings
    from streams.stores.database import Database

BACKLOG: Final = 2_048
STOP_SECONDS_MAX: Final = 10
"""How long requests that have begun may take to end after SIGTERM."""
READY_SECONDS: Final = 5.0
"""How often the database is asked whether it is there."""

log = structlog.get_logger(__name__)


@contextmanager
def account_store(settings: Settings) -> Iterator[AccountStore]:
    """The accounts. The database is made if it is not there: the first key may come before the first case."""
    with open_database(settings.database_url) as database:
        yield AccountStore(database)


def run_api(settings: Settings) -> None:
    """Serve the HTTP API and the console until SIGTERM or Ctrl-C."""
    with listening(settings.api_host, settings.api_port) as listener:
        log_as_json(settings.log_level)
        # A connection for each thread, and one for those who watch.
        with (
            open_database(settings.database_url, connections=settings.api_threads + 1) as database,
            rooms_of(settings, database) as rooms,
        ):
            asyncio.run(_serve(settings, rooms, listener))


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens. Raises Misconfigured when it cannot."""
    try:
        listener = socket.create_server((host, port), family=_family(host), backlog=BACKLOG)
    except OSError as refused:
        raise Misconfigured(
            f"the API cannot be served on {host}:{port} ({os.strerror(refused.errno or 0)}): "
            "set EWS_API_HOST to an address of this machine and EWS_API_PORT to a free port, or to 0 for any"
        ) from refused
    with listener:
        yield listener


@contextmanager
def rooms_of(settings: Settings, database: Database) -> Iterator[Rooms]:
    """What the routes work with. Raises Misconfigured or Unavailable."""
    packs = load_packs(settings.contact_packs.split(","), settings.contact_packs_dir)
    known = known_packs(settings.contact_packs_dir)
    with contact_store(settings) as contacts:
        yield Rooms(
            desk=Desk(database, Ladder.standard().with_hard_steps(settings.hard_steps), now=clock.now),
            accounts=AccountStore(database),
            cases=CaseStore(database),
            messages=MessageStore(database),
            operations=OperationsStore(database),
            now=clock.now,
            contacts=contacts,
            check=Judge(contacts, database, packs, known).says,
            packs=frozenset(known),
        )


class Ready:
    """Whether requests can be answered now: whether the database was there a moment ago."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.now = False

    async def watch(self, stop: asyncio.Event) -> None:
        """Look again and again until the stop."""
        while not stop.is_set():
            self.now = await asyncio.to_thread(self._look)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), READY_SECONDS)

    def _look(self) -> bool:
        try:
            with self._database.read():
                return True
        except Unavailable as away:
            log.warning("api.not_ready", fault=str(away))
            return False


class Server(uvicorn.Server):
    """Uvicorn, which leaves the signals to us: it would end the process with the signal, past every `finally`."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def _serve(settings: Settings, rooms: Rooms, listener: socket.socket) -> None:
    metrics, stop = Metrics.of_process(), stop_on_signals()
    ready = Ready(rooms.accounts.database)
    anyio.to_thread.current_default_thread_limiter().total_tokens = settings.api_threads
    live, limits = Live(rooms.desk), Limits(requests_a_minute=settings.api_requests_a_minute)
    app = build(
        rooms,
        limits,
        console=console_over(settings, rooms, live, limits),
        live=live,
        metrics=metrics,
        ready=lambda: ready.now,
    )
    server = Server(_configured(settings, app))
    host, port = listener.getsockname()[:2]
    log.info("api.listening", host=host, port=port)
    works = (_until(stop, server, listener, live), ready.watch(stop))
    await together(settings, metrics, stop, lambda: ready.now, *works)


def _configured(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        access_log=False,  # The guard writes a line of its own, without the query.
        log_config=None,
        server_header=False,
        proxy_headers=bool(settings.api_proxies),
        forwarded_allow_ips=settings.api_proxies or "none",
        timeout_graceful_shutdown=STOP_SECONDS_MAX,
        ws="none",
    )


async def _until(stop: asyncio.Event, server: uvicorn.Server, listener: socket.socket, live: Live) -> None:
    """Serve until the stop; then let go of those who listen for events, and let the other requests end."""
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((serving, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    await live.close()
    server.should_exit = True
    await serving


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET
