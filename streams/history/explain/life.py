"""The borrower's loans as the engine itself makes them of the events that were found, to draw what was owed when."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from schemas.codec import encode
from schemas.events import Topic
from streams.engine.borrower import restore
from streams.engine.calendar import DAY_MS
from streams.engine.engine import Engine
from streams.engine.lane import Lane, LaneSettings
from streams.engine.loan import ACTIVE, Loan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from streams.engine.policy import Policy
    from streams.history.explain.material import Fact


class _Record(NamedTuple):
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None


def loans_of(facts: Sequence[Fact], policy: Policy) -> list[Loan]:
    """Every loan with all that is known of it, ended ones too. No detector is asked."""
    states: dict[bytes, bytes] = {}
    lane = Lane(Engine(policy, []), LaneSettings(0, 1, clock="event", step_ms=DAY_MS), states)
    loans: dict[str, Loan] = {}
    servicing = (fact for fact in facts if fact.event.topic is Topic.REPAYMENTS)
    for offset, fact in enumerate(servicing):
        key = fact.event.subject.encode()
        record = _Record(offset, fact.available_ms, key, encode(fact.event))
        effects = lane.play([(Topic.REPAYMENTS, record, fact.event)], (), None)
        if effects is not None:
            lane.committed(effects)
        # Looked at after each event: the engine drops a loan some time after its end.
        loans |= {loan.id: loan for loan in restore(states.get(key)).loans}
    return list(loans.values())


def days_past_due(loan: Loan, day: int) -> int:
    """The loan's days past due on a local day, as long as it ran, by all that is known now."""
    if loan.status != ACTIVE and day >= loan.ended_on:
        return 0
    return msgspec.structs.replace(loan, status=ACTIVE).days_past_due(day)
