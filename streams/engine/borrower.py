"""The state of one borrower: loans, measures, episodes, wake-ups and the memory of event ids, as one compact value.

The value is a msgpack array that begins with its version, so that an older one can be read and brought forward, and
with the wake-ups, so that recovery reads those without the rest.
"""

from __future__ import annotations

import msgspec

from streams.engine.calendar import DAY_MS
from streams.engine.loan import Loan  # noqa: TC001 - msgspec reads the annotations at run time
from streams.engine.measure import Store
from streams.engine.past import Past  # noqa: TC001 - the same
from streams.errors import Misconfigured

STATE_VERSION = 2
SEEN_DAYS = 35
SEEN_MAX = 512
_DAY_BITS, _CONTENT_BITS = 6, 26
_BACK_DAYS = 7  # The records of several topics need not come in the order of their times.
_CONTENT_MASK = (1 << _CONTENT_BITS) - 1
_DAY_MASK = (1 << _DAY_BITS) - 1


class Episode(msgspec.Struct, array_like=True):
    """A run of trouble that a detector saw.

    It is kept after its end while its loan lives, so that a revision is never used twice.
    """

    detector: str
    loan: str
    onset: int
    revision: int
    is_open: bool
    step: int
    severity: str
    changed_ms: int
    calm_since_ms: int = 0
    shadow: bool = False
    """Whether it was opened while its detector was on trial, so that only those who watch the trial know of it."""
    withdrawn: bool = False
    """Whether it ended because it was never true."""


class Waiting(msgspec.Struct, array_like=True):
    """A fact about a loan that is not known yet, with its bytes and where it came from."""

    loan: str
    since_ms: int
    topic: str
    offset: int
    timestamp: int
    value: bytes


class Snooze(msgspec.Struct, array_like=True):
    """Calm that was asked for, until an instant, about one detector or ('') all of them."""

    detector: str
    until_ms: int


class Wakeups(msgspec.Struct, array_like=True):
    """The head of a borrower's state: when silence becomes news, by detector, and the source it depends on."""

    version: int = STATE_VERSION
    wakeups: dict[str, list[tuple[int, str]]] = {}

    def earliest(self) -> dict[str, int]:
        """The earliest wake-up for each source; the source '' is the clock itself."""
        first: dict[str, int] = {}
        for asked in self.wakeups.values():
            for at, source in asked:
                if source not in first or at < first[source]:
                    first[source] = at
        return first


class Borrower(Wakeups):
    """Everything the engine knows of one borrower."""

    loans: list[Loan] = []
    stores: dict[int, dict[str, Store]] = {}
    """What is kept, by `Measure.key` and then by part (a currency, an account; mostly just '')."""
    episodes: list[Episode] = []
    seen: dict[int, int] = {}
    seen_overflow: int = 0
    waiting: list[Waiting] = []
    last_ms: int = 0
    balance: int | None = None
    balance_ms: int = 0
    since: dict[str, int] = {}
    """By topic, the earliest event that is known."""
    snoozes: list[Snooze] = []
    past: list[Past] = []
    """The loans that were dropped, in short, as far as they are remembered."""
    erased_ms: int = 0
    """When the borrower was erased; 0 if never, or if a loan was opened since (`streams.engine.erasing`)."""

    def loan(self, loan_id: str) -> Loan | None:
        """The loan with that id, or None."""
        return next((loan for loan in self.loans if loan.id == loan_id), None)

    def store(self, key: int, part: str) -> Store:
        """What is kept under a measure's key for a part, made if it is not there."""
        parts = self.stores.setdefault(key, {})
        store = parts.get(part)
        if store is None:
            store = parts[part] = Store()
        return store

    def is_snoozed(self, detector: str, now_ms: int) -> bool:
        """Whether calm was asked for about a detector."""
        return any(s.until_ms > now_ms and s.detector in {"", detector} for s in self.snoozes)

    def recall(self, key: int, content: int) -> bool | None:
        """None if the id is new, True if it was seen with this content, False if with another one."""
        known = self.seen.get(key)
        return None if known is None else known & _CONTENT_MASK == content & _CONTENT_MASK

    def remember(self, key: int, content: int, now_ms: int) -> None:
        """Keep an id for 35 days, or as one of the last 512."""
        today = now_ms // DAY_MS
        while self.seen:
            oldest = next(iter(self.seen))
            is_young = (today - (self.seen[oldest] >> _CONTENT_BITS) + _BACK_DAYS) & _DAY_MASK <= SEEN_DAYS + _BACK_DAYS
            if is_young and len(self.seen) < SEEN_MAX:
                break
            self.seen_overflow += is_young
            del self.seen[oldest]
        self.seen[key] = (today & _DAY_MASK) << _CONTENT_BITS | content & _CONTENT_MASK


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Borrower)
_head = msgspec.msgpack.Decoder(Wakeups)


def snapshot(borrower: Borrower) -> bytes:
    """The value to keep. It shares nothing with the borrower."""
    return _encoder.encode(borrower)


def restore(value: bytes | None) -> Borrower:
    """The borrower of a kept value, or a new one. Raises Misconfigured for a value of another release."""
    if value is None:
        return Borrower()
    try:
        borrower = _decoder.decode(value)
    except msgspec.ValidationError:
        _check(_head.decode(value))
        raise
    _check(borrower)
    return borrower


def wakeups_of(value: bytes) -> dict[str, int]:
    """The earliest wake-up for each source of a kept value, without reading the rest of it."""
    head = _head.decode(value)
    _check(head)
    return head.earliest()


def _check(head: Wakeups) -> None:
    if head.version != STATE_VERSION:
        raise Misconfigured(
            f"state version {head.version} was written by another release; this one reads {STATE_VERSION}"
        )
