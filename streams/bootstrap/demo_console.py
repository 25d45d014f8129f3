"""Puts the demo's console together: its team, its time, and its database and events behind the pages."""

from __future__ import annotations

import asyncio
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import uvicorn

from streams import clock
from streams.api.app import build
from streams.api.console import ROOT, console
from streams.api.desk import CaseQuery, Desk
from streams.api.limits import Limits
from streams.api.live import Live
from streams.api.rooms import Rooms
from streams.bootstrap.api import Server
from streams.bootstrap.policy import load_policy
from streams.casework.ladder import Ladder
from streams.errors import Conflict, Misconfigured
from streams.history.timeline import of_file
from streams.local.demo.team import HARD_STEPS, TEAM, DemoClock, Team
from streams.stores.accounts import AccountStore
from streams.stores.cases import CaseStore
from streams.stores.messages import MessageStore
from streams.stores.operations import OperationsStore

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from streams.stores.database import Database

CASES_WORKED_MAX = 500
REQUESTS_A_MINUTE = 6_000
"""In the demo there is nobody to be kept from the others."""
STOP_SECONDS_MAX = 3


def listener_on(port: int) -> socket.socket:
    """A socket for the console, taken before the demo begins. Raises Misconfigured for a port that is taken."""
    try:
        return socket.create_server(("127.0.0.1", port))
    except OSError as refused:
        why = os.strerror(refused.errno or 0)
        raise Misconfigured(
            f"the console cannot be served on port {port} ({why}): give another --console-port, or 0 for any"
        ) from refused


class DemoConsole:
    """The console over a demo's database and events, its time that of the events."""

    def __init__(self, database: Database, events: Path, until: datetime) -> None:
        self._now = DemoClock(until)
        ladder = Ladder.standard().with_hard_steps(HARD_STEPS)
        self._desk = Desk(database, ladder, now=self._now)
        self._accounts = AccountStore(database)
        self._rooms = Rooms(
            desk=self._desk,
            accounts=self._accounts,
            cases=CaseStore(database),
            messages=MessageStore(database),
            operations=OperationsStore(database),
            now=self._now,
        )
        self._timeline = of_file(events, load_policy(None))

    def staffed(self) -> dict[str, str]:
        """The team with their keys, made new."""
        keys = {}
        for actor in TEAM:
            with suppress(Conflict):
                takes = actor.role.value == "collector"
                keys[actor.account] = self._accounts.create(
                    actor.account, actor.role, takes_cases=takes, at=clock.now(), by="demo"
                )
        return keys

    def worked(self) -> Counter[str]:
        """Let the team work the cases. What it did, counted."""
        open_cases = self._desk.cases(CaseQuery(limit=CASES_WORKED_MAX)).items
        ended = self._desk.cases(CaseQuery(closed=True, limit=CASES_WORKED_MAX)).items
        return Team(self._desk, self._now).work(open_cases, ended)

    async def serve(self, listener: socket.socket, opened: Callable[[str], None]) -> None:
        """Serve until cancelled; `opened` is told the address."""
        live, limits = Live(self._desk), Limits(requests_a_minute=REQUESTS_A_MINUTE)
        pages = console(
            self._desk,
            self._accounts,
            now=self._now,
            wall=clock.now,
            timeline=self._timeline,
            updates=live,
            limits=limits,
        )
        app = build(self._rooms, limits, console=pages, live=live)
        config = uvicorn.Config(
            app, access_log=False, log_config=None, server_header=False, ws="none",
            timeout_graceful_shutdown=STOP_SECONDS_MAX,
        )  # fmt: skip
        server = Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        opened(f"http://127.0.0.1:{listener.getsockname()[1]}{ROOT}/")
        try:
            await asyncio.shield(serving)
        finally:
            await live.close()
            server.should_exit = True
            await serving
