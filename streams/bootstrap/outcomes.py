"""Puts judging together: the alert of an id, the event that says what became of it, the topic it goes to."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from schemas.codec import encode
from schemas.outcomes import AlertOutcome, AlertOutcomeData
from schemas.topics import ALERT_OUTCOMES
from streams import clock
from streams.history.explain.material import Wanted
from streams.history.explain.topics import find
from streams.history.outcomes import read_outcomes
from streams.kafka.writing import write

if TYPE_CHECKING:
    from schemas.outcomes import Verdict
    from streams.settings import Settings

SOURCE = "ews/outcomes"


async def record_outcome(
    settings: Settings, alert: str, verdict: Verdict, *, by: str, note: str | None = None
) -> tuple[AlertOutcome, str]:
    """Write that an alert was judged, and where that stands. Raises Rejected for an unknown id; Unavailable."""
    data = (await find(settings, Wanted.parse(alert))).alert.data
    now = clock.now()
    outcome = AlertOutcome(
        specversion="1.0",
        id=str(uuid.uuid4()),  # a person's act: nothing to derive it from, and judged again is another fact
        source=SOURCE,
        subject=data.borrower,
        time=now,
        data=AlertOutcomeData(
            alert_id=data.alert_id,
            episode_id=data.episode_id,
            detector=data.detector,
            borrower=data.borrower,
            outcome=verdict,
            decided_at=now,
            by=by,
            note=note,
        ),
    )
    (place,) = await write(settings, ALERT_OUTCOMES, [(data.borrower, encode(outcome))])
    return outcome, place


async def listed_outcomes(settings: Settings, detector: str | None = None) -> list[AlertOutcome]:
    """The outcomes that were written (of one detector), the latest decision last. Raises Unavailable."""
    found = [x async for x in read_outcomes(settings) if detector is None or x.data.detector == detector]
    return sorted(found, key=lambda outcome: outcome.data.decided_at)
