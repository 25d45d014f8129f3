"""How long before serious arrears each detector had warned: what early warning is for, measured as it happens.

Serious are more than 30 days past due (IFRS 9 5.5.11, bucket M2 and later). The case learns of them from the first
alert whose loans stand there. Of the alerts about that borrower that are still true, each detector's first counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.alerts import AlertStatus, Mode

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from streams.casework.decisions import Decision
    from streams.stores.case import Book, Episode

SERIOUS_DAYS: Final = 30


def leads(before: Book, decision: Decision) -> dict[str, timedelta]:
    """The lead of each detector, where this decision is the one by which arrears became serious; else nothing."""
    case = decision.case
    was = before.case.days_past_due if before.case is not None else 0
    if case is None or not was <= SERIOUS_DAYS < case.days_past_due:
        return {}
    first: dict[str, timedelta] = {}
    for episode in _true(decision, case.case_id):
        lead = case.changed_at - episode.opened_at
        first[episode.detector] = max(lead, first.get(episode.detector, lead))
    return first


def _true(decision: Decision, case_id: str) -> Iterator[Episode]:
    for episode in decision.book.episodes.values():
        held = episode.case_id == case_id and episode.status is not AlertStatus.WITHDRAWN
        if episode.mode is Mode.LIVE and (held or (episode.case_id is None and episode.is_open)):
            yield episode
