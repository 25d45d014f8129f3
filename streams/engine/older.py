"""States of version 2, as the release before wrote them: read and brought forward, never written.

They differ in three things: ids were a map of whole hashes, buckets were rows with absolute numbers and instants, and
wake-ups named their source each time.
"""

from __future__ import annotations

import msgspec

from streams.engine.borrower import Borrower, Episode, Snooze, Waiting
from streams.engine.calendar import DAY_MS, HOUR_MS, month_of, month_starts_ms
from streams.engine.ids import Ids
from streams.engine.loan import Loan  # noqa: TC001 - msgspec reads the annotations at run time
from streams.engine.measure import Level, Seen, Store  # noqa: TC001 - the same
from streams.engine.past import Past  # noqa: TC001 - the same

STATE_VERSION = 2
_FORGET = "_forget"
_CONTENT_BITS = 26
_INSTANT_MIN = 10**9
"""A bucket's second item is a count, or (of a closing value) an instant in milliseconds, which is larger."""


class _Bucket(msgspec.Struct, array_like=True):
    at: int
    count: int
    amount: int


class _Store(msgspec.Struct, array_like=True):
    buckets: list[_Bucket] = []
    seen: list[Seen] = []
    count: int = 0
    amount: int = 0
    overflow: int = 0
    since: int = 0
    levels: list[Level] = []


class _State(msgspec.Struct, array_like=True):
    version: int
    wakeups: dict[str, list[tuple[int, str]]] = {}
    loans: list[Loan] = []
    stores: dict[int, dict[str, _Store]] = {}
    episodes: list[Episode] = []
    seen: dict[int, int] = {}
    seen_overflow: int = 0
    waiting: list[Waiting] = []
    last_ms: int = 0
    balance: int | None = None
    balance_ms: int = 0
    since: dict[str, int] = {}
    snoozes: list[Snooze] = []
    past: list[Past] = []
    erased_ms: int = 0


_decoder = msgspec.msgpack.Decoder(_State)


def restore(value: bytes) -> Borrower:
    """The borrower of a value of version 2."""
    old = _decoder.decode(value)
    borrower = Borrower(episodes=old.episodes)
    borrower.ids = _ids(old.seen, old.seen_overflow)
    borrower.waiting, borrower.snoozes, borrower.past, borrower.since = old.waiting, old.snoozes, old.past, old.since
    borrower.last_ms, borrower.balance, borrower.balance_ms = old.last_ms, old.balance, old.balance_ms
    borrower.loans, borrower.erased_ms = old.loans, old.erased_ms
    borrower.forget_ms = min((at for at, _ in old.wakeups.pop(_FORGET, [])), default=0)
    borrower.wakeups.update(old.wakeups)
    for key, parts in old.stores.items():
        for part, store in parts.items():
            _fill(borrower.store(key, part), store)
    return borrower


def _ids(seen: dict[int, int], overflow: int) -> Ids:
    ids = Ids()
    for key, known in seen.items():
        ids.remember(key, known, (known >> _CONTENT_BITS) * DAY_MS)
    ids.overflow = overflow
    return ids


def _fill(store: Store, old: _Store) -> None:
    store.seen, store.levels, store.since = old.seen, old.levels, old.since
    store.count, store.amount, store.overflow = old.count, old.amount, old.overflow
    if old.buckets:
        store.base = old.buckets[0].at
    for bucket in old.buckets:
        store.ats.append(bucket.at - store.base)
        store.counts.append(bucket.count - (_start_ms(bucket) if bucket.count > _INSTANT_MIN else 0))
        store.amounts.append(bucket.amount)


def _start_ms(bucket: _Bucket) -> int:
    """When the bucket of an instant begins: its size is the one by which it has this number."""
    instant = bucket.count
    size = next((size for size in (HOUR_MS, DAY_MS) if instant // size == bucket.at), None)
    if size is not None:
        return bucket.at * size
    assert month_of(instant) == bucket.at, "closing values were kept by hours, days or months"
    return month_starts_ms(bucket.at)
