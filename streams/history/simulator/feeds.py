"""Heartbeats: each source says every hour how far it is complete.

They are truthful: what a source has written down for an hour it sends within the hour after. A fact that the source
itself learns later (a payment booked days after its value date) carries `recordedtime`, and no heartbeat could have
known of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from streams.history.simulator.almanac import DAY_SECONDS, stamp, utc_midnight
from streams.history.simulator.tape import FEEDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.history.ordering import Keyed
    from streams.history.simulator.plan import Plan

HOUR = 3600
HEARTBEAT = "ews.feed.heartbeat.v1"
ZONES_EAST = 10 * HOUR
ZONES_WEST = 8 * HOUR
"""Local days begin and end within these hours of the UTC day in all markets."""


def heartbeats(plan: Plan) -> Iterator[Keyed]:
    """All heartbeats of all sources, in order."""
    opens = utc_midnight(plan.start) - ZONES_EAST
    closes = utc_midnight(plan.start) + plan.days * DAY_SECONDS + ZONES_WEST
    for at in range(opens, closes + 1, HOUR):
        for source in sorted(FEEDS):
            yield at * 1000, source, f"hb-{at // HOUR}", _heartbeat(source, at)


def _heartbeat(source: str, at: int) -> bytes:
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": f"hb-{at // HOUR}",
            "source": source,
            "type": HEARTBEAT,
            "subject": source,
            "time": stamp(at),
            "data": {"source": source, "complete_through": stamp(at - HOUR)},
        }
    )
