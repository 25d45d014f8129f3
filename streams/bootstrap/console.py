"""Puts an installation's console together: over its database, its timelines from its topics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streams.api.console import console
from streams.bootstrap.policy import load_policy
from streams.history.timeline import of_topics

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from streams.api.limits import Limits
    from streams.api.live import Live
    from streams.api.rooms import Rooms
    from streams.settings import Settings


def console_over(settings: Settings, rooms: Rooms, live: Live, limits: Limits) -> ASGIApp:
    """The console, to be served beside the API. Raises Misconfigured for a policy that cannot be read."""
    timeline = of_topics(settings, load_policy(settings.policy_file))
    return console(rooms.desk, rooms.accounts, now=rooms.now, timeline=timeline, updates=live, limits=limits)
