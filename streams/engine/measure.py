"""Measures: what detectors ask the engine to keep, each once for all who ask, updated in constant amortised time.

A measure lives in event-time buckets (days, or hours where a detector needs them). A late event lands in its own
bucket; one that lies outside the window is not kept. Windows reach from an hour to 365 days, and every store has a
limit.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import xxhash

from streams.engine.calendar import DAY_MS

if TYPE_CHECKING:
    from collections.abc import Iterator

DISTINCT_MAX = 64
"""Distinct things kept for a measure. A borrower with more is far past every threshold."""
LAST_MAX = 8


class Kind(StrEnum):
    """What is kept of the events that match."""

    TOTAL = "total"
    """Count and sum in each bucket of the window."""
    DISTINCT = "distinct"
    """The different values of a field, each with when it was last seen."""
    LAST = "last"
    """The latest occurrences with their amounts."""
    CLOSING = "closing"
    """The last value of a field in each bucket of the window (a balance)."""


class Measure(NamedTuple):
    """A request to the engine. Equal requests are kept once.

    `where` and `unless` filter by fields of the event's data; `value` is the field summed or kept (per currency,
    where it is money in buckets); `field` the one told apart; things within `burst_minutes` of each other count once
    (an aggregator asking many lenders for one application).
    """

    name: str
    event: str
    kind: Kind
    window_days: int
    where: tuple[tuple[str, frozenset[str]], ...] = ()
    value: str | None = None
    field: str | None = None
    bucket_ms: int = DAY_MS
    burst_minutes: int = 0
    unless: tuple[tuple[str, frozenset[str]], ...] = ()

    def matches(self, data: object) -> bool:
        """Whether an event's data passes the filter."""
        return all(getattr(data, name) in allowed for name, allowed in self.where) and not any(
            getattr(data, name) in barred for name, barred in self.unless
        )

    def store_of(self, data: object) -> str:
        """The name of the store that an event's data belongs to."""
        money = self.kind in {Kind.TOTAL, Kind.CLOSING} and self.value is not None and self.value.endswith("_minor")
        return store_name(self, getattr(data, "currency", "") if money else "")


def store_name(measure: Measure, currency: str = "") -> str:
    """The name of a measure's store, one for each currency."""
    return f"{measure.name}/{currency}" if currency else measure.name


class Occurrence(NamedTuple):
    """One event as a measure looks at it."""

    data: object
    event_id: str
    source: str
    at_ms: int


class Bucket(msgspec.Struct, array_like=True):
    """What fell into one bucket of event time. `at` is its number (instant // bucket size).

    Of a closing value `amount` is the value and `count` the instant at which it was true.
    """

    at: int
    count: int
    amount: int


class Seen(msgspec.Struct, array_like=True):
    """One distinct thing or occurrence: when (milliseconds), what (a hash, or an amount), and the event behind it."""

    at: int
    what: int
    event: str
    source: str = ""


class Store(msgspec.Struct, array_like=True):
    """What is kept for one measure: buckets or occurrences, oldest first, and the running totals over the window."""

    buckets: list[Bucket] = []
    seen: list[Seen] = []
    count: int = 0
    amount: int = 0
    overflow: int = 0
    since: int = 0


def _at(entry: Bucket | Seen) -> int:
    return entry.at


def update(measure: Measure, store: Store, fact: Occurrence, now_ms: int) -> bool:
    """Count one matching event. False if it lies outside the window, so that nothing was counted."""
    if fact.at_ms <= now_ms - measure.window_days * DAY_MS:
        return False
    value = 0 if measure.value is None else getattr(fact.data, measure.value)
    if value is None:
        return False
    if not store.since or fact.at_ms < store.since:
        store.since = fact.at_ms
    if measure.kind is Kind.DISTINCT:
        what = hash_text(getattr(fact.data, measure.field or ""))
        _see(measure, store, Seen(fact.at_ms, what, fact.event_id, fact.source))
    elif measure.kind is Kind.LAST:
        insort(store.seen, Seen(fact.at_ms, value, fact.event_id, fact.source), key=_at)
        del store.seen[:-LAST_MAX]
    else:
        _bucket(measure, store, fact.at_ms, value)
    expire(measure, store, now_ms)
    return True


def expire(measure: Measure, store: Store, now_ms: int) -> None:
    """Drop what has left the window. Each entry is dropped once, so the cost is constant over time."""
    cutoff = now_ms - measure.window_days * DAY_MS
    buckets = store.buckets
    while buckets and (buckets[0].at + 1) * measure.bucket_ms <= cutoff:
        gone = buckets.pop(0)
        if measure.kind is Kind.TOTAL:
            store.count -= gone.count
            store.amount -= gone.amount
    while store.seen and store.seen[0].at <= cutoff:
        store.seen.pop(0)


def _bucket(measure: Measure, store: Store, occurred_ms: int, value: int) -> None:
    at = occurred_ms // measure.bucket_ms
    index = bisect_left(store.buckets, at, key=_at)
    if index == len(store.buckets) or store.buckets[index].at != at:
        store.buckets.insert(index, Bucket(at, 0, 0))
    entry = store.buckets[index]
    if measure.kind is Kind.CLOSING:
        if occurred_ms >= entry.count:
            entry.count, entry.amount = occurred_ms, value
        return
    entry.count += 1
    entry.amount += value
    store.count += 1
    store.amount += value


def _see(measure: Measure, store: Store, new: Seen) -> None:
    """Keep when a distinct thing was last seen, unless it came in the burst of another one."""
    burst_ms = measure.burst_minutes * 60_000
    known = next((old for old in store.seen if old.what == new.what), None)
    if known is not None and new.at <= known.at:
        return
    if burst_ms and any(abs(old.at - new.at) <= burst_ms and old is not known for old in store.seen):
        return
    if known is not None:
        store.seen.remove(known)
    insort(store.seen, new, key=_at)
    if len(store.seen) > DISTINCT_MAX:
        store.seen.pop(0)
        store.overflow += 1


def hash_text(text: object) -> int:
    """The hash under which a distinct thing is kept."""
    return xxhash.xxh32_intdigest(str(text).encode())


def distinct(store: Store, since_ms: int) -> list[Seen]:
    """The distinct things seen after an instant, oldest first."""
    return store.seen[bisect_left(store.seen, since_ms + 1, key=_at) :]


def total(measure: Measure, store: Store, since_ms: int, until_ms: int) -> tuple[int, int]:
    """Count and sum of the buckets that begin within [since, until)."""
    count = amount = 0
    for entry in _between(measure, store, since_ms, until_ms):
        count += entry.count
        amount += entry.amount
    return count, amount


def closing(measure: Measure, store: Store, by_ms: int) -> int | None:
    """The last value known at an instant, or None."""
    index = bisect_left(store.buckets, by_ms // measure.bucket_ms, key=_at)
    return store.buckets[index - 1].amount if index else None


def _between(measure: Measure, store: Store, since_ms: int, until_ms: int) -> Iterator[Bucket]:
    first = bisect_left(store.buckets, -(-since_ms // measure.bucket_ms), key=_at)
    for entry in store.buckets[first:]:
        if entry.at * measure.bucket_ms >= until_ms:
            return
        yield entry
