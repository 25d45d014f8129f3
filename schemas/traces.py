"""The trace that an event belongs to: the CloudEvents extension `traceparent`, in the form of W3C Trace Context.

It is carried through unchanged, from an event to the alerts that it raised and on to what becomes of those. What is not
in its form is taken for absent, as W3C asks: it would stand in headers of HTTP and in logs, and may hold anything.
An alert that no event raised (silence) begins a trace of its own, which is the same in every replay: its id is the
alert's, its parent the end of the episode's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from schemas.alerts import Alert

_FORM: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")
TRACEPARENT_CHARS: Final = 55


def valid(traceparent: str | None) -> str | None:
    """The same, or None if it is not in the form."""
    return traceparent if traceparent is not None and _FORM.fullmatch(traceparent) else None


def of_alert(alert: Alert) -> str:
    """The trace that what becomes of an alert belongs to."""
    own = f"00-{alert.id.hex}-{alert.data.episode_id.hex[16:]}-01"
    return valid(alert.traceparent) or own


def trace_id(traceparent: str | None) -> str | None:
    """Which trace that is, as logs name it."""
    return traceparent.split("-")[1] if valid(traceparent) and traceparent else None
