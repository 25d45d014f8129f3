"""What a committed drain says in the log: which records were refused, and (at debug) which alerts were raised.

A line names a record by topic, partition and offset, and an alert by its id and trace; never a borrower.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

import structlog

from schemas.alerts import Alert
from schemas.topics import ALERTS
from schemas.traces import trace_id

if TYPE_CHECKING:
    from streams.engine.drain import DeadLetter, Effects

REFUSED_LINES_MAX: Final = 5
"""Lines about refused records of one drain; a broken producer must not fill the disk. One more counts the rest."""

log = structlog.get_logger(__name__)


def say(effects: Effects, lane: int) -> None:
    """Log what a drain of a lane has committed."""
    for letter in effects.dead_letters[:REFUSED_LINES_MAX]:
        log.warning("event.refused", **_where(letter))
    if (more := len(effects.dead_letters) - REFUSED_LINES_MAX) > 0:
        log.warning("event.refused_more", lane=lane, records=more)
    # Where nobody has set up logs (a simulation in one process) structlog would take everything.
    if structlog.is_configured() and log.is_enabled_for(logging.DEBUG):
        others = (told.value for told in effects.outbound if told.topic == ALERTS)
        for value in (*(value for _, value in effects.alerts), *others):
            _say_alert(Alert.model_validate_json(value), lane)


def _where(letter: DeadLetter) -> dict[str, str]:
    said = {name: value.decode() for name, value in letter.headers}
    return {name: said[name] for name in ("reason", "topic", "partition", "offset") if name in said}


def _say_alert(alert: Alert, lane: int) -> None:
    data = alert.data
    log.debug(
        "alert.raised",
        lane=lane,
        alert_id=str(alert.id),
        episode_id=str(data.episode_id),
        detector=data.detector,
        status=data.status.value,
        severity=data.severity.value,
        mode=data.mode.value,
        evidence=list(data.evidence),
        trace_id=trace_id(alert.traceparent),
    )
