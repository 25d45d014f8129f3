"""What every page has at hand: the desk, the accounts, the templates, who is signed in."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import quote, urlencode

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from streams.api.console import words
from streams.stores.roles import Role

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from streams.api.desk import Desk
    from streams.api.limits import Limits
    from streams.api.live import Live
    from streams.casework.timeline import Timeline
    from streams.stores.accounts import AccountStore
    from streams.stores.roles import Actor

ROOT = "/console"
"""Where the console is mounted: its links and its cookies' path begin with it."""
SESSION_LASTS = timedelta(hours=12)
"""A working day. Whoever comes back tomorrow signs in again."""
NAV = (
    ("inbox", "Inbox", "i"),
    ("board", "Board", "b"),
    ("cases", "Cases", "c"),
    ("mine", "My cases", "m"),
    ("approvals", "Approvals", "a"),
    ("detectors", "Detectors", "d"),
)
"""The pages, their names, and the key that opens each after g."""


class Session(NamedTuple):
    """Who is signed in, the secret that their forms carry, and the session's own token."""

    actor: Actor
    csrf: str
    token: str


@dataclass(frozen=True, slots=True)
class Room:
    """What every page has at hand."""

    desk: Desk
    accounts: AccountStore
    timeline: Timeline
    now: Callable[[], datetime]
    wall: Callable[[], datetime]
    """What sessions are timed by: a demo's `now` is that of its events."""
    live: Live
    limits: Limits
    pages: Environment

    def page(self, name: str, session: Session | None = None, status: int = 200, **values: Any) -> HTMLResponse:
        """A page. Everything in it is escaped."""
        template = self.pages.get_template(f"{name}.html")
        common = {
            "session": session,
            "actor": session.actor if session else None,
            "csrf": session.csrf if session else "",
            "now": self.now(),
            "supervises": bool(session and session.actor.role.reaches(Role.SUPERVISOR)),
            "works": bool(session and session.actor.role.reaches(Role.COLLECTOR)),
        }
        return HTMLResponse(template.render(**common | {"live": "", "head": 0, "at": ""} | values), status_code=status)


def room_of(request: Request) -> Room:
    """The room of the application that serves the request."""
    room: Room = request.app.state.room
    return room


def link(*parts: str, **query: object) -> str:
    """A link to a page of the console; parts and values may hold anything."""
    path = "/".join([ROOT, *(quote(part, safe="") for part in parts)])
    asked = {name: value for name, value in query.items() if value not in (None, "", False)}
    return f"{path}?{urlencode(asked)}" if asked else path


def environment() -> Environment:
    """The templates."""
    made = Environment(
        loader=PackageLoader("streams.api.console"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(link=link, root=ROOT, nav=NAV, asset=_asset)
    made.filters.update(
        money=words.money,
        day=words.day,
        moment=words.moment,
        spoken=words.spoken,
        number=words.number,
        window=words.window,
        titled=words.titled,
        distance=words.distance,
    )
    return made


@cache
def _asset(name: str) -> str:
    """A link to a file of our own that changes with its content, so that it may be kept for long."""
    content = (resources.files(__package__) / "static" / name).read_bytes()
    return f"{ROOT}/static/{name}?v={hashlib.sha256(content).hexdigest()[:12]}"
