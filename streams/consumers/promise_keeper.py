"""The promise keeper: repayments in, promises kept or taken back out. What a payment does is decided in `keeping`.

It counts as the detector `broken_promise` does: by value date in the loan's zone, a payment once by its id, nothing of
one that was returned, whichever of the two is told first. A batch is one database transaction: offset, payments, cases.
A promise that we published comes back on the topic and finds the payments of its day that were told before it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, TypeAlias
from zoneinfo import ZoneInfo

from schemas.codec import InvalidEvent, decode
from schemas.events import LoanOpened, LoanSnapshot, PromiseMade, RepaymentReceived, RepaymentReturned
from streams.casework.changes import gather
from streams.casework.keeping import settled, window
from streams.stores.case import Changes
from streams.stores.promises import CONSUMER, Counted, Payment
from streams.stores.work import PromiseState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime

    from streams.casework.ladder import Ladder
    from streams.consumers.loop import Batch
    from streams.metrics import Metrics
    from streams.stores.case import Book
    from streams.stores.promises import LoanKey, PaymentKey, PromiseStore, PromiseTransaction
    from streams.stores.work import Promise

RECENT = timedelta(days=3)
"""How long a payment is kept for promises that are yet to be made: they count from their own day, in any zone."""
AHEAD_MAX = timedelta(days=1)
"""What lies further ahead is a dead letter of the workers, so it is no payment here either."""
UNKNOWN_ZONE = "UTC"
"""Where a loan is taken to be whose opening is no longer in the topic."""
KEPT, REOPENED = "kept", "reopened"
NUL = "\x00"
NO_CURRENCY = ""
"""Of a payment of which only the return was told."""

Fact: TypeAlias = LoanOpened | LoanSnapshot | PromiseMade | RepaymentReceived | RepaymentReturned
_OPENINGS = (LoanOpened, LoanSnapshot)
_FACTS = (LoanOpened, LoanSnapshot, PromiseMade, RepaymentReceived, RepaymentReturned)


def read_repayment(key: bytes | None, value: bytes | None) -> Fact | None:
    """What matters here of `repayments`. What cannot be read is a dead letter of the workers, which read it too."""
    try:
        event = decode(value)
    except InvalidEvent:
        return None
    if not isinstance(event, _FACTS) or (key is not None and key != event.subject.encode()):
        return None
    return event


class PromiseKeeper:
    """A subscriber of `repayments` (`streams.consumers.loop`) that follows what was promised."""

    name = CONSUMER

    def __init__(self, store: PromiseStore, ladder: Ladder, metrics: Metrics, *, now: Callable[[], datetime]) -> None:
        for end in (KEPT, REOPENED):
            metrics.promises.labels(end)  # From 0 on: a rate is seen from the first one.
        self._store = store
        self._ladder = ladder
        self._metrics = metrics
        self._now = now

    def positions(self, topic: str) -> Mapping[int, int]:
        """The next offset of each partition. Raises Unavailable."""
        return self._store.positions(topic)

    def take(self, batch: Batch[Fact]) -> None:
        """Follow the payments and move the offset in one transaction. Raises Unavailable or OffsetMovedError."""
        now = self._now()
        facts = [fact for fact in batch.facts if fact.time <= now + AHEAD_MAX]
        with self._store.begin() as transaction:
            transaction.advance(batch.topic, batch.partition, start=batch.start, end=batch.end)
            transaction.keep_zones({_loan(f): f.data.servicing_zone for f in facts if isinstance(f, _OPENINGS)})
            ends = _Following(transaction, self._ladder, facts, now - RECENT).follow()
        for end, number in ends.items():
            self._metrics.promises.labels(end).inc(number)


class _Following:
    """The facts of one batch, applied one by one to what the transaction has read."""

    def __init__(
        self, transaction: PromiseTransaction, ladder: Ladder, facts: Iterable[Fact], recent_from: datetime
    ) -> None:
        self._transaction = transaction
        self._ladder = ladder
        self._recent_from = recent_from
        self._facts = [fact for fact in facts if not isinstance(fact, _OPENINGS)]
        loans = {_loan(fact) for fact in self._facts}
        promises = transaction.promises({borrower for borrower, _ in loans})
        self._promises: dict[LoanKey, list[Promise]] = defaultdict(list)
        for promise in promises:
            self._promises[promise.borrower, promise.loan].append(promise)
        held = loans & self._promises.keys()
        self._zones = transaction.zones(held)
        self._counted = transaction.counted({p.promise_id for p in promises})
        self._recent = {(p.borrower, p.loan, p.payment_id): p for p in transaction.recent(loans)}
        self._books: dict[str, Book] = transaction.cases.books({borrower for borrower, _ in held}, ()) if held else {}
        self._new_recent: dict[tuple[str, str, str], Payment] = {}
        self._new_counted: dict[PaymentKey, Counted] = {}

    def follow(self) -> Counter[str]:
        """Apply everything and write it; how often a promise was kept, or was no longer."""
        changes, ends = Changes(), Counter[str]()
        for fact in self._facts:
            touched = self._take(fact)
            if touched:
                ends += self._settle(fact, touched, changes)
        self._transaction.keep_recent(list(self._new_recent.values()))
        self._transaction.forget_recent(self._recent_from)
        self._transaction.count(self._new_counted)
        self._transaction.cases.save(changes)
        return ends

    def _take(self, fact: Fact) -> list[Promise]:
        """Note a payment, or its return; the promises for which it counts."""
        if isinstance(fact, PromiseMade):
            return self._come_back(fact)
        payment = self._noted(_payment(fact))
        promises = self._promises.get(_loan(fact), ())
        return [promise for promise in promises if self._count(promise, payment)]

    def _come_back(self, fact: PromiseMade) -> list[Promise]:
        """A promise of ours is on the topic: what was told of its day before it counts too."""
        mine = [p for p in self._promises.get(_loan(fact), ()) if p.promise_id == fact.data.promise_id]
        told = [payment for key, payment in self._recent.items() if key[:2] == _loan(fact)]
        return [p for p in mine if sum(self._count(p, payment) for payment in told)]

    def _noted(self, payment: Payment) -> Payment:
        """The payment with what was known of it before: the first word on its amount counts, and a return stays."""
        key = (payment.borrower, payment.loan, payment.payment_id)
        known = self._recent.get(key)
        merged = payment if known is None else _merged(known, payment)
        if merged != known and (known is not None or merged.valued_at >= self._recent_from):
            self._recent[key] = self._new_recent[key] = merged
        return merged

    def _count(self, promise: Promise, payment: Payment) -> bool:
        """Count a payment for a promise; whether that is news. One that is not valued in time is noted as nothing.

        The first word on a payment counts, so that its id with another value date changes nothing, as in the engine.
        """
        if payment.currency not in {promise.currency, NO_CURRENCY}:
            return False
        key = (promise.promise_id, payment.payment_id)
        known = self._counted.get(key)
        if known is None:
            amount = payment.amount_minor if self._in_time(promise, payment) else 0
            after = Counted(amount, payment.valued_at, payment.returned)
        else:
            after = replace(known, returned=known.returned or payment.returned)
        if after == known:
            return False
        self._counted[key] = self._new_counted[key] = after
        return True

    def _in_time(self, promise: Promise, payment: Payment) -> bool:
        zone = ZoneInfo(self._zones.get((promise.borrower, promise.loan), UNKNOWN_ZONE))
        return window(promise, zone, self._ladder).holds(payment.valued_at, zone)

    def _settle(self, fact: Fact, touched: Sequence[Promise], changes: Changes) -> Counter[str]:
        """What that makes of the borrower's case, if one is open."""
        book = self._books[fact.subject]
        before = {promise.promise_id: promise.state for promise in book.promises}
        at = max(fact.time.astimezone(UTC), *(promise.made_at for promise in touched))
        acted = settled(book, {p.promise_id: self._paid(p) for p in touched}, at, self._ladder)
        if acted is None:
            return Counter()
        self._books[fact.subject] = acted.book
        gather(changes, acted)
        return Counter(_end(p.state) for p in acted.promises if p.state is not before[p.promise_id])

    def _paid(self, promise: Promise) -> int:
        own = (counted for key, counted in self._counted.items() if key[0] == promise.promise_id)
        return sum(counted.amount_minor for counted in own if not counted.returned)


def _payment(fact: RepaymentReceived | RepaymentReturned | LoanOpened | LoanSnapshot) -> Payment:
    """A payment, or the return of one with an amount of 0."""
    assert isinstance(fact, (RepaymentReceived, RepaymentReturned)), "a fact about a payment"
    received = isinstance(fact, RepaymentReceived)
    return Payment(
        borrower=fact.subject,
        loan=fact.data.loan,
        payment_id=fact.data.payment_id.replace(NUL, " "),  # PostgreSQL keeps no NUL.
        currency=fact.data.currency if isinstance(fact, RepaymentReceived) else NO_CURRENCY,
        amount_minor=fact.data.amount_minor if isinstance(fact, RepaymentReceived) else 0,
        valued_at=(fact.data.valued_at if isinstance(fact, RepaymentReceived) else fact.time).astimezone(UTC),
        returned=not received,
    )


def _merged(known: Payment, payment: Payment) -> Payment:
    first = known if known.amount_minor else payment
    return replace(first, returned=known.returned or payment.returned)


def _loan(fact: Fact) -> LoanKey:
    return fact.subject, fact.data.loan


def _end(state: PromiseState) -> str:
    return KEPT if state is PromiseState.KEPT else REOPENED
