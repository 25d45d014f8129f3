"""What an HTTP answer means for a message: taken, try again (when?), or no for good.

Redirects count as an answer of their own. The answer's body is not read into logs or records: it is the other side's.
"""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from streams import clock
from streams.consumers.channels.channel import AskedToWait
from streams.errors import Unavailable

if TYPE_CHECKING:
    import httpx

AGAIN = frozenset({408, 425, 429})
"""Refusals that pass: too slow, too early, too many."""
SERVER_FAULT = 500
WAIT_SECONDS_MAX = 3_600.0
"""The longest time that another side can make a message wait by `Retry-After`; then it is asked again."""


def check_again(answer: httpx.Response, who: str) -> None:
    """Raises Unavailable for an answer after which the same request may succeed later."""
    if answer.status_code not in AGAIN and answer.status_code < SERVER_FAULT:
        return
    text = f"{who} answers {answer.status_code}"
    seconds = _asked_seconds(answer.headers.get("retry-after", ""))
    if seconds:
        raise AskedToWait(text, min(seconds, WAIT_SECONDS_MAX))
    raise Unavailable(text)


def _asked_seconds(text: str) -> float:
    """Of a Retry-After header: seconds or a date (RFC 9110 section 10.2.3); 0 for anything else."""
    if text.strip().isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
        return max(0.0, ((at if at.tzinfo else at.replace(tzinfo=UTC)) - clock.now()).total_seconds())
    except (ValueError, OverflowError):  # No date, or one that no calendar holds.
        return 0.0
