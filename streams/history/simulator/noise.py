"""What happens to events on their way: known late, overtaken by newer ones, sent twice, or garbage.

A malformed line is added beside the good ones and never replaces one. It carries the fault as far as a line of a file
can: a wrong key is a `partitionkey` that is not the subject; an empty record is an empty line; bytes that are not UTF-8
or not JSON are just such a line. `streams.history.files` says to which topic and at what time these are produced.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import orjson

from streams.history.simulator.almanac import DAY_SECONDS, stamp
from streams.history.simulator.tape import BANK, BUREAU, Row

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Callable, Iterator

    from streams.history.ordering import Keyed
    from streams.history.simulator.dice import Dice
    from streams.history.simulator.plan import Plan

OVERTAKEN_SECONDS_MAX = 3_000
"""Less than an hour: heartbeats speak of the hour before, so they stay true."""
LATE_DAYS_MAX = 20
RESENT_SECONDS_MAX = 2 * DAY_SECONDS
HUGE_BYTES = 1_010_000
"""More than the largest event that is read, less than the largest record that a broker takes by default."""
RECEIVED = "ews.repayment.received.v1"


def lines(rows: list[Row], plan: Plan, dice: Dice, closes: int, counts: Counter[str]) -> Iterator[Keyed]:
    """The rows as lines of a file, with the plan's share of each untidiness. `counts` is added to."""
    dumps = orjson.dumps
    unit = dice.unit
    untidy = plan.late + plan.out_of_order + plan.duplicates + plan.malformed
    for row in rows:
        counts[row.event["type"]] += 1
        if unit() < untidy:
            yield from _untidy(row, plan, dice, closes, counts)
        else:
            yield row.available * 1000, row.source, row.id, dumps(row.event)


def _untidy(row: Row, plan: Plan, dice: Dice, closes: int, counts: Counter[str]) -> Iterator[Keyed]:
    fate = dice.weighted(
        (
            ("late", plan.late),
            ("out_of_order", plan.out_of_order),
            ("duplicate", plan.duplicates),
            ("malformed", plan.malformed),
        )
    )
    if fate == "late" and row.source in {BANK, BUREAU}:
        row = _delay(row, dice.whole(1, LATE_DAYS_MAX) * DAY_SECONDS, closes, counts, fate)
    elif fate == "out_of_order":
        row = _delay(row, dice.whole(60, OVERTAKEN_SECONDS_MAX), closes, counts, fate)
    yield row.available * 1000, row.source, row.id, orjson.dumps(row.event)
    if fate == "duplicate":
        yield from _duplicate(row, dice, closes, counts)
    elif fate == "malformed":
        kind = dice.weighted(MALFORMED)
        counts[f"malformed.{kind}"] += 1
        yield row.available * 1000, row.source, f"{row.id}-x", MAKERS[kind](row, dice)


def _delay(row: Row, seconds: int, closes: int, counts: Counter[str], fate: str) -> Row:
    known = row.available + seconds
    if known >= closes or "recordedtime" in row.event:
        return row
    counts[fate] += 1
    return row._replace(available=known, event={**row.event, "recordedtime": stamp(known)})


def _duplicate(row: Row, dice: Dice, closes: int, counts: Counter[str]) -> Iterator[Keyed]:
    """The same bytes once more; a repayment at times hours later under a new event id, with its old payment id."""
    counts["duplicate"] += 1
    known = row.available + dice.whole(60, RESENT_SECONDS_MAX)
    if row.event["type"] == RECEIVED and known < closes and dice.chance(0.5):
        again = {**row.event, "id": f"{row.id}-r", "recordedtime": stamp(known)}
        yield known * 1000, row.source, f"{row.id}-r", orjson.dumps(again)
    else:
        yield row.available * 1000, row.source, row.id, orjson.dumps(row.event)


def _renamed(row: Row) -> dict[str, Any]:
    return {**copy.deepcopy(row.event), "id": f"{row.id}-x"}


def _not_json(row: Row, dice: Dice) -> bytes:
    whole = orjson.dumps(_renamed(row))
    return whole[: dice.whole(20, len(whole) - 2)]


def _wrong_type(row: Row, dice: Dice) -> bytes:
    event = _renamed(row)
    numbers = sorted(name for name, value in event["data"].items() if isinstance(value, int))
    event["data"][dice.pick(numbers) if numbers else "loan"] = {"text": "twelve"}
    return orjson.dumps(event)


def _missing_field(row: Row, dice: Dice) -> bytes:
    event = _renamed(row)
    del event[dice.pick(("subject", "time", "data", "specversion"))]
    return orjson.dumps(event)


def _wrong_currency(row: Row, dice: Dice) -> bytes:  # noqa: ARG001 - the signature of the family
    """A repayment in another currency than its loan's; elsewhere a code that no currency has."""
    event = _renamed(row)
    data = event["data"]
    if event["type"] == RECEIVED:
        data["payment_id"] += "-x"
        data["currency"] = "CHF"
    else:
        data["currency"] = "ZZZ"
    return orjson.dumps(event)


def _absurd_date(row: Row, dice: Dice) -> bytes:
    """Before there were computers, or far in the future; it becomes known now all the same."""
    event = _renamed(row) | {"recordedtime": stamp(row.available)}
    event["time"] = dice.pick(("1066-10-14T09:00:00Z", "2099-12-31T23:59:59Z", "2025-02-30T12:00:00Z"))
    return orjson.dumps(event)


def _huge(row: Row, dice: Dice) -> bytes:  # noqa: ARG001
    return orjson.dumps(_renamed(row) | {"padding": "x" * HUGE_BYTES})


def _empty(row: Row, dice: Dice) -> bytes:  # noqa: ARG001
    return b""


def _wrong_key(row: Row, dice: Dice) -> bytes:
    return orjson.dumps(_renamed(row) | {"partitionkey": f"b{dice.whole(0, 9_999_999):07d}x"})


def _unknown_type(row: Row, dice: Dice) -> bytes:  # noqa: ARG001
    return orjson.dumps(_renamed(row) | {"type": "ews.loan.refinanced.v1"})


def _not_utf8(row: Row, dice: Dice) -> bytes:
    whole = orjson.dumps(_renamed(row))
    cut = dice.whole(10, len(whole) - 2)
    return whole[:cut] + b"\xff\xfe\xc3" + whole[cut:]


MAKERS: dict[str, Callable[[Row, Dice], bytes]] = {
    "not_json": _not_json,
    "wrong_type": _wrong_type,
    "missing_field": _missing_field,
    "wrong_currency": _wrong_currency,
    "absurd_date": _absurd_date,
    "huge": _huge,
    "empty": _empty,
    "wrong_key": _wrong_key,
    "unknown_type": _unknown_type,
    "not_utf8": _not_utf8,
}
"""Ten kinds of malformed line."""
MALFORMED = tuple((kind, 0.1 if kind == "huge" else 1.0) for kind in MAKERS)
"""Huge ones are rarer: each is a megabyte of the file."""
