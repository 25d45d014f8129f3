"""The reference job that throughput is compared on: three rules over JSON events, with state for each borrower.

The events are plain JSON, not CloudEvents, so that every system has the same work to do. The rules: money out over 30
days beyond twenty times the money in; under 70 % paid of the last twelve due; three lenders within seven days.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from streams.engine.drain import LANE_KEY, Effects

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, MutableMapping, Sequence

    from streams.engine.drain import CohortFigures, Inbox

DAY_SECONDS = 86_400
OUTFLOW_DAYS, OUTFLOW_FACTOR, OUTFLOW_FLOOR = 30, 20, 100_000
PAID_LAST, PAID_MIN_COUNT, PAID_SHARE = 12, 3, 0.7
LENDER_DAYS, LENDERS = 7, 3

State = dict[str, Any]
"""What the rules keep of a borrower; {} for a new one."""


def apply(state: State, event: Mapping[str, Any]) -> str | None:
    """Apply one event to a borrower's state. The name of the rule that it breaks, or None."""
    day, kind = int(event["occurred_at"] // DAY_SECONDS), event["kind"]
    counts = state.setdefault("n", {})
    counts[kind] = counts.get(kind, 0) + 1
    match kind:
        case "transaction":
            return _outflow(state.setdefault("tx", {}), day, event["amount"])
        case "repayment":
            return _paid(state.setdefault("rp", []), event["due"], event["paid"])
        case _:
            return _lenders(state.setdefault("bq", []), day, event["lender_id"])


def judge(state: State, event: Mapping[str, Any]) -> bytes | None:
    """The same, with the alert's value or None. The alert says how many events of its kind were counted until then."""
    rule = apply(state, event)
    return None if rule is None else alert(rule, event["event_id"], state["n"][event["kind"]])


def alert(rule: str, event_id: str, counted: int) -> bytes:
    """An alert's value. An event that was lost or counted twice shows in the counts of all later ones."""
    return orjson.dumps({"alert": rule, "event": event_id, "n": counted})


def _outflow(days: dict[str, list[float]], day: int, amount: float) -> str | None:
    key = str(day)
    if key not in days:
        for old in [known for known in days if int(known) <= day - OUTFLOW_DAYS]:
            del days[old]
        days[key] = [0.0, 0.0]
    days[key][amount < 0] += abs(amount)
    came = sum(both[0] for both in days.values())
    left = sum(both[1] for both in days.values())
    return "outflow" if left > OUTFLOW_FACTOR * came + OUTFLOW_FLOOR else None


def _paid(last: list[list[float]], due: float, paid: float) -> str | None:
    last.append([due, paid])
    del last[:-PAID_LAST]
    owed, got = sum(both[0] for both in last), sum(both[1] for both in last)
    return "ratio" if len(last) >= PAID_MIN_COUNT and got < PAID_SHARE * owed else None


def _lenders(seen: list[list[Any]], day: int, lender: str) -> str | None:
    seen.append([day, lender])
    while seen[0][0] <= day - LENDER_DAYS:
        seen.pop(0)
    return "multi" if len({known[1] for known in seen}) >= LENDERS else None


def events(borrowers: int, count: int, seed: int = 1) -> Iterator[tuple[str, str, bytes]]:
    """Topic, borrower and value of `count` events of the job, in the order of their times. Every rule is broken."""
    state = seed
    for number in range(count):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        draw, who = state >> 33, (state >> 20) % borrowers
        topic, facts = _facts(draw, who % _KINDS_OF_BORROWERS)
        borrower = f"b{who:07d}"
        event = {"event_id": f"e{number}", "borrower_id": borrower, "occurred_at": FIRST_AT + number * STEP_SECONDS}
        yield topic, borrower, orjson.dumps(event | facts)


FIRST_AT, STEP_SECONDS = 1_700_000_000.0, 120.0
_KINDS_OF_BORROWERS, _DRAINED, _SHOPPING = 50, 0, 1
"""Two of fifty borrowers are not like the others: one only pays out, one only asks for loans."""


def _facts(draw: int, of: int) -> tuple[str, dict[str, Any]]:
    """Four fifths are transactions, a tenth are repayments, a tenth are inquiries."""
    kind = 19 if of == _SHOPPING else draw % 20
    if kind < 16:  # noqa: PLR2004 - see above
        amount = -50_000.0 - draw % 9_000 if of == _DRAINED else draw % 9_000 - 6_000.0
        return "transactions", {"kind": "transaction", "amount": amount}
    if kind < 18:  # noqa: PLR2004 - see above
        return "repayments", {"kind": "repayment", "due": 1_000.0, "paid": 1_000.0 if draw % 7 else 0.0}
    return "bureau", {"kind": "inquiry", "lender_id": f"l{draw % 50}"}


class RulesLane:
    """The job as the logic of a lane: the product's shell, transactions and recovery with just these rules."""

    def __init__(self, states: MutableMapping[bytes, bytes]) -> None:
        self._states = states
        kept = states.get(LANE_KEY)
        self._positions: dict[str, int] = orjson.loads(kept) if kept else {}

    @property
    def positions(self) -> Mapping[str, int]:
        """Next offset of each topic."""
        return self._positions

    def due_ms(self) -> int | None:
        """Nothing waits for time."""
        return None

    def held(self) -> int:
        """Nothing waits for a source either."""
        return 0

    def figures(self) -> Sequence[CohortFigures]:
        """There are no cohorts."""
        return ()

    def drain(self, inbox: Inbox) -> Effects | None:
        """Apply all that is there; the rules do not depend on the order of the topics."""
        effects = Effects(counts=Counter())
        touched: dict[bytes, State] = {}
        steps = []
        for topic, records in inbox.records.items():
            fresh = [record for record in records if record.offset >= self._positions.get(topic, 0)]
            for record in fresh:
                event = orjson.loads(record.value or b"{}")
                key = record.key or b""
                if key not in touched:
                    kept = self._states.get(key)
                    touched[key] = orjson.loads(kept) if kept else {}
                value = judge(touched[key], event)
                if value is not None:
                    effects.alerts.append((key, value))
            if fresh:
                steps.append(["run", topic, fresh[0].offset, fresh[-1].offset + 1])
                effects.positions[topic] = self._positions[topic] = fresh[-1].offset + 1
        if not steps:
            return None
        effects.states = {key: orjson.dumps(state) for key, state in touched.items()}
        effects.states[LANE_KEY] = orjson.dumps(self._positions)
        effects.order = orjson.dumps({"v": 1, "steps": steps})
        return effects

    def committed(self, effects: Effects) -> None:
        """Take the new states in."""
        for key, value in effects.states.items():
            if value is not None:
                self._states[key] = value
