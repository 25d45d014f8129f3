"""What was known when: events are played in the order in which they became known, and stop at each decision.

A decision sees what became known before its moment and nothing else, whatever the file holds after it; and the record
of the opening of its own loan, which is what it decides on. It looks at a copy: a decision changes nothing, so that
what a policy says does not depend on which rows are labelled.
"""

from __future__ import annotations

from collections import Counter, deque
from contextlib import suppress
from itertools import groupby
from operator import attrgetter
from typing import TYPE_CHECKING

from schemas import events
from schemas.codec import InvalidEvent
from schemas.events import METRO2_OVER, Topic
from streams.engine.borrower import restore
from streams.engine.calendar import DAY_MS, HOUR_MS, ms_of
from streams.engine.detector import BorrowerView
from streams.engine.engine import Origin
from streams.engine.lane import Lane, LaneSettings, read
from streams.history.replay import FileRecord

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from streams.engine.borrower import Borrower
    from streams.engine.drain import Effects, Outbound
    from streams.engine.engine import Engine
    from streams.engine.loan import Loan
    from streams.history.backtest.labels import Decision
    from streams.history.files import FileEvent

BATCH = 2_000
OPENED = b"ews.loan.opened.v1"
OPENING_MS = DAY_MS
"""How long after the decision the record of its own loan may come and still be what is decided on."""


def as_of(
    engine: Engine, lines: Iterable[FileEvent], rows: Iterable[Decision]
) -> Iterator[tuple[Decision, BorrowerView, Loan | None]]:
    """Each decision, earliest first, with the borrower as known then, and the row's loan if that is known.

    The view shares its borrower with the other decisions of the same borrower and moment: it is there to be read.
    """
    yield from Playback(engine).decide(lines, rows)


class Playback:
    """One run of the engine over files, what it raised, and what else was seen on the way."""

    def __init__(
        self,
        engine: Engine,
        alert: Callable[[bytes], None] = lambda _value: None,
        progress: Callable[[int, int], None] = lambda _lines, _now_ms: None,
        live_from_ms: int | None = None,
        told: Callable[[Sequence[Outbound]], None] = lambda _outbound: None,
    ) -> None:
        self._engine = engine
        self._alert = alert
        self._told = told
        self._progress = progress
        self._silent = frozenset(detector.key for detector in engine.detectors if detector.shadow)
        self._states: dict[bytes, bytes] = {}
        settings = LaneSettings(0, 1, clock="event", step_ms=HOUR_MS, live_from_ms=live_from_ms)
        self._lane = Lane(engine, settings, self._states)
        self._offsets: Counter[str] = Counter()
        self._heartbeats: list[FileRecord] = []
        self.counts: Counter[tuple[str, ...]] = Counter()
        self.first_ms: dict[str, int] = {}
        """When the first event of each borrower became known."""
        self.ended_ms: dict[tuple[str, str], int] = {}
        """When each loan or account elsewhere was paid off or closed."""
        self.last_ms = 0
        """When the last event became known."""

    def decide(
        self, lines: Iterable[FileEvent], rows: Iterable[Decision]
    ) -> Iterator[tuple[Decision, BorrowerView, Loan | None]]:
        """Play all lines, stopping at each decision."""
        ahead = _Ahead(lines)
        for at_ms, together in groupby(sorted(rows, key=place_of), key=attrgetter("at_ms")):
            self._play_until(ahead, at_ms)
            for token, of_borrower in groupby(together, key=attrgetter("borrower")):
                yield from self._decided(token, at_ms, list(of_borrower), ahead)
        self._play_until(ahead, None)

    def _play_until(self, ahead: _Ahead, at_ms: int | None) -> None:
        """Apply what became known before an instant (everything if that is None), then let time come to its hour."""
        while batch := ahead.take(at_ms, BATCH):
            records = list(self._records(batch))
            self._apply(records, None)
            self._progress(len(batch), self._lane.now_ms)
        if at_ms is None:
            self._apply([], self.last_ms)
        elif self._lane.now_ms and self._lane.now_ms < at_ms - at_ms % HOUR_MS:
            self._apply([], at_ms - at_ms % HOUR_MS)

    def _apply(self, records: list[tuple[str, FileRecord, events.Event | InvalidEvent]], until_ms: int | None) -> None:
        effects = self._lane.play(records, self._heartbeats, until_ms)
        if effects is not None:
            self._take(effects)
        taken = self._lane.positions.get(Topic.FEEDS, 0)
        if self._heartbeats and self._heartbeats[0].offset < taken:
            self._heartbeats = [record for record in self._heartbeats if record.offset >= taken]

    def _take(self, effects: Effects) -> None:
        for _, value in effects.alerts:
            self._alert(value)
        if effects.outbound:
            self._told(effects.outbound)
        self.counts.update(effects.counts or {})
        self._lane.committed(effects)

    def _records(self, lines: Sequence[FileEvent]) -> Iterator[tuple[str, FileRecord, events.Event | InvalidEvent]]:
        for line in lines:
            record = FileRecord(self._offsets[line.topic], line.available_ms, line.key, line.value)
            self._offsets[line.topic] += 1
            self.last_ms = max(self.last_ms, line.available_ms)
            if line.topic is Topic.FEEDS:
                self._heartbeats.append(record)
                continue
            event = read(line.value)
            if isinstance(event, events.Event):
                self._note(event, line.available_ms)
            yield line.topic, record, event

    def _note(self, event: events.Event, available_ms: int) -> None:
        self.first_ms.setdefault(event.subject, available_ms)
        if isinstance(event, events.LoanClosed):
            self.ended_ms[event.subject, event.data.loan] = ms_of(event.time)
        elif isinstance(event, events.TradelineReported) and event.data.status in METRO2_OVER:
            self.ended_ms.setdefault((event.subject, event.data.tradeline), ms_of(event.time))

    # -- one borrower as of one moment --------------------------------------------------------------------------------

    def _decided(
        self, token: str, at_ms: int, rows: list[Decision], ahead: _Ahead
    ) -> Iterator[tuple[Decision, BorrowerView, Loan | None]]:
        kept = self._states.get(token.encode())
        borrower = restore(kept)
        view = self._view(borrower, at_ms)
        opening: dict[str, tuple[BorrowerView, Loan | None]] = {}  # Several tasks decide on the same loan.
        for row in rows:
            loan = borrower.loan(row.loan) if row.loan else None
            if row.loan is None or loan is not None or row.month is not None:
                yield row, view, loan
                continue
            if row.loan not in opening:
                event = ahead.opening(token, row.loan, at_ms)
                opening[row.loan] = (view, None) if event is None else self._opened(token, restore(kept), event, at_ms)
            yield row, *opening[row.loan]

    def _opened(
        self, token: str, borrower: Borrower, opening: events.LoanOpened, at_ms: int
    ) -> tuple[BorrowerView, Loan | None]:
        """The borrower as if the opening of a loan came with the decision."""
        origin = Origin(Topic.REPAYMENTS, -1, at_ms, b"")
        # One that the engine refuses will be refused when it comes, too: the loan is not known.
        with suppress(InvalidEvent):
            self._engine.on_event(
                token, borrower, opening, origin, now_ms=self._lane.now_ms, through=self._lane.through
            )
        return self._view(borrower, at_ms), borrower.loan(opening.data.loan)

    def _view(self, borrower: Borrower, at_ms: int) -> BorrowerView:
        return BorrowerView(borrower, at_ms, self._lane.through, self._engine.policy, self._silent)


class _Ahead:
    """Lines that are to come, read a little further for the record of a decision's own loan and for nothing else."""

    def __init__(self, lines: Iterable[FileEvent]) -> None:
        self._lines = iter(lines)
        self._held: deque[FileEvent] = deque()
        self._openings: dict[tuple[str, str], tuple[int, events.LoanOpened]] = {}

    def take(self, before_ms: int | None, count: int) -> list[FileEvent]:
        """At most so many of the next lines, as long as they became known before an instant."""
        taken: list[FileEvent] = []
        while len(taken) < count and (self._held or self._read()):
            if before_ms is not None and self._held[0].available_ms >= before_ms:
                break
            taken.append(self._held.popleft())
        return taken

    def opening(self, borrower: str, loan: str, at_ms: int) -> events.LoanOpened | None:
        """The opening of a loan that becomes known soon after a decision on it."""
        last_ms = at_ms + OPENING_MS
        while (not self._held or self._held[-1].available_ms <= last_ms) and self._read():
            pass
        self._forget(at_ms)
        known_ms, opening = self._openings.get((borrower, loan), (last_ms + 1, None))
        return opening if known_ms <= last_ms else None

    def _read(self) -> bool:
        """Hold one line more. False if there is none."""
        line = next(self._lines, None)
        if line is None:
            return False
        self._held.append(line)
        if line.topic is Topic.REPAYMENTS and OPENED in line.value:
            event = read(line.value)
            if isinstance(event, events.LoanOpened):
                self._openings.setdefault((event.subject, event.data.loan), (line.available_ms, event))
        return True

    def _forget(self, before_ms: int) -> None:
        """Openings that are applied by now are found in the state."""
        while self._openings and self._openings[first := next(iter(self._openings))][0] < before_ms:
            del self._openings[first]


def place_of(row: Decision) -> tuple[int, str]:
    """What decisions are ordered by."""
    return row.at_ms, row.label.borrower
