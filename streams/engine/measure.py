"""Measures: what detectors ask the engine to keep, each once for all who ask, updated in constant amortised time.

A measure lives in event-time buckets (days; hours or calendar months where a detector needs them). A late event lands
in its own bucket; one that lies outside the window is not kept. Windows reach from an hour to 365 days, and every store
has a limit. What is kept is found by what was asked for, without the window: a policy that asks for a longer one goes
on with what is there.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from enum import StrEnum
from functools import cache
from typing import NamedTuple

import msgspec
import xxhash

from streams.engine.calendar import DAY_MS, month_of, month_starts_ms

DISTINCT_MAX = 64
"""Distinct things kept for a measure. A borrower with more is far past every threshold."""
LAST_MAX = 8
LEVELS_MAX = 64
"""Different things whose latest value is kept (accounts elsewhere, say). The one not heard of for longest goes."""
MONTH = 0
"""In place of a bucket's size: calendar months (UTC)."""


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
    LEVEL = "level"
    """The latest value for each different value of a field, and at the end of each bucket their sum (a total debt)."""


_TOTAL, _DISTINCT, _LAST, _LEVEL = Kind.TOTAL, Kind.DISTINCT, Kind.LAST, Kind.LEVEL
"""To look a member up costs more than to count."""


class Alike(NamedTuple):
    """Things that are one and the same within so many days: inquiries while shopping for one secured loan, say."""

    field: str
    values: frozenset[str]
    days: int


class Measure(NamedTuple):
    """A request to the engine. Equal requests are kept once.

    `where` and `unless` filter by fields of the event's data; `value` is the field summed or kept (per currency,
    where it is money); `field` the one told apart; things within `burst_minutes` of each other count once
    (an aggregator asking many lenders for one application), and those that are `alike`. With `per` each value of that
    field has a store of its own (an account, the model of a score).
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
    per: str | None = None
    alike: Alike | None = None

    @property
    def key(self) -> int:
        """Under which it is kept: a hash of all that it asks for but the window."""
        return _key(self)

    @property
    def is_money(self) -> bool:
        """Whether it is kept for each currency by itself."""
        return self.value is not None and self.value.endswith("_minor") and self.kind is not Kind.LAST

    def matches(self, data: object) -> bool:
        """Whether an event's data passes the filter. What is absent is `''` there."""
        return all((getattr(data, name) or "") in allowed for name, allowed in self.where) and not any(
            (getattr(data, name) or "") in barred for name, barred in self.unless
        )

    @property
    def parts(self) -> tuple[str, ...]:
        """The fields whose values say which of its stores an event belongs to: that of `per`, the currency, or both."""
        return ((self.per,) if self.per else ()) + (("currency",) if self.is_money else ())

    def part_of(self, data: object) -> str:
        """Which of its stores an event's data belongs to."""
        return part_of(data, self.parts)


def part_of(data: object, fields: tuple[str, ...]) -> str:
    """The store that an event's data belongs to, by the values of some fields."""
    if len(fields) == 1:
        return str(getattr(data, fields[0], None) or "")
    return "/".join([str(getattr(data, name, None) or "") for name in fields])


@cache
def _key(measure: Measure) -> int:
    asked = [sorted((name, sorted(values)) for name, values in rule) for rule in (measure.where, measure.unless)]
    alike = measure.alike and (measure.alike.field, sorted(measure.alike.values), measure.alike.days)
    same = measure._replace(window_days=0, where=(), unless=(), alike=None)
    return xxhash.xxh32_intdigest(repr((*same[:3], *same[4:], asked, alike)).encode())


class Occurrence(NamedTuple):
    """One event as a measure looks at it."""

    data: object
    event_id: str
    source: str
    at_ms: int


class Seen(msgspec.Struct, array_like=True, gc=False):
    """One distinct thing or occurrence: when (milliseconds), what (a hash, or an amount), and the event behind it."""

    at: int
    what: int
    event: str
    source: str = ""


class Level(msgspec.Struct, array_like=True, gc=False):
    """The latest value of one thing: as of when, a hash of the thing, the value, and the event behind it."""

    at: int
    what: int
    amount: int
    event: str


class Store(msgspec.Struct, array_like=True, gc=False):
    """What is kept for one measure: buckets or occurrences, oldest first, and the running totals over the window.

    Buckets are columns: the number of each (instant // bucket size) beyond `base`, and its count and amount. Of a
    closing value `counts` says how far into its bucket the value was true, in milliseconds.
    """

    base: int = 0
    ats: list[int] = []
    counts: list[int] = []
    amounts: list[int] = []
    seen: list[Seen] = []
    count: int = 0
    amount: int = 0
    overflow: int = 0
    since: int = 0
    levels: list[Level] = []

    @property
    def numbers(self) -> list[int]:
        """The numbers of the buckets, oldest first."""
        return [self.base + at for at in self.ats]

    @property
    def is_empty(self) -> bool:
        """Whether all has left the window."""
        return not (self.ats or self.seen or self.levels)


def _at(entry: Seen | Level) -> int:
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
    if measure.kind is _DISTINCT:
        _see(measure, store, Seen(fact.at_ms, _thing(measure, fact, store), fact.event_id, fact.source))
    elif measure.kind is _LAST:
        _insert(store.seen, Seen(fact.at_ms, value, fact.event_id, fact.source))
        del store.seen[:-LAST_MAX]
    elif measure.kind is _LEVEL:
        _level(measure, store, fact, value)
    else:
        _bucket(measure, store, fact.at_ms, value)
    expire(measure, store, now_ms)
    return True


def expire(measure: Measure, store: Store, now_ms: int) -> None:
    """Drop what has left the window. Each entry is dropped once, so the cost is constant over time."""
    cutoff = now_ms - measure.window_days * DAY_MS
    if store.ats and store.ats[0] < (first := number_of(measure, cutoff) - store.base):
        gone = bisect_left(store.ats, first)
        if measure.kind is _TOTAL:
            store.count -= sum(store.counts[:gone])
            store.amount -= sum(store.amounts[:gone])
        del store.ats[:gone], store.counts[:gone], store.amounts[:gone]
    while store.seen and store.seen[0].at <= cutoff:
        store.seen.pop(0)
    while store.levels and store.levels[0].at <= cutoff:
        store.levels.pop(0)


def number_of(measure: Measure, at_ms: int) -> int:
    """The number of the bucket in which an instant lies."""
    return at_ms // measure.bucket_ms if measure.bucket_ms else month_of(at_ms)


def starts_ms(measure: Measure, number: int) -> int:
    """When a bucket begins."""
    return number * measure.bucket_ms if measure.bucket_ms else month_starts_ms(number)


def _level(measure: Measure, store: Store, fact: Occurrence, value: int) -> None:
    what = hash_text(getattr(fact.data, measure.field or ""))
    known = next((old for old in store.levels if old.what == what), None)
    if known is not None and fact.at_ms < known.at:
        return  # It was known later how it stands.
    if known is not None:
        store.levels.remove(known)
    insort(store.levels, Level(fact.at_ms, what, value, fact.event_id), key=_at)
    if len(store.levels) > LEVELS_MAX:
        store.levels.pop(0)
        store.overflow += 1
    _bucket(measure, store, fact.at_ms, sum(level.amount for level in store.levels))


def _bucket(measure: Measure, store: Store, occurred_ms: int, value: int) -> None:
    number = number_of(measure, occurred_ms)
    index = _place(store, number)
    if measure.kind is _TOTAL:
        store.counts[index] += 1
        store.amounts[index] += value
        store.count += 1
        store.amount += value
        return
    within_ms = occurred_ms - starts_ms(measure, number)
    if within_ms >= store.counts[index]:
        store.counts[index], store.amounts[index] = within_ms, value


def _place(store: Store, number: int) -> int:
    """Where the bucket of that number stands, made if it is not there. Mostly it is the last one."""
    ats = store.ats
    if not ats:
        store.base = number
    at = number - store.base
    if ats and ats[-1] == at:
        return -1
    index = bisect_left(ats, at) if ats and ats[-1] > at else len(ats)
    if index == len(ats) or ats[index] != at:
        ats.insert(index, at)
        store.counts.insert(index, 0)
        store.amounts.insert(index, 0)
    return index


def _insert(entries: list[Seen], new: Seen) -> None:
    """Keep what occurred in order. Mostly it is the latest."""
    if not entries or entries[-1].at <= new.at:
        entries.append(new)
    else:
        insort(entries, new, key=_at)


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


def _thing(measure: Measure, fact: Occurrence, store: Store) -> int:
    """The hash of the thing told apart. What is alike has that of the first one, as long as it goes on."""
    alike = measure.alike
    value = None if alike is None else getattr(fact.data, alike.field)
    if alike is None or value not in alike.values:
        return hash_text(getattr(fact.data, measure.field or ""))
    what = hash_text(f"{alike.field}={value}")
    known = next((old for old in store.seen if old.what == what), None)
    if known is None or abs(fact.at_ms - known.at) <= alike.days * DAY_MS:
        return what
    return hash_text(f"{alike.field}={value}@{fact.at_ms // (alike.days * DAY_MS)}")


def hash_text(text: object) -> int:
    """The hash under which a distinct thing is kept."""
    return xxhash.xxh32_intdigest(str(text).encode())


def distinct(store: Store, since_ms: int) -> list[Seen]:
    """The distinct things seen after an instant, oldest first."""
    return store.seen[bisect_left(store.seen, since_ms + 1, key=_at) :]


def total(measure: Measure, store: Store, since_ms: int, until_ms: int) -> tuple[int, int]:
    """Count and sum of the buckets that begin within [since, until)."""
    first = bisect_left(store.ats, _first_from(measure, since_ms) - store.base)
    last = bisect_left(store.ats, _first_from(measure, until_ms) - store.base)
    return sum(store.counts[first:last]), sum(store.amounts[first:last])


def closing(measure: Measure, store: Store, by_ms: int) -> int | None:
    """The last value of the buckets that end by an instant, or None."""
    index = bisect_left(store.ats, number_of(measure, by_ms) - store.base)
    return store.amounts[index - 1] if index else None


def _first_from(measure: Measure, since_ms: int) -> int:
    """The number of the first bucket that begins at an instant or later."""
    number = number_of(measure, since_ms)
    return number + (starts_ms(measure, number) < since_ms)
