"""The console for tests: over a database with cases, asked by HTTP or served to a browser."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

import uvicorn

from schemas.outcomes import Verdict
from streams import clock
from streams.api.app import build
from streams.api.console import console
from streams.api.desk import Desk
from streams.api.limits import Limits
from streams.api.live import Live
from streams.bootstrap.api import Server, listening
from streams.casework.actions import ACTIONS
from streams.casework.ladder import Ladder
from streams.stores.roles import Actor, Role
from tests.api.house import NOW, PLENTY, keys_of, open_cases, rooms_over

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from fastapi import FastAPI

    from streams.api.rooms import Rooms
    from streams.casework.timeline import TimelineView
    from streams.stores.database import Database

BORROWERS = ("b-1", "b-2", "b-3")
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>"
GUESSES = 5
"""Wrong keys that an address may try in a minute."""
OTHER = Actor("other", Role.SUPERVISOR)
VERDICTS = tuple(Verdict)


class House(NamedTuple):
    """A console with three cases, and an account of every role."""

    app: FastAPI
    rooms: Rooms
    live: Live
    keys: Mapping[Role, str]
    cases: Mapping[str, str]

    def act(self, borrower: str, kind: str, *, actor: Actor = OTHER, **fields: Any) -> None:
        """Somebody else does something to a case."""
        action = ACTIONS.validate_python({"kind": kind, **fields})
        self.rooms.desk.act(self.cases[borrower], action, actor, version=None)


def house_over(database: Database, timeline: TimelineView | None = None) -> House:
    """The console over a database, which gets its cases."""
    ladder = Ladder.standard().with_hard_steps("lawyers_letter,litigation")
    rooms = rooms_over(database, desk=Desk(database, ladder, now=lambda: NOW))
    cases = open_cases(rooms.cases, *BORROWERS, reason=f"Late. {HOSTILE}", first_step="Call & ask <why>.")
    live = Live(rooms.desk, look_seconds=0.05)
    pages = console(
        rooms.desk,
        rooms.accounts,
        now=lambda: NOW,
        wall=clock.now,
        timeline=lambda _borrower: timeline,
        updates=live,
        limits=Limits(requests_a_minute=PLENTY, failures_a_minute=GUESSES),
    )
    app = build(rooms, Limits(requests_a_minute=PLENTY, failures_a_minute=PLENTY), console=pages, live=live)
    return House(app, rooms, live, keys_of(rooms.accounts), cases)


@contextlib.contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """The application at an address of its own, in a thread."""
    with listening("127.0.0.1", 0) as listener:
        config = uvicorn.Config(app, log_config=None, access_log=False, ws="none", timeout_graceful_shutdown=1)
        server = Server(config)
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            while not server.started:
                time.sleep(0.01)
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/console"
        finally:
            server.should_exit = True
            thread.join()


def hidden(page: str, form: str) -> dict[str, str]:
    """The hidden fields of the form on a page that is sent to an address with that ending."""
    body = re.search(rf'<form[^>]*action="[^"]*{re.escape(form)}"[^>]*>(.*?)</form>', page, re.DOTALL)
    assert body is not None, f"no form for {form}"
    return dict(re.findall(r'type="hidden" name="([^"]*)" value="([^"]*)"', body[1]))
