"""What the reference job must say of its events, by the rules alone: no Kafka, no batches, event by event."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import orjson

from streams.local import reference
from streams.local.bench.figures import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from streams.local.reference import State


class Told(NamedTuple):
    """What an alert says: the rule, the event, and how many events of its kind were counted until then."""

    rule: str
    event: str
    counted: int


def expected(events: Iterable[tuple[str, str, bytes]]) -> set[Told]:
    """The alerts of the events (topic, borrower, value), each once."""
    states: dict[str, State] = {}
    told = set()
    for _, borrower, value in events:
        event, state = orjson.loads(value), states.setdefault(borrower, {})
        rule = reference.apply(state, event)
        if rule is not None:
            told.add(Told(rule, event["event_id"], state["n"][event["kind"]]))
    return told


def told(values: Iterable[bytes]) -> list[Told]:
    """What alerts of a variant say, Java's among them: their JSON need not be equal byte for byte."""
    decoded = map(orjson.loads, values)
    return [Told(alert["alert"], alert["event"], alert["n"]) for alert in decoded]


def compare(wanted: set[Told], found: Iterable[Told]) -> Verdict:
    """An alert with another count is wrong, and the true one is missing."""
    counts = Counter(found)
    return Verdict(
        expected=len(wanted),
        missing=len(wanted - counts.keys()),
        doubled=sum(times - 1 for times in counts.values()),
        wrong=len(counts.keys() - wanted),
    )
