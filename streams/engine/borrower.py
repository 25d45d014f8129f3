"""The state of one borrower: loans, measures, episodes, wake-ups and the memory of event ids, as one compact value.

The value is a msgpack array that begins with its version, so that an older one can be read and brought forward
(`older.py`), and with the earliest wake-ups, so that recovery reads those without the rest. Its large parts (loans,
what is kept for each measure, wake-ups) are read when they are first asked for and written anew only then: most events
concern few of them.
"""

from __future__ import annotations

from typing import Any

import msgspec

from streams.engine.ids import Ids
from streams.engine.loan import Loan
from streams.engine.measure import Store
from streams.engine.past import Past  # noqa: TC001 - msgspec reads the annotations at run time
from streams.errors import Misconfigured

STATE_VERSION = 3

_ARRAY_16 = b"\xdc"
"""How msgpack begins an array of more than 15 items."""

Asked = dict[str, list[tuple[int, str]]]
"""When each detector wants to be judged again, and the source that must be complete by then ('' is the clock)."""


class Episode(msgspec.Struct, array_like=True, gc=False):
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


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """A fact about a loan that is not known yet, with its bytes and where it came from."""

    loan: str
    since_ms: int
    topic: str
    offset: int
    timestamp: int
    value: bytes


class Snooze(msgspec.Struct, array_like=True, gc=False):
    """Calm that was asked for, until an instant, about one detector or ('') all of them."""

    detector: str
    until_ms: int


class Head(msgspec.Struct, array_like=True, gc=False):
    """How a state begins: the earliest wake-up of the detectors by source, and when it may be forgotten."""

    version: int = STATE_VERSION
    first: dict[str, int] = {}
    forget_ms: int = 0

    def earliest(self) -> dict[str, int]:
        """The earliest wake-up for each source; the source '' is the clock itself."""
        if not self.forget_ms or self.first.get("", self.forget_ms) < self.forget_ms:
            return self.first
        return {**self.first, "": self.forget_ms}


class _Kept(Head, gc=False):
    """A whole state as it is read, its large parts still packed."""

    ids: Ids = msgspec.field(default_factory=Ids)
    episodes: list[Episode] = []
    waiting: list[Waiting] = []
    last_ms: int = 0
    balance: int | None = None
    balance_ms: int = 0
    since: dict[str, int] = {}
    snoozes: list[Snooze] = []
    past: list[Past] = []
    erased_ms: int = 0
    wakeups: msgspec.Raw = msgspec.Raw(b"\x92\x90\x80")
    loans: msgspec.Raw = msgspec.Raw(b"\x90")
    stores: dict[int, msgspec.Raw] = {}


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Kept)
_head = msgspec.msgpack.Decoder(Head)
_loans = msgspec.msgpack.Decoder(list[Loan])
_parts = msgspec.msgpack.Decoder(dict[str, Store])
_asked = msgspec.msgpack.Decoder(tuple[list[str], dict[str, list[int]]])


class Borrower:
    """Everything the engine knows of one borrower."""

    __slots__ = (
        "_first", "_loans", "_stores", "_wakeups", "balance", "balance_ms", "episodes", "erased_ms", "forget_ms", "ids",
        "last_ms", "past", "since", "snoozes", "waiting",
    )  # fmt: skip

    def __init__(self, kept: _Kept | None = None, *, episodes: list[Episode] | None = None) -> None:
        kept = kept or _Kept()
        self.ids = kept.ids
        self.episodes = kept.episodes if episodes is None else episodes
        self.waiting = kept.waiting
        self.last_ms = kept.last_ms
        self.balance = kept.balance
        self.balance_ms = kept.balance_ms
        self.since = kept.since
        """By topic, the earliest event that is known."""
        self.snoozes = kept.snoozes
        self.past = kept.past
        """The loans that were dropped, in short, as far as they are remembered."""
        self.erased_ms = kept.erased_ms
        """When the borrower was erased; 0 if never, or if a loan was opened since (`streams.engine.erasing`)."""
        self.forget_ms = kept.forget_ms
        """When to see whether it may be forgotten; 0 before its first event."""
        self._first: dict[str, int] | None = kept.first
        """The earliest wake-up for each source; None while the wake-ups may have changed."""
        self._wakeups: msgspec.Raw | Asked = kept.wakeups
        self._loans: msgspec.Raw | list[Loan] = kept.loans
        self._stores: dict[int, Any] = kept.stores
        """By `Measure.key`: packed, or once it was asked for the stores by part (a currency, an account; often '')."""

    # -- what is read when it is asked for -------------------------------------------------------------------------

    @property
    def loans(self) -> list[Loan]:
        """The loans, closed ones for a while too."""
        if isinstance(self._loans, msgspec.Raw):
            self._loans = _loans.decode(self._loans)
        return self._loans

    @loans.setter
    def loans(self, loans: list[Loan]) -> None:
        self._loans = loans

    def loan(self, loan_id: str) -> Loan | None:
        """The loan with that id, or None."""
        return next((loan for loan in self.loans if loan.id == loan_id), None)

    @property
    def wakeups(self) -> Asked:
        """When silence becomes news, by detector. Whoever asks may change them."""
        if isinstance(self._wakeups, msgspec.Raw):
            self._wakeups = _unpacked(*_asked.decode(self._wakeups))
        self._first = None
        return self._wakeups

    def earliest(self) -> dict[str, int]:
        """The earliest wake-up for each source; the source '' is the clock itself."""
        return self._head().earliest()

    def _head(self) -> Head:
        if self._first is None:
            assert not isinstance(self._wakeups, msgspec.Raw)
            first: dict[str, int] = {}
            for asked in self._wakeups.values():
                for at, source in asked:
                    if source not in first or at < first[source]:
                        first[source] = at
            self._first = first
        return Head(STATE_VERSION, self._first, self.forget_ms)

    @property
    def measured(self) -> list[int]:
        """The keys of the measures of which something is kept."""
        return list(self._stores)

    def parts(self, key: int) -> dict[str, Store]:
        """What is kept under a measure's key, by part."""
        kept = self._stores.get(key)
        if kept is None:
            return {}
        if type(kept) is msgspec.Raw:
            kept = self._stores[key] = _parts.decode(kept)
        parts: dict[str, Store] = kept
        return parts

    def store(self, key: int, part: str) -> Store:
        """What is kept under a measure's key for a part, made if it is not there."""
        parts = self.parts(key) or self._stores.setdefault(key, {})
        store = parts.get(part)
        if store is None:
            store = parts[part] = Store()
        return store

    def drop(self, key: int) -> None:
        """Let go of what is kept under a measure's key."""
        del self._stores[key]

    def is_snoozed(self, detector: str, now_ms: int) -> bool:
        """Whether calm was asked for about a detector."""
        return any(s.until_ms > now_ms and s.detector in {"", detector} for s in self.snoozes)

    def packed(self) -> list[object]:
        """What is kept, in the order of `_Kept`. What was not asked for goes as it came."""
        wakeups = self._wakeups
        if not isinstance(wakeups, msgspec.Raw):
            wakeups = _packed(wakeups)  # type: ignore[assignment] # the encoder takes either
        head = self._head()
        return [
            STATE_VERSION, head.first, head.forget_ms, self.ids, self.episodes, self.waiting, self.last_ms,
            self.balance, self.balance_ms, self.since, self.snoozes, self.past, self.erased_ms, wakeups, self._loans,
            self._stores,
        ]  # fmt: skip

    def __eq__(self, other: object) -> bool:
        """Whether they would be kept alike."""
        return isinstance(other, Borrower) and snapshot(self) == snapshot(other)

    __hash__ = None  # type: ignore[assignment] # it changes

    def content(self) -> dict[str, object]:
        """All that is kept, for people to look at."""
        ids = self.ids.keys.hex(" ", 6).split()
        stores = {key: self.parts(key) for key in self.measured}
        few = {name: getattr(self, name) for name in self.__slots__ if not name.startswith("_") and name != "ids"}
        return {**few, "ids": ids, "wakeups": self.wakeups, "loans": self.loans, "stores": stores}


def _packed(wakeups: Asked) -> tuple[list[str], dict[str, list[int]]]:
    """Wake-ups with each source written once. An instant is in seconds, or below 0 in milliseconds."""
    sources: dict[str, int] = {}
    flat: dict[str, list[int]] = {}
    for key, asked in wakeups.items():
        flat[key] = line = []
        for at, source in asked:
            line.append(-at if at % 1000 else at // 1000)
            line.append(sources.setdefault(source, len(sources)))
    return list(sources), flat


def _unpacked(sources: list[str], flat: dict[str, list[int]]) -> Asked:
    return {
        key: [(-at if at < 0 else at * 1000, sources[which]) for at, which in zip(line[::2], line[1::2], strict=True)]
        for key, line in flat.items()
    }


def snapshot(borrower: Borrower) -> bytes:
    """The value to keep. It shares nothing with the borrower."""
    return _encoder.encode(borrower.packed())


def restore(value: bytes | None) -> Borrower:
    """The borrower of a kept value, or a new one. Raises Misconfigured for a value of a release that is not read."""
    if value is None:
        return Borrower()
    if version_of(value) != STATE_VERSION:
        return _older(value)
    return Borrower(_decoder.decode(value))


def wakeups_of(value: bytes) -> dict[str, int]:
    """The earliest wake-up for each source of a kept value, without reading the rest of it."""
    if version_of(value) != STATE_VERSION:
        return _older(value).earliest()
    return _head.decode(value).earliest()


def version_of(value: bytes) -> int:
    """The version of a kept value: the first item of its array, a small number. 0 if it is no such value."""
    at = 3 if value[:1] == _ARRAY_16 else 1
    return int.from_bytes(value[at : at + 1])


def _older(value: bytes) -> Borrower:
    from streams.engine import older  # noqa: PLC0415 - it is seldom needed, and needs this module

    if version_of(value) != older.STATE_VERSION:
        raise Misconfigured(
            f"state version {version_of(value)} was written by another release; this one reads {STATE_VERSION} and "
            f"{older.STATE_VERSION}"
        )
    return older.restore(value)
