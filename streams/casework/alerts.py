"""What an alert is about, and what became of it in a consumer."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from schemas.alerts import AlertData

FEED_STALE = "feed_stale"
"""A source has stopped reporting. Its alerts of earlier releases have no scope: there is no borrower in them either."""


class Outcome(StrEnum):
    """What became of an alert in a consumer, as `ews_consumer_alerts_total` counts it."""

    HANDLED = "handled"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    IGNORED = "ignored"


def is_of_source(data: AlertData) -> bool:
    """Whether it tells operators of a source."""
    return data.scope == "source" or (data.scope is None and data.detector == FEED_STALE)


def is_of_borrower(data: AlertData) -> bool:
    """Whether there is a borrower behind it: not so of a source, a cohort or a measure."""
    return data.scope is None and data.detector != FEED_STALE
