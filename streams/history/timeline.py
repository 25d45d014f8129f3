"""A borrower's timeline from the borrower's own events, made by the engine itself: due and paid, DPD, balance.

    facts = facts_in_file(path, "b-000042")        of a given events file
    facts = facts_in_topics(settings, "b-000042")  of the topics, at most so many days back, to where they end now
    view = timeline_of("b-000042", facts, policy)

`Remembered` keeps the latest ones for a while, so that a page that is looked at again is not read again.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING

import structlog

from schemas.codec import InvalidEvent, decode
from schemas.events import InquiryMade, Topic, TransactionBooked
from schemas.topics import partition_of
from streams import clock
from streams.casework.timeline import Balance, DueInstallment, Inquiry, LoanPast, Received, Standing, TimelineView
from streams.engine.calendar import DAY_MS, date_of, local_day
from streams.engine.loan import ACTIVE, RETURNED
from streams.errors import Misconfigured, Unavailable
from streams.history.explain.life import days_past_due, loans_of
from streams.history.explain.material import Fact
from streams.history.files import available_ms, parsed, read_lines
from streams.kafka.reading import reading
from streams.kafka.topics import partition_counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from streams.casework.timeline import Timeline
    from streams.engine.loan import Installment, Loan
    from streams.engine.policy import Policy
    from streams.settings import Settings

log = structlog.get_logger(__name__)

DRAWN = (Topic.REPAYMENTS, Topic.TRANSACTIONS, Topic.BUREAU)
"""The topics that a timeline is made of."""
BACK_DAYS = 400
"""How far back topics are read: as far as any detector looks."""
READ_SECONDS_MAX = 20.0
"""So long somebody may wait for the topics of one borrower; after that the page is drawn without them."""
KEPT_MAX = 200
KEPT_SECONDS = 60.0


def timeline_of(borrower: str, facts: Sequence[Fact], policy: Policy) -> TimelineView | None:
    """The timeline of these events; None if there are none."""
    if not facts:
        return None
    known_ms = max(fact.available_ms for fact in facts)
    loans = sorted(loans_of(facts, policy), key=lambda loan: (loan.watched_from, loan.id))
    zone = loans[0].zone if loans else "UTC"
    first, last = _day(min(fact.available_ms for fact in facts), zone), _day(known_ms, zone)
    return TimelineView(
        borrower,
        first,
        last,
        tuple(_loan(loan, known_ms) for loan in loans),
        tuple(_balances(facts, zone)),
        tuple(_inquiries(facts, zone)),
    )


def _loan(loan: Loan, known_ms: int) -> LoanPast:
    today = local_day(known_ms, loan.zone)
    ended = loan.ended_on if loan.status != ACTIVE else None
    days = range(min((line.due for line in loan.installments), default=today), today + 1)
    late = ((date_of(day), days_past_due(loan, day)) for day in days)
    return LoanPast(
        loan.id,
        loan.currency,
        tuple(_installment(line, loan, today) for line in loan.installments),
        tuple(_received(loan)),
        tuple((day, number) for day, number in late if number),
        None if ended is None else date_of(ended),
    )


def _installment(line: Installment, loan: Loan, today: int) -> DueInstallment:
    standing, late = _standing(line, loan, today)
    return DueInstallment(line.number, date_of(line.due), line.amount, line.paid, standing, late)


def _standing(line: Installment, loan: Loan, today: int) -> tuple[Standing, int]:
    if line.cleared is not None:
        late = max(0, line.cleared - line.due)
        return (Standing.LATE if late else Standing.PAID), late
    if line.due >= today or (loan.status != ACTIVE and line.due >= loan.ended_on):
        return Standing.AHEAD, 0
    return Standing.UNPAID, today - line.due


def _received(loan: Loan) -> Iterator[Received]:
    for payment in sorted(loan.payments, key=lambda payment: payment.valued):
        back = date_of(payment.returned_on) if payment.state == RETURNED else None
        yield Received(date_of(payment.valued), payment.amount, back, payment.reason)


def _balances(facts: Sequence[Fact], zone: str) -> Iterator[Balance]:
    """For each currency what its accounts held together, at the end of each day on which one of them was told."""
    held: dict[str, dict[str, int]] = {}
    days: dict[str, dict[date, int]] = {}
    booked = [fact.event for fact in facts if isinstance(fact.event, TransactionBooked)]
    for event in sorted(booked, key=lambda event: (event.time, event.data.transaction_id)):
        data = event.data
        if data.balance_after_minor is None:
            continue
        accounts = held.setdefault(data.currency, {})
        accounts[data.account] = data.balance_after_minor
        days.setdefault(data.currency, {})[_day(_ms(event), zone)] = sum(accounts.values())
    for currency, by_day in sorted(days.items()):
        yield Balance(currency, tuple(sorted(by_day.items())))


def _inquiries(facts: Sequence[Fact], zone: str) -> Iterator[Inquiry]:
    made = [fact.event for fact in facts if isinstance(fact.event, InquiryMade)]
    for event in sorted(made, key=lambda event: (event.time, event.id)):
        yield Inquiry(_day(_ms(event), zone), event.data.lender_token, event.data.kind == "hard")


def _ms(event: TransactionBooked | InquiryMade) -> int:
    return int(event.time.timestamp() * 1_000)


def _day(ms: int, zone: str) -> date:
    return date_of(local_day(ms, zone))


# -- where the events come from -------------------------------------------------------------------------------------


def facts_in_file(path: Path, borrower: str) -> list[Fact]:
    """The borrower's events of a file, in the order in which they became known. Raises Misconfigured."""
    needle, found = borrower.encode(), []
    for number, value in read_lines(path):
        if needle not in value:  # Most lines are of others, and are not worth parsing.
            continue
        at = available_ms(parsed(value))
        if at is not None and (fact := _fact(value, at, f"{path.name} line {number}")) is not None:
            found.append(fact)
    return _ordered(fact for fact in found if fact.event.subject == borrower)


def facts_in_topics(settings: Settings, borrower: str, *, since_ms: int) -> list[Fact]:
    """The borrower's events of the topics from a moment to where they end now. Raises Unavailable, Misconfigured."""
    return asyncio.run(_bounded(settings, borrower, since_ms))


async def _bounded(settings: Settings, borrower: str, since_ms: int) -> list[Fact]:
    try:
        async with asyncio.timeout(READ_SECONDS_MAX):
            counts = await partition_counts(settings, DRAWN)
            parts = [_partition(settings, topic, counts[topic], borrower, since_ms) for topic in DRAWN]
            return _ordered(fact for facts in await asyncio.gather(*parts) for fact in facts)
    except TimeoutError:
        raise Unavailable(f"the topics were not read within {READ_SECONDS_MAX:.0f} s") from None


async def _partition(settings: Settings, topic: str, count: int, borrower: str, since_ms: int) -> list[Fact]:
    key, found = borrower.encode(), []
    async with reading(settings, topic) as reader:
        number = partition_of(key, count)
        # Loans are told once, when they are opened: what they are must not fall out of the window.
        start = 0 if topic == Topic.REPAYMENTS else await reader.offset_at(number, since_ms)
        partition = await reader.open(number, start)
        async for record in partition.records():
            if record.key == key:
                fact = _fact(record.value, record.timestamp, f"{topic}/{number}/{record.offset}")
                found += [] if fact is None else [fact]
    return found


def _fact(value: bytes, at: int, place: str) -> Fact | None:
    with suppress(InvalidEvent):  # A dead letter: nothing was concluded from it.
        return Fact(decode(value), at, place)
    return None


def _ordered(facts: Iterator[Fact]) -> list[Fact]:
    once = {(fact.event.source, fact.event.id): fact for fact in facts}
    return sorted(once.values(), key=lambda fact: (fact.available_ms, fact.event.source, fact.event.id))


# -- the port -------------------------------------------------------------------------------------------------------


def of_file(path: Path, policy: Policy) -> Timeline:
    """Timelines from a file of events."""
    return Remembered(lambda borrower: timeline_of(borrower, facts_in_file(path, borrower), policy))


def of_topics(settings: Settings, policy: Policy) -> Timeline:
    """Timelines from the topics. A cluster that does not answer leaves the page without one."""

    def read(borrower: str) -> TimelineView | None:
        since_ms = clock.now_ms() - BACK_DAYS * DAY_MS
        return timeline_of(borrower, facts_in_topics(settings, borrower, since_ms=since_ms), policy)

    return Remembered(read)


class Remembered:
    """Keeps the latest timelines for a while. Threads may share one."""

    def __init__(self, read: Callable[[str], TimelineView | None]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, tuple[float, TimelineView | None]] = OrderedDict()
        self._away = -KEPT_SECONDS
        """When the source did not answer: for a while nobody waits for it again."""

    def __call__(self, borrower: str) -> TimelineView | None:
        """The timeline; None if there are no events, or no way to read them now."""
        with self._lock:
            at, view = self._kept.get(borrower, (-KEPT_SECONDS, None))
            now, away = clock.monotonic(), self._away
        if now - at < KEPT_SECONDS or now - away < KEPT_SECONDS:
            return view
        try:
            view = self._read(borrower)
        except (Unavailable, Misconfigured) as fault:
            log.warning("timeline_not_read", fault=str(fault))
            self._away = clock.monotonic()
            return view
        self._keep(borrower, view)
        return view

    def _keep(self, borrower: str, view: TimelineView | None) -> None:
        with self._lock:
            self._kept[borrower] = clock.monotonic(), view
            self._kept.move_to_end(borrower)
            while len(self._kept) > KEPT_MAX:
                self._kept.popitem(last=False)
